"""Expressions: how params, secrets and facts of the run get into a step's inputs.

An expression stands for a whole item, `"{{ params.name }}"`, and is replaced by the value itself with its type; a list
as an item of a list is spliced into it. There is no pasting into longer text anywhere, so no value can ever end a
quotation or start a command: params stay data.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic import JsonValue

NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_WHOLE: Final = re.compile(r"\{\{\s*(.+?)\s*\}\}", re.DOTALL)
_PATH: Final = re.compile(rf"(params|run)\.({NAME})")
_SECRET: Final = re.compile(rf"secrets\.({NAME})|secrets\[\s*params\.({NAME})\s*\]")


class InvalidExpression(Exception):
    """An item that can not be resolved; the message names it."""


@dataclass(frozen=True)
class Scope:
    """What expressions may name."""

    params: Mapping[str, JsonValue]
    run: Mapping[str, JsonValue]
    secret: Callable[[str], str]
    """Resolves a secret the template names in `secrets`."""
    secret_of_param: Callable[[str], str]
    """Resolves the secret that a param of format `secret-ref` refers to."""

    def resolve(self, value: Any) -> Any:
        """`value` with every expression in it replaced. Raises InvalidExpression, or what resolving a secret raises."""
        if isinstance(value, str):
            return self._resolve_text(value)
        if isinstance(value, Mapping):
            return {key: self.resolve(item) for key, item in cast(Mapping[str, Any], value).items()}
        if isinstance(value, (list, tuple)):
            items: list[Any] = []
            for item in cast("list[Any]", value):
                resolved = self.resolve(item)
                if isinstance(item, str) and isinstance(resolved, list):
                    items.extend(cast("list[Any]", resolved))
                else:
                    items.append(resolved)
            return items
        return value

    def _resolve_text(self, text: str) -> Any:
        whole = _WHOLE.fullmatch(text)
        if whole is None or "}}" in whole[1]:
            return text
        expression = whole[1]
        if path := _PATH.fullmatch(expression):
            values = self.params if path[1] == "params" else self.run
            if path[2] in values:
                return values[path[2]]
            # A param that is optional and was not given.
            if path[1] == "params":
                return None
        elif secret := _SECRET.fullmatch(expression):
            return self.secret(secret[1]) if secret[1] else self.secret_of_param(secret[2])
        raise InvalidExpression(
            f"{text} can not be resolved: use params.NAME, run.id, run.attempt, secrets.NAME or secrets[params.NAME]"
        )
