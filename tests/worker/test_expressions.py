"""Expressions: whole items only, with their types."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.expressions import InvalidExpression, Scope

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def scope(**params: Any) -> Scope:
    return Scope(params, {"id": "r1", "attempt": 2}, lambda name: f"secret {name}", lambda name: f"secret of {name}")


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("{{ params.x }}", [1, "a"]),
        ("{{params.x}}", [1, "a"]),
        (["a", "{{ params.x }}", "b"], ["a", 1, "a", "b"]),
        ({"k": "{{ params.x }}"}, {"k": [1, "a"]}),
        ({"k": ["{{ params.absent }}"]}, {"k": [None]}),
        ("{{ run.attempt }}", 2),
        ("{{ secrets.TOKEN }}", "secret TOKEN"),
        ("{{ secrets[params.which] }}", "secret of which"),
        # Everything that is not wholly an expression is text and stays as it is.
        ("--x={{ params.x }}", "--x={{ params.x }}"),
        ("{{ params.x }}{{ params.x }}", "{{ params.x }}{{ params.x }}"),
        (" {{ params.x }}", " {{ params.x }}"),
        ("${{ params.x }}", "${{ params.x }}"),
        (7, 7),
    ],
)
def test_an_item_that_is_an_expression_becomes_the_value(given_: Any, expected: Any) -> None:
    assert scope(x=[1, "a"], which="NAME").resolve(given_) == expected


@pytest.mark.parametrize(
    "text", ["{{ run.secret }}", "{{ params }}", "{{ params.x.y }}", "{{ secrets }}", "{{ 1 + 1 }}", "{{ secrets[x] }}"]
)
def test_an_expression_that_means_nothing_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(InvalidExpression, match="can not be resolved"):
        scope(x=1).resolve([text])


@given(JSON)
def test_a_value_is_never_resolved_again(value: Any) -> None:
    # What a person gives as a param may look like an expression: it stays what it is.
    assert scope(x={"inner": value, "trap": "{{ secrets.TOKEN }}"}).resolve({"k": "{{ params.x }}"}) == {
        "k": {"inner": value, "trap": "{{ secrets.TOKEN }}"}
    }
