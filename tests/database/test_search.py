"""Searching all runs: filters, pages without gaps, a bounded look, and what it refuses."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from tests.database.conftest import Person, Room, Worker


async def search(person: Person, before: str | None = None, limit: int = 50, /, **filters: Any) -> dict[str, Any]:
    return await person.call("search_runs", p_filter=json.dumps(filters), p_before=before, p_limit=limit)


async def found(person: Person, /, **filters: Any) -> list[str]:
    return [run["id"] for run in (await search(person, **filters))["runs"]]


async def queue(person: Person, session: str, lane: str = "A", name: str = "ada", title: str | None = None) -> str:
    args = {"p_session_id": session, "p_template": "greet", "p_params": json.dumps({"name": name}), "p_lane": lane}
    return (await person.call("create_run", **args, p_title=title))["id"]


async def fail(worker: Worker) -> None:
    (claim,) = await worker.claim()
    await worker.start(claim)
    await worker.finish(claim, "failed", "step_failed")


@pytest.fixture
async def history(room: Room, operator: Person, session_id: str, worker: Worker) -> dict[str, str]:
    """One run of each kind, the oldest first."""
    runs = {"done": await queue(operator, session_id, "A", title="A plain one")}
    (claim,) = await worker.claim()
    await worker.succeed(claim)
    runs["failed"] = await queue(operator, session_id, "B", name="dead")
    await fail(worker)
    runs["dead"] = (await operator.call("retry_run", p_run_id=runs["failed"]))["id"]
    await fail(worker)
    runs["cancelled"] = await queue(operator, session_id, "C", title='50% of "half"_')
    await operator.call("cancel_run", p_run_id=runs["cancelled"])
    runs["queued"] = await queue(operator, session_id, "D", name="zoe")
    return runs


@asynccontextmanager
async def small_window(room: Room, rows: int, sorted_rows: int) -> AsyncIterator[None]:
    """Searches look at `rows` runs only, and sort a session's runs as a whole only up to `sorted_rows`."""
    bodies = [
        (await room.value("select pg_get_functiondef(%s::regproc)", name))
        for name in ("private.search_window", "private.sort_limit")
    ]
    for name, most in (("search_window(p_text boolean, p_scattered boolean)", rows), ("sort_limit()", sorted_rows)):
        body = f"returns integer language sql immutable set search_path = '' as 'select {most}'"
        await room.owner.execute(f"create or replace function private.{name} {body}".encode())
    try:
        yield
    finally:
        for body in bodies:
            await room.owner.execute(body)


@pytest.mark.parametrize("sorted_rows", [20_000, 0])
async def test_every_filter_finds_its_runs(
    room: Room, operator: Person, session_id: str, history: dict[str, str], sorted_rows: int
) -> None:
    """The same by both ways of looking: a session's runs sorted as a whole, and the walk by age."""
    names = {run: name for name, run in history.items()}

    async def names_of(**filters: Any) -> list[str]:
        return [names[run] for run in await found(operator, session=session_id, **filters)]

    async with small_window(room, 200_000, sorted_rows):
        assert await names_of() == ["queued", "cancelled", "dead", "failed", "done"]
        assert await names_of(status=["failed"]) == ["dead", "failed"]
        assert await names_of(status=["failed", "queued"]) == ["queued", "dead", "failed"]
        assert await names_of(status=["queued", "running"]) == ["queued"]
        assert await names_of(dead_letters=True) == ["dead"]
        assert await names_of(dead_letters=False, status=None) == await names_of()
        assert await names_of(lane="B") == ["dead", "failed"]
        assert await names_of(template="greet", lane="A") == ["done"]
        assert await names_of(template="nothing") == []
        assert await names_of(person=str(operator.user_id), lane="D") == ["queued"]
        assert await names_of(person=str(uuid.uuid4())) == []
        assert await names_of(text="ZOE") == ["queued"]
        assert await names_of(text="a PLAIN") == ["done"]
        assert await names_of(text='"half"_') == ["cancelled"]
        assert await names_of(text="5_%") == []
        assert await names_of(text="x' or true --") == []
        assert await names_of(text="\\") == []
        assert await names_of(id=history["dead"][:8]) == ["dead"]
        at = await room.value("select queued_at::text from public.runs where id = %s", history["dead"])
        assert await names_of(since=at) == ["queued", "cancelled", "dead"]
        assert await names_of(until=at) == ["failed", "done"]


