"""Which overload of a function a call means: the one whose input arguments fit the given names."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable

from opsroom.local.gateway.errors import RestError
from opsroom.local.gateway.rest.catalog import Function, Schema
from opsroom.local.gateway.rest.statements import Payload

_WHOLE_BODY_TYPES = ("json", "jsonb", "text")


def resolve(schema: Schema, name: str, payload: Payload) -> Function | None:
    """The function to call with a POST body; None when nothing fits (the catalog may be stale)."""
    keys = frozenset(payload.value) if isinstance(payload.value, dict) else frozenset[str]()
    candidates = schema.functions.get(name, ())
    fitting = [function for function in candidates if _fits(function, keys)]
    if not isinstance(payload.value, dict):
        fitting = []
    if not fitting:
        fitting = [function for function in candidates if _takes_whole_body(function)]
    if len(fitting) > 1:
        exact = [function for function in fitting if {key for key, _ in function.arguments} == keys]
        if len(exact) != 1:
            listed = ", ".join(_signature(function) for function in fitting)
            raise RestError(
                300,
                "PGRST203",
                f"Could not choose the best candidate function between: {listed}",
                hint="Try renaming the parameters or the function itself in the database so function overloading can "
                "be resolved",
            )
        fitting = exact
    return fitting[0] if fitting else None


def split_parameters(
    schema: Schema, name: str, pairs: Iterable[tuple[str, str]]
) -> tuple[Payload, list[tuple[str, str]]]:
    """A GET call: parameters named like an argument are arguments, the others filter the result."""
    pairs = list(pairs)
    names = {argument for function in schema.functions.get(name, ()) for argument, _ in function.arguments}
    arguments = {key: value for key, value in pairs if key in names}
    return Payload(arguments, json.dumps(arguments)), [pair for pair in pairs if pair[0] not in names]


def not_found(schema: Schema, name: str, payload: Payload) -> RestError:
    keys = sorted(payload.value) if isinstance(payload.value, dict) else []
    listed = f"({', '.join(keys)})" if keys else " without parameters"
    with_parameters = f"with parameters {', '.join(keys)}" if keys else "without parameters"
    close = difflib.get_close_matches(name, list(schema.functions), 1)
    hint = None
    if name in schema.functions:
        hint = "Perhaps you meant to call the function public." + _signature(schema.functions[name][0])
    elif close:
        hint = f"Perhaps you meant to call the function public.{close[0]}"
    return RestError(
        404,
        "PGRST202",
        f"Could not find the function public.{name}{listed} in the schema cache",
        f"Searched for the function public.{name} {with_parameters} or with a single unnamed json/jsonb parameter, "
        "but no matches were found in the schema cache.",
        hint=hint,
    )


def _fits(function: Function, keys: frozenset[str]) -> bool:
    names = frozenset(name for name, _ in function.arguments)
    return "" not in names and function.required <= keys <= names


def _takes_whole_body(function: Function) -> bool:
    return (
        len(function.arguments) == 1
        and function.arguments[0][0] == ""
        and (function.arguments[0][1] in _WHOLE_BODY_TYPES)
    )


def _signature(function: Function) -> str:
    return f"{function.name}({', '.join(f'{name} => {kind}' for name, kind in function.arguments)})"
