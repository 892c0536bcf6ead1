"""What a row of runs can not be, whoever writes it: every combination of status and columns, and the terms of a run."""

import itertools
from typing import Any

import psycopg
import pytest

from tests.database.conftest import Person, Room

TERMINAL = ("succeeded", "failed", "cancelled", "timed_out")
CLAIM = ("claimed_by", "claimed_at", "claim_token", "heartbeat_at", "lease_expires_at")


def possible(status: str, claimed: bool, started: bool, finished: bool, reason: bool) -> bool:
    """The table in docs/database.md."""
    if status in ("queued", "claimed", "running"):
        return (claimed, started, finished, reason) == (status != "queued", status == "running", False, False)
    if status == "succeeded":
        return (claimed, started, finished, reason) == (True, True, True, False)
    return status in TERMINAL and finished and reason and (claimed or not started)


async def queued(operator: Person, session_id: str) -> str:
    run = await operator.call(
        "create_run", p_session_id=session_id, p_template="greet", p_params={"name": "ada"}, p_lane="D"
    )
    return run["id"]


async def accepted(connection: Any, run_id: str, changes: str) -> bool:
    """Whether a new row like the run's, but for `changes`, is taken; undone afterwards."""
    async with connection.transaction(force_rollback=True):
        try:
            await connection.execute(
                "insert into public.runs select (jsonb_populate_record(r, jsonb_build_object('id', n.id, 'root_run_id', n.id) ||"
                f" {changes})).* from public.runs as r, gen_random_uuid() as n (id) where r.id = %s",
                (run_id,),
            )
        except psycopg.errors.CheckViolation:
            return False
    return True


async def test_the_status_and_its_columns_are_tied_in_every_combination(
    room: Room, operator: Person, session_id: str
) -> None:
    run_id = await queued(operator, session_id)
    worker = await room.worker()
    for status, *there in itertools.product(
        ("queued", "claimed", "running", *TERMINAL, "paused"), *[(False, True)] * 4
    ):
        claimed, started, finished, reason = map(bool, there)
        changes = [f"jsonb_build_object('status', '{status}')"]
        changes += [f"jsonb_build_object('claimed_by', '{worker.id}', 'claim_token', gen_random_uuid())"] * claimed
        changes += [
            f"jsonb_build_object('{column}', now())"
            for column, set_ in (*((c, claimed) for c in CLAIM if c.endswith("_at")), ("started_at", started), ("finished_at", finished))
            if set_
        ]  # fmt: skip
        changes += ["jsonb_build_object('reason', 'lost')"] * reason
        taken = await accepted(room.owner, run_id, " || ".join(changes))
        assert taken is possible(str(status), claimed, started, finished, reason), (
            f"{status}: claimed, started, finished, reason = {there}"
        )


@pytest.mark.parametrize("missing", CLAIM)
async def test_a_claim_is_whole(room: Room, operator: Person, session_id: str, missing: str) -> None:
    run_id = await queued(operator, session_id)
    worker = await room.worker()
    whole = {column: "now()" for column in CLAIM} | {"claimed_by": f"'{worker.id}'", "claim_token": "gen_random_uuid()"}
    whole["status"] = "'claimed'"
    columns = ", ".join(f"'{name}', {value}" for name, value in whole.items())
    assert await accepted(room.owner, run_id, f"jsonb_build_object({columns})")
    assert not await accepted(room.owner, run_id, f"jsonb_build_object({columns}, '{missing}', null)")


TERMS = {
    "title": "''", "params": "'[]'", "priority": "101", "lease_seconds": "4", "timeout_seconds": "0", "attempt": "0",
    "concurrency_key": "repeat('a', 301)", "rate_runs": "0", "rate_per_seconds": "0",
    "idempotency_key": "repeat('a', 201)", "cancel_reason": "repeat('a', 1001)", "message": "repeat('a', 4001)",
    "root_run_id": "gen_random_uuid()",
}  # fmt: skip


@pytest.mark.parametrize(("column", "value"), [*TERMS.items(), ("reason", "'bad_luck'")])
async def test_no_run_has_terms_that_can_not_be(
    room: Room, operator: Person, session_id: str, column: str, value: str
) -> None:
    run_id = await queued(operator, session_id)
    ended = ", 'status', 'cancelled', 'finished_at', now()" if column == "reason" else ""
    if column == "params":
        value = "'[]'::jsonb"
    assert not await accepted(room.owner, run_id, f"jsonb_build_object('{column}', {value}{ended})")
    # The triggers that keep what was set from changing would refuse some of these sooner.
    await room.owner.execute("alter table public.runs disable trigger check_origin")
    try:
        more = "status = 'cancelled', finished_at = now()," if ended else ""
        with pytest.raises(psycopg.errors.CheckViolation):
            await room.value(f"update public.runs set {more} {column} = {value} where id = %s", run_id)
    finally:
        await room.owner.execute("alter table public.runs enable trigger check_origin")
