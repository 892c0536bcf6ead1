"""Spec Kit: the four files that say what a project is for, what it must do, how, and in which steps.

A bundle is `spec/<slug>/{constitution,prd,plan,tasks}.md`. The rules are in docs/spec-kit.md.
"""

from opsroom.domain.spec_kit.files import write_bundle
from opsroom.domain.spec_kit.generate import Bundle, generate_bundle
from opsroom.domain.spec_kit.names import FILES, BundleExistsError, SpecInputError
from opsroom.domain.spec_kit.report import Counts, Finding, Report
from opsroom.domain.spec_kit.rules import RULES, Rule
from opsroom.domain.spec_kit.validate import validate_bundle

__all__ = [
    "FILES",
    "RULES",
    "Bundle",
    "BundleExistsError",
    "Counts",
    "Finding",
    "Report",
    "Rule",
    "SpecInputError",
    "generate_bundle",
    "validate_bundle",
    "write_bundle",
]