async def test_pages_join_without_gap_or_repeat(room: Room, operator: Person, session_id: str) -> None:
    runs = [await queue(operator, session_id) for _ in range(7)]
    await room.owner.execute("alter table public.runs disable trigger user")
    try:  # the same moment for all: the id decides
        await room.owner.execute(
            "update public.runs set queued_at = '2026-01-02 03:04:05.678901Z' where session_id = %s", (session_id,)
        )
    finally:
        await room.owner.execute("alter table public.runs enable trigger user")
    for sorted_rows in (20_000, 0):
        async with small_window(room, 200_000, sorted_rows):
            seen: list[str] = []
            cursor: str | None = None
            while len(seen) <= len(runs):
                page = await search(operator, cursor, 3, session=session_id)
                seen += [run["id"] for run in page["runs"]]
                cursor = page["next"]
                if cursor is None:
                    break
            assert seen == sorted(runs)


async def test_a_search_looks_at_a_window_and_says_where_to_go_on(
    room: Room, operator: Person, session_id: str
) -> None:
    wanted = await queue(operator, session_id, title="A needle")
    other = (await operator.call("create_session", p_title="Hay"))["id"]
    for _ in range(7):
        await queue(operator, other, title="Hay")
    async with small_window(room, 3, 0):
        calls, cursor, runs = 0, None, []
        while not runs:
            page = await search(operator, cursor, session=session_id)
            assert bool(page["runs"]) or page["searched_to"], "an empty page says how far it looked"
            runs, cursor, calls = page["runs"], page["next"], calls + 1
        assert [run["id"] for run in runs] == [wanted]
        assert calls == 3


async def test_a_page_is_refreshed_as_it_is_now(room: Room, operator: Person, session_id: str) -> None:
    first = await search(operator, session=session_id)
    assert first["runs"] == []
    run = await queue(operator, session_id)
    page = await search(operator, session=session_id, status=["queued"])
    await operator.call("cancel_run", p_run_id=run)
    newer = [await queue(operator, session_id) for _ in range(2)]
    top = page["runs"][0]
    fresh = await operator.call(
        "refresh_runs",
        p_run_ids=f"{{{run},{uuid.uuid4()}}}",
        p_filter=json.dumps({"session": session_id, "status": ["queued"]}),
        p_after=f"{top['queued_at']},{top['id']}",
    )
    assert [(item["id"], item["status"]) for item in fresh["runs"]] == [(run, "cancelled")]
    assert fresh["newer"] == len(newer)


BAD_FILTERS: list[Any] = [
    {"status": "failed"},
    {"status": []},
    {"status": ["done"]},
    {"status": [["failed"]]},
    {"status": ["failed", 1]},
    {"lane": "E"},
    {"lane": ["A"]},
    {"session": "x"},
    {"person": "00000000-0000-0000-0000-00000000000'"},
    {"since": "yesterday-ish"},
    {"until": "2026-13-45"},
    {"text": 7},
    {"text": "x" * 201},
    {"dead_letters": "true"},
    {"id": "abc"},
    {"id": "zzzzzz"},
    {"claim_token": "x"},
    {"r.status = 'failed' or true --": "x"},
    [],
    "text",
    7,
]


@pytest.mark.parametrize("given", BAD_FILTERS, ids=lambda given: json.dumps(given)[:40])
async def test_a_bad_filter_is_refused(operator: Person, given: Any) -> None:
    for function, args in (("search_runs", {}), ("refresh_runs", {"p_run_ids": "{}"})):
        with pytest.raises(psycopg.Error) as refused:
            await operator.call(function, p_filter=json.dumps(given), **args)
        assert refused.value.sqlstate == "ORV02"
        assert refused.value.diag.message_hint


@pytest.mark.parametrize("cursor", ["", "x", "2026-01-01,x", "2026-01-01", "x,9908b6ac-2d56-436f-afe4-13bbcbfc3fd1", "';drop table runs,"])
async def test_a_bad_cursor_is_refused(operator: Person, cursor: str) -> None:
    for function, args in (
        ("search_runs", {"p_before": cursor}),
        ("refresh_runs", {"p_run_ids": "{}", "p_after": cursor}),
    ):
        with pytest.raises(psycopg.Error) as refused:
            await operator.call(function, **args)
        assert refused.value.sqlstate == "ORV02"


async def test_too_many_runs_to_refresh_are_refused(operator: Person) -> None:
    with pytest.raises(psycopg.Error) as refused:
        await operator.call("refresh_runs", p_run_ids="{" + ",".join(str(uuid.uuid4()) for _ in range(501)) + "}")
    assert refused.value.sqlstate == "ORV02"
