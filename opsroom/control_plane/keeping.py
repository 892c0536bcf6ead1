"""What is kept: legal holds, what a collection takes, and the audit log."""

import datetime as dt
from collections.abc import AsyncGenerator
from typing import Any

from opsroom.control_plane.commands import as_uuid
from opsroom.control_plane.rest import Rest
from opsroom.control_plane.rows import Row
from opsroom.control_plane.story import Hold
from opsroom.domain.audit import AuditEntry


class DueLog(Row):
    run_id: str
    title: str
    due_at: dt.datetime
    lines: int
    bytes: int


class DueArtifact(Row):
    run_id: str
    name: str
    sha256: str
    size_bytes: int


class Orphan(Row):
    """An object that nothing names."""

    bucket: str
    name: str
    size_bytes: int | None = None
    created_at: dt.datetime


class Due(Row):
    """What a collection would take now. `held`: runs past their time that a hold keeps; `deleting`: objects that are
    given up and still in Storage.
    """

    logs: tuple[DueLog, ...] = ()
    artifacts: tuple[DueArtifact, ...] = ()
    orphans: tuple[Orphan, ...] = ()
    held: int = 0
    deleting: int = 0
    last_collection_at: dt.datetime | None = None


class CollectedLogs(Row):
    runs: int = 0
    lines: int = 0
    bytes: int = 0


class CollectedArtifacts(Row):
    count: int = 0
    bytes: int = 0


class Collected(Row):
    """What one piece of a collection took; `more`: there is more to do."""

    logs: CollectedLogs = CollectedLogs()
    artifacts: CollectedArtifacts = CollectedArtifacts()
    orphans: int = 0
    more: bool = False


class Keeping:
    """Queries and commands about what is kept; part of `ControlPlane`."""

    _rest: Rest

    async def place_hold(self, reason: str, *, run_id: str | None = None, session_id: str | None = None) -> Hold:
        """Keep a run, or a session with all its runs, from being collected. The same hold again is the one there is."""
        arguments = {
            "p_run_id": as_uuid(run_id, "run") if run_id else None,
            "p_session_id": as_uuid(session_id, "session") if session_id else None,
            "p_reason": reason,
        }
        return Hold.model_validate(await self._rest.rpc("place_hold", arguments))

    async def release_hold(self, hold_id: str, reason: str) -> Hold:
        """Release a hold (admin). Raises HoldNotFound."""
        arguments = {"p_hold_id": as_uuid(hold_id, "hold"), "p_reason": reason}
        return Hold.model_validate(await self._rest.rpc("release_hold", arguments))

    async def list_holds(self, *, released: bool = False) -> tuple[Hold, ...]:
        """The holds that stand, the latest first; with `released` those of the past as well."""
        return tuple(Hold.model_validate(row) for row in await self._rest.rpc("list_holds", {"p_released": released}))

    async def read_collection(self, limit: int = 1000) -> Due:
        """What a collection would take now, at most `limit` of each kind (admin). Changes nothing."""
        return Due.model_validate(await self._rest.rpc("read_collection", {"p_limit": limit}))

    async def collect(self) -> Collected:
        """One bounded piece of a collection (admin). Objects that it gives up are deleted by a worker."""
        return Collected.model_validate(await self._rest.rpc("collect_evidence"))

    async def audit_pages(
        self, since: dt.datetime | None = None, until: dt.datetime | None = None
    ) -> AsyncGenerator[list[AuditEntry]]:
        """The audit log's entries of a time, oldest first, page by page (admin). Taking them is an entry as well."""
        arguments: dict[str, Any] = {"p_from": since.isoformat() if since else None}
        arguments["p_to"] = until.isoformat() if until else None
        while True:
            page = await self._rest.rpc("export_audit", arguments)
            yield [AuditEntry.model_validate(entry) for entry in page["entries"]]
            if page["next"] is None:
                return
            arguments |= {"p_after": page["next"], "p_to": page["to"]}
