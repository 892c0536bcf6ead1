"""Checkpoints that a real worker published, held against a database that somebody with all rights changed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from opsroom.cli.checkpoints import against_database
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import Session
from opsroom.domain.errors import InvalidArgument, NotAMember
from opsroom.domain.events import Event, event_hash
from opsroom.domain.evidence.checkpoint import file_name, read_chain
from opsroom.domain.evidence.trust import TrustRoot, private_pem
from opsroom.domain.evidence.verify import DoesNotHold, trusted, unsigned
from tests.cli.command import Shell
from tests.cli.conftest import signed_in
from tests.support.gateway import Gateway
from tests.unit.evidence.made import key
from tests.worker.room import eventually

TABLES = ("run_events", "run_steps", "artifacts", "bundles", "runs")


@dataclass
class Owner:
    """Somebody who can do everything in the database, triggers or not; and undo it."""

    connection: psycopg.AsyncConnection[Any]

    async def sql(self, query: str, *params: Any) -> list[Any]:
        cursor = await self.connection.execute(query.encode(), params or None)
        return await cursor.fetchall() if cursor.description else []

    @asynccontextmanager
    async def tampering(self, run_id: str, *statements: str) -> AsyncIterator[None]:
        """The statements take effect, and everything about the run is put back afterwards."""
        saved = {t: await self.sql(f"select to_jsonb(t) from {t} as t where {_id(t)} = %s", run_id) for t in TABLES}
        for statement in statements:
            await self.sql(statement, run_id)
        try:
            yield
        finally:
            for table in TABLES:
                await self.sql(f"delete from {table} where {_id(table)} = %s", run_id)
            for table in reversed(TABLES):
                rows = json.dumps([row for (row,) in saved[table]])
                await self.sql(f"insert into {table} select * from jsonb_populate_recordset(null::{table}, %s)", rows)


def _id(table: str) -> str:
    return "id" if table == "runs" else "run_id"


@pytest.fixture
async def owner(gateway: Gateway) -> AsyncIterator[Owner]:
    url = gateway.stack.database_url("supabase_admin")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("set session_replication_role = replica")
        yield Owner(connection)


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a key, the trust root for it, and the copies that the worker keeps."""
    folder = tmp_path_factory.mktemp("signing")
    (folder / "key.pem").write_bytes(private_pem(key()))
    (folder / "root.json").write_text(
        TrustRoot().trusting(key().public_key(), "the test's worker", "2026-01-01T00:00:00Z").text()
    )
    (folder / "copies").mkdir()
    return folder  # pyright: ignore[reportReturnType]


