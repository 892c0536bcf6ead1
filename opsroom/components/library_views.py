"""What the pages of templates, bundles, members and setup draw: frozen values with every text ready."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TemplateRow:
    """A template in the list. `failed` is how many of the last 30 days' runs failed, in words."""

    slug: str = ""
    href: str = ""
    title: str = ""
    description: str = ""
    version: str = ""
    risk: str = "info"
    risk_word: str = ""
    enabled: bool = True
    runs: str = "0"
    failed: str = ""
    last_used_at: str = ""
    search: str = ""


@dataclass(frozen=True)
class VersionRow:
    """A version in a template's or bundle's history."""

    version: int = 0
    label: str = ""
    by: str = ""
    at: str = ""
    digest: str = ""
    short: str = ""
    note: str = ""


@dataclass(frozen=True)
class ParamRow:
    """A param as its template declares it."""

    name: str = ""
    title: str = ""
    type: str = ""
    required: bool = False
    default: str = ""
    about: str = ""


@dataclass(frozen=True)
class DiffLine:
    """One line of a diff. `kind`: same, added, removed, changed (side by side only), fold. Each side has its number and
    its text in three parts, of which the middle one is what differs.
    """

    kind: str = "same"
    left: str = ""
    right: str = ""
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Diff:
    """A comparison, ready to be drawn in one column or in two. `note` stands in for it when it is empty."""

    unified: list[DiffLine] = field(default_factory=list)
    split: list[DiffLine] = field(default_factory=list)
    added: int = 0
    removed: int = 0
    note: str = ""


@dataclass(frozen=True)
class Problem:
    """Something wrong in a text, where it is: lines and columns count from 1, the end is exclusive."""

    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 1
    message: str = ""
    path: str = ""
    severity: str = "error"


@dataclass(frozen=True)
class BundleRow:
    """A Spec Kit bundle in the list. `source`: repository or room."""

    slug: str = ""
    href: str = ""
    source: str = "repository"
    where: str = ""
    state: str = "succeeded"
    verdict: str = ""
    tasks: str = ""
    requirements: str = ""
    at: str = ""
    by: str = ""


@dataclass(frozen=True)
class FileTab:
    """A file of a bundle and how many findings it has."""

    name: str = ""
    href: str = ""
    findings: int = 0
    state: str = "succeeded"


@dataclass(frozen=True)
class SourceLine:
    """A line of a file with what was found there."""

    number: int = 0
    text: str = ""
    state: str = ""
    findings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FindingRow:
    """A finding of a validation, with the way to its line."""

    rule: str = ""
    state: str = "failed"
    where: str = ""
    href: str = ""
    message: str = ""
    fix: str = ""


@dataclass(frozen=True)
class MemberRow:
    """A person of the room. `you`: who looks at it, and may not take their own role. `last`: the only admin left."""

    user_id: str = ""
    name: str = ""
    initials: str = ""
    email: str = ""
    role: str = "viewer"
    disabled: bool = False
    you: bool = False
    last: bool = False
    search: str = ""


@dataclass(frozen=True)
class CheckRow:
    """One thing that setup looks at. `state` is one of the design system; `commands` are to be copied."""

    name: str = ""
    state: str = "pending"
    found: str = ""
    advice: str = ""
    commands: list[str] = field(default_factory=list)
