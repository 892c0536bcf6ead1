"""The kinds of verifiers: one module each, one function `verify(context) -> Finding`."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from opsroom.domain.template import VerifierKind
from workers.steps.context import StepContext
from workers.verifiers import checksum, ci, file, http, json_schema, shell, sql
from workers.verifiers.finding import Finding

__all__ = ["KINDS", "Finding"]

KINDS: Final[Mapping[VerifierKind, Callable[[StepContext], Awaitable[Finding]]]] = {
    "http": http.verify,
    "shell": shell.verify,
    "sql": sql.verify,
    "json_schema": json_schema.verify,
    "checksum": checksum.verify,
    "file": file.verify,
    "ci": ci.verify,
}
