"""`ControlPlane`: all that the UI and the command line ask of the control plane, as typed calls of one signed-in
person.

Queries read; commands change, are idempotent, and raise an `OpsRoomError` when refused. Every method may raise
`ControlPlaneUnreachable`, and `NotAuthenticated` when the sign-in has ended.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

import httpx

from opsroom.control_plane.auth import Credentials
from opsroom.control_plane.bundles import Bundles
from opsroom.control_plane.checkpoints import Checkpoints
from opsroom.control_plane.commands import as_uuid
from opsroom.control_plane.config import Connection
from opsroom.control_plane.errors import ArtifactDamaged
from opsroom.control_plane.fleet import Fleet
from opsroom.control_plane.gates import Gates
from opsroom.control_plane.keeping import Keeping
from opsroom.control_plane.library import Library
from opsroom.control_plane.models import (
    Artifact,
    Board,
    EventPage,
    Found,
    Member,
    Run,
    RunDetail,
    SessionSummary,
    Worker,
)
from opsroom.control_plane.queries import select_ended_runs, select_members, select_workers
from opsroom.control_plane.realtime import Feed, FeedState
from opsroom.control_plane.reports import Reports
from opsroom.control_plane.rest import Rest
from opsroom.domain.errors import EvidenceExpired, InvalidArgument

ARTIFACT_BUCKET = "artifacts"


class ControlPlane(Reports, Library, Gates, Bundles, Checkpoints, Keeping):
    """The control plane as one person. Cheap to make: connections are `http`'s, shared by the whole process."""

    def __init__(self, connection: Connection, credentials: Credentials, http: httpx.AsyncClient) -> None:
        super().__init__(Rest(connection, credentials, http))
        self.connection = connection
        self.credentials = credentials

    # --- queries ---

    async def whoami(self) -> Member:
        """The signed-in person. Raises NotAMember when an admin has not let them in."""
        return Member.model_validate(await self._rest.rpc("whoami"))

    async def list_sessions(self, *, archived: bool = False) -> tuple[SessionSummary, ...]:
        """Open sessions, or the archived ones, with the counts of their runs."""
        rows = await self._rest.rpc("list_sessions", {"p_archived": archived})
        return tuple(SessionSummary.model_validate(row) for row in rows)

    async def read_board(self, session_id: str, lanes: Collection[str] | None = None) -> Board:
        """A session's lanes, all or those named. Raises SessionNotFound."""
        arguments = {"p_session_id": as_uuid(session_id, "session"), "p_lanes": sorted(lanes) if lanes else None}
        return Board.model_validate(await self._rest.rpc("read_board", arguments))

    async def read_run(self, run_id: str) -> RunDetail:
        """A run with steps, artifacts and attempts. Raises RunNotFound."""
        return RunDetail.model_validate(await self._rest.rpc("read_run", {"p_run_id": as_uuid(run_id, "run")}))

    async def read_events(self, run_id: str, *, after: int = 0, limit: int = 500) -> EventPage:
        """Events numbered above `after`, oldest first, at most `limit`. Raises RunNotFound."""
        arguments = {"p_run_id": as_uuid(run_id, "run"), "p_after": after, "p_limit": limit}
        return EventPage.model_validate(await self._rest.rpc("read_events", arguments))

    async def search_room(self, text: str, *, limit: int = 8) -> Found:
        """Sessions and runs whose title has all words of `text`, or whose id begins with it; the latest without one."""
        return Found.model_validate(await self._rest.rpc("search_room", {"p_text": text, "p_limit": limit}))

    async def ended_runs(self, person: str, *, limit: int = 20) -> tuple[Run, ...]:
        """Runs that the person with this user id launched and that have ended, the latest first."""
        return tuple(Run.model_validate(row) for row in await self._rest.send(select_ended_runs(person, limit)))

    async def workers(self) -> tuple[Worker, ...]:
        """Workers that have not stopped, most recently seen first."""
        return tuple(Worker.model_validate(row) for row in await self._rest.send(select_workers()))

    async def read_fleet(self) -> Fleet:
        """Workers that were seen within the last minute, what waits, what is stuck, and when was last swept."""
        return Fleet.model_validate(await self._rest.rpc("read_fleet"))

    async def members(self) -> tuple[Member, ...]:
        """The people of this room, by e-mail."""
        return tuple(Member.model_validate(row) for row in await self._rest.send(select_members()))

    @asynccontextmanager
    async def open_artifact(self, artifact: Artifact) -> AsyncGenerator[AsyncIterator[bytes]]:
        """The bytes of an artifact in chunks. After the last one, raises ArtifactDamaged if they are not those that
        were recorded.
        """
        if artifact.object_path is None:
            raise InvalidArgument(
                f"Artifact {artifact.name!r} is a link and has no bytes.", hint=f"Open {artifact.url}."
            )
        _refuse_expired(artifact)
        async with self._rest.object(ARTIFACT_BUCKET, artifact.object_path) as response:
            yield _checked(response.aiter_bytes(64 * 1024), artifact)

    @asynccontextmanager
    async def open_artifact_part(self, artifact: Artifact, part: str) -> AsyncGenerator[httpx.Response]:
        """The bytes that `part`, a `Range` like `bytes=0-99`, names, not checked: Storage's answer 206 (or 200 with
        all of them), or 416 when there is no such part. Raises ArtifactMissing.
        """
        if artifact.object_path is None:
            raise InvalidArgument(f"Artifact {artifact.name!r} is a link and has no bytes.")
        _refuse_expired(artifact)
        async with self._rest.object(ARTIFACT_BUCKET, artifact.object_path, part) as response:
            yield response

    def feed(
        self,
        *topics: str,
        poll_seconds: float = 2.0,
        least_seconds: float = 0.0,
        on_state: Callable[[FeedState], None] | None = None,
    ) -> Feed:
        """Doorbells of `topics` (see `realtime.Feed`), at most one of each in `least_seconds`; `on_state` is told
        whenever its liveness changes.
        """

        async def session_of(run_id: str) -> str:
            return (await self.read_run(run_id)).run.session_id

        return Feed(
            self.connection,
            self.credentials,
            topics,
            poll_seconds=poll_seconds,
            least_seconds=least_seconds,
            on_state=on_state,
            session_of=session_of,
        )


def _refuse_expired(artifact: Artifact) -> None:
    if artifact.expired_at:
        raise EvidenceExpired(
            f"The bytes of artifact {artifact.name!r} expired on {artifact.expired_at:%Y-%m-%d}.",
            hint="The run's bundle has them, if they were at most 32 MiB; the digest stays on record.",
        )


async def _checked(chunks: AsyncIterator[bytes], artifact: Artifact) -> AsyncIterator[bytes]:
    digest, size = hashlib.sha256(), 0
    async for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        yield chunk
    if artifact.sha256 is not None and digest.hexdigest() != artifact.sha256:
        raise ArtifactDamaged(
            f"Artifact {artifact.name!r} was recorded as sha256 {artifact.sha256} ({artifact.size_bytes} bytes), "
            f"but the store holds {digest.hexdigest()} ({size} bytes).",
            hint="Do not use the bytes. Restore the object from a backup, or run again.",
        )
