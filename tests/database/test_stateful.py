"""Any order of commands and worker calls, with replays, wrong tokens, lost leases and cut connections.

OPSROOM_HYPOTHESIS=deep looks at longer orders, as many as ten minutes allow, and makes what it finds as short as it can.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.database.conftest import Room
from tests.database.ground import END_ALL, Ground
from tests.database.machine import TEMPLATES, Machine

DEEP = os.environ.get("OPSROOM_HYPOTHESIS") == "deep"
DEEP_SECONDS = 600
# What is noticed first of a missing rule varies; that nothing is would be the failure.
NOTICED = (AssertionError, psycopg.Error, pytest.fail.Exception)

RULES = {
    "a lane's slots": ("private.claim_lanes", "limit m.quota", "limit v_share"),
    "the fence": ("private.lock_claim", "and v_run.status in ('claimed', 'running')", ""),
    "batches without a gap": ("public.append_events", "elsif p_batch = v_run.last_batch + 1 then", "else"),
    "a run ends once": ("public.finish_runs", "when r.finished_at is null then 'end'", "when true then 'end'"),
}
Move = tuple[str, dict[str, Any]]
FULL: Move = ("begin", {"slots": 1, "taken": 1})
MOVES: dict[str, list[Move]] = {
    "a lane's slots": [
        ("begin", {"slots": 2, "taken": 1}),
        ("claim_runs", {"worker": 0, "limit": 4, "start": False}),
    ],
    "the fence": [
        FULL,
        ("lose_a_lease", {"number": 0, "limit": 100}),
        ("append_events", {"number": 0, "step": "first", "how": None}),
    ],
    "batches without a gap": [FULL, ("append_events", {"number": 0, "step": "first", "how": None})],
    "a run ends once": [FULL, ("finish_runs", {"numbers": [0], "whole": True, "good": True})],
}
"""The shortest order of calls in which each rule is needed."""


@pytest.fixture
def ground(room: Room) -> Iterator[Ground]:
    stack = room.stack
    ground = Ground.open(*(stack.database_url(role) for role in ("postgres", "authenticator", "worker")))
    for template in TEMPLATES:
        ground.owner.execute("select private.store_template(%s::json, null, true)", (json.dumps(template),))
    Machine.ground = ground
    yield ground
    ground.owner.execute(END_ALL)
    ground.close()


def run_machine(examples: int, steps: int, *phases: Phase) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    profile = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, phases=phases, suppress_health_check=checks
    )
    run_state_machine_as_test(Machine, settings=profile)


@pytest.mark.timeout(3600 if DEEP else 180)
@pytest.mark.usefixtures("ground")
def test_every_order_of_calls_keeps_every_promise() -> None:
    if not DEEP:
        return run_machine(16, 40, Phase.reuse, Phase.generate)
    until, orders = time.monotonic() + DEEP_SECONDS, 0
    while time.monotonic() < until:
        run_machine(10, 80, Phase.reuse, Phase.generate, Phase.shrink)
        orders += 10
        print(f"{orders} orders of 80 calls")


@contextmanager
def without(ground: Ground, name: str) -> Iterator[None]:
    """A rule of the database switched off; as it was afterwards."""
    function, rule, instead = RULES[name]
    source = ground.value("select pg_get_functiondef(%s::regproc)", function)
    assert rule in source, f"{function} does not say {rule!r} any more: mend the mutation"
    try:
        ground.owner.execute(source.replace(rule, instead))
        yield
    finally:
        ground.owner.execute(source)


def play(moves: list[Move]) -> None:
    machine = Machine()
    try:
        for move, arguments in moves:
            getattr(machine, move)(**arguments)
            machine.everything_holds()
    finally:
        machine.teardown()


@pytest.mark.parametrize("name", RULES)
def test_a_missing_rule_is_noticed_in_the_order_that_needs_it(ground: Ground, name: str) -> None:
    play(MOVES[name])
    with without(ground, name), pytest.raises(NOTICED):
        play(MOVES[name])


@pytest.mark.soak  # a random search: it finds each loss nearly always, and "nearly" is not enough for every commit
@pytest.mark.parametrize("name", RULES)
def test_a_search_finds_a_missing_rule(ground: Ground, name: str) -> None:
    with without(ground, name), pytest.raises(NOTICED):
        run_machine(100, 40, Phase.generate)