@pytest.fixture(scope="module")
async def publisher(gateway: Gateway, signing: Path) -> AsyncIterator[Path]:
    """The log of a worker that publishes several times a second."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | {
        "SUPABASE_URL": gateway.url,
        "SUPABASE_SERVICE_ROLE_KEY": gateway.stack.secrets.service_role_key,
        "OPSROOM_DATABASE_URL": gateway.stack.database_url("worker"),
        "OPSROOM_WORKER_PORT": "off",
        "OPSROOM_WORK_ROOT": str(signing),
        "OPSROOM_SIGNING_KEY": str(signing / "key.pem"),
        "OPSROOM_CHECKPOINT_SECONDS": "0.4",
        "OPSROOM_CHECKPOINT_DIR": str(signing / "copies"),
    }
    log = signing / "worker.log"
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "workers", env=environment, stdout=file, stderr=file
        )
    yield log
    process.kill()
    await process.wait()


async def published(owner: Owner, room: ControlPlane, session: Session, log: Path, template: str = "t-hello") -> str:
    """A run that has ended, and whose end is published."""
    run = await room.create_run(session.id, template, {})

    async def there() -> bool:
        rows = await owner.sql(
            "select 1 from runs as r, checkpoints as c where r.id = %s and r.finished_at < c.ended_until", run.id
        )
        return bool(rows)

    try:
        await eventually(there, "a checkpoint after the run's end", 30)
    except AssertionError as error:
        raise AssertionError(f"{error}; the worker said:\n{log.read_text()}") from None
    return run.id


async def test_what_was_done_to_the_database_shows(
    gateway: Gateway,
    viewer: Shell,
    admin: ControlPlane,
    templates: None,
    session: Session,
    owner: Owner,
    publisher: Path,
    signing: Path,
    tmp_path: Path,
) -> None:
    run_id = await published(owner, admin, session, publisher)
    audit = tmp_path / "audit"
    fetched = await viewer.run("checkpoint", "fetch", str(audit), "--json")
    assert fetched.code == 0 and fetched.json["last"] >= 1, fetched.err
    verify = ("checkpoint", "verify", str(audit), "--trust", str(signing / "root.json"), "--json")
    offline = await viewer.run(*verify)
    assert (offline.code, offline.json["holds"], offline.json["compared"]) == (0, True, False), offline.out
    held = await viewer.run(*verify, "--against", "--events")
    assert (held.code, held.json["compared"]) == (0, True), held.out + held.err

    async def found(*, whole: bool = False) -> tuple[int, str, str]:
        """As `--against` and `--events` judge, without a process for each."""
        try:
            keys = trusted(str(signing / "root.json"))
            await against_database(admin, read_chain(audit, keys), whole=whole)
        except DoesNotHold as error:
            return 1, error.check, str(error)
        return 0, "", ""

    last = (await owner.sql("select max(seq) from run_events where run_id = %s", run_id))[0][0]
    rows = await owner.sql("select to_jsonb(e) from run_events as e where run_id = %s and seq = %s", run_id, last)
    forged = Event.model_validate(
        rows[0][0] | {"message": "All went well", "at": rows[0][0]["at"].replace("+00:00", "Z")}
    )
    for statements, whole, check, words in (
        ([f"delete from run_events where run_id = %s and seq > {last - 2}"], False, "tail", f"ends at event {last - 2}"),
        (
            [f"update run_events set message = 'All went well', hash = '{event_hash(forged)}' where run_id = %s and seq = {last}"],
            False, "chain", "was rewritten",
        ),
        (
            ["update run_events set message = 'nothing to see' where run_id = %s and seq = 2"],
            True, "chain", "event 2 was changed",
        ),
        ([f"delete from {table} where {_id(table)} = %s" for table in TABLES], False, "run", "has no such run"),
        ([f"delete from run_events where run_id = %s and seq = {last}",
          f"update run_events set seq = {last + 1} where run_id = %s and seq = {last - 1}"], False, "chain", "is missing"),
    ):  # fmt: skip
        async with owner.tampering(run_id, *statements):
            code, named, message = await found(whole=whole)
            assert (code, named) == (1, check), message
            assert words in message and run_id in message
            if check == "tail":
                answer = await viewer.run(*verify, "--against")
                assert (answer.code, answer.json["check"], answer.json["message"]) == (code, named, message)
    assert (await found())[0] == 0, "it was not put back"

    saved = await owner.sql("delete from checkpoints where number = 1 returning to_jsonb(checkpoints)")
    try:
        code, named, message = await found()
        assert (code, named) == (1, "record") and "does not know checkpoint 1" in message
    finally:
        await owner.sql(
            "insert into checkpoints select * from jsonb_populate_record(null::checkpoints, %s)",
            json.dumps(saved[0][0]),
        )
    (audit / file_name(1)).unlink()
    assert (await found())[:2] == (1, "missing")
    stranger, copies = await signed_in(gateway, None, tmp_path), str(signing / "copies")
    refused = await stranger.run(*verify[:2], copies, *verify[3:], "--against")
    assert (refused.code, refused.error["code"]) == (6, "not_a_member")


async def test_a_bundle_is_held_against_checkpoints(
    viewer: Shell,
    admin: ControlPlane,
    templates: None,
    session: Session,
    owner: Owner,
    publisher: Path,
    signing: Path,
    tmp_path: Path,
) -> None:
    run_id = await published(owner, admin, session, publisher)

    # Another worker, which has no key, may have ended it: what nobody bundled is found after a minute.
    await owner.sql("insert into private.bundle_work (run_id) values (%s) on conflict do nothing", run_id)

    async def bundled() -> bool:
        return await admin.bundle(run_id) is not None

    await eventually(bundled, "a bundle", 30)
    assert (await viewer.run("bundle", run_id, "-o", str(tmp_path / "run.zip"))).code == 0
    assert (await viewer.run("checkpoint", "fetch", str(tmp_path / "audit"))).code == 0
    check = ("verify", str(tmp_path / "run.zip"), "--trust", str(signing / "root.json"), "--json")
    held = await viewer.run(*check, "--checkpoints", str(tmp_path / "audit"))
    assert held.code == 0 and held.json["checkpoint"] >= 1, held.out

    # The worker's own copies are the same files, and a folder that never heard of the run does not vouch for it.
    copies = signing / "copies"
    number = held.json["checkpoint"]

    async def copied() -> bool:
        return (copies / file_name(number)).exists()

    await eventually(copied, "the worker's copy", 20)
    assert (copies / file_name(number)).read_bytes() == (tmp_path / "audit" / file_name(number)).read_bytes()
    shutil.rmtree(tmp_path / "audit")
    (tmp_path / "audit").mkdir()
    shutil.copy(copies / file_name(1), tmp_path / "audit")
    refused = await viewer.run(*check, "--checkpoints", str(tmp_path / "audit"))
    first, _ = unsigned((copies / file_name(1)).read_bytes())
    # Of a run that was under way when it was made, the first one has a head too.
    knows = run_id in first.decode()
    assert (refused.code, refused.json.get("check")) == ((0, None) if knows else (1, "checkpoint"))


async def test_a_database_that_was_set_back_publishes_no_number_again(
    admin: ControlPlane, templates: None, session: Session, owner: Owner, publisher: Path
) -> None:
    await published(owner, admin, session, publisher)
    await published(owner, admin, session, publisher)
    taken = await owner.sql(
        "delete from checkpoints where number >= (select max(number) from checkpoints) - 1 returning to_jsonb(checkpoints)"
    )
    await owner.sql("update private.checkpoint_state set ended_at = '-infinity', claimed_until = '-infinity'")

    # What is published of those numbers already counts as it is, because it follows; nothing is published twice.
    async def again() -> bool:
        rows = await owner.sql("select number, digest from checkpoints")
        return {(c["number"], c["digest"]) for (c,) in taken} <= set(rows)

    await eventually(again, "the published ones to be recorded again", 20)
    known = await owner.sql("select number, digest from checkpoints")
    # On a history that is not the published one nothing is built.
    await owner.sql("update checkpoints set digest = translate(digest, '0123456789', 'abcdefabcd')")
    try:
        await admin.create_run(session.id, "t-hello", {})
        before = await owner.sql("select count(*) from checkpoints")

        async def refused() -> bool:
            # One that was under way when the history changed has its claim for two minutes.
            await owner.sql("update private.checkpoint_state set claimed_until = '-infinity'")
            return "does not fit this database" in publisher.read_text()

        await eventually(refused, "the worker to say that it does not fit", 20)
        assert await owner.sql("select count(*) from checkpoints") == before
    finally:
        for number, digest in known:
            await owner.sql("update checkpoints set digest = %s where number = %s", digest, number)
        await owner.sql("update private.checkpoint_state set claimed_until = '-infinity'")


async def test_facts_about_heads_are_for_members(gateway: Gateway, admin: ControlPlane) -> None:
    run_id = "6f1f5a2e-9f57-4a0e-8a7e-2f8b6f0c1d11"
    async with gateway.room(await gateway.person("viewer")) as room:
        assert (await room.read_heads([(run_id, 1)])).heads == ((False, 0, None),)
    async with gateway.room(await gateway.person(None)) as room:
        with pytest.raises(NotAMember):
            await room.read_heads([])
    for wrong in ([("x", 1)], [(run_id, 2**80)], [(run_id, 1)] * 1001):
        with pytest.raises(InvalidArgument):
            await admin.read_heads(wrong)
