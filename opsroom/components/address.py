"""The address of the tab, as the browser knows it: the server hears of it a moment later."""

from typing import Any

import reflex as rx
from reflex_base.vars import VarData

_here = rx.Var(
    "here.pathname",
    _var_type=str,
    _var_data=VarData(imports={"react-router": "useLocation"}, hooks={"const here = useLocation()": None}),
)


def at(address: Any) -> rx.Var[bool]:
    """Whether the tab stands at `address`, the path that a page's vars were last filled for. Until it does, they tell
    of what the tab showed before: what can be done there would be done to something else, and is taken away unasked.
    """
    return address == _here


def phase_at(address: Any, phase: Any) -> rx.Var[str]:
    """How the page at `address` stands: loading, until its vars are those of the tab's address."""
    return rx.cond(at(address), phase, "loading")
