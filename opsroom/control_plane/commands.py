"""Commands on sessions, lanes, runs and workers, as one signed-in person. They change, are idempotent, and raise an
`OpsRoomError` when refused.
"""

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from opsroom.control_plane.fleet import LaneSettings
from opsroom.control_plane.models import Run, Session, Worker
from opsroom.control_plane.rest import Rest
from opsroom.domain.errors import InvalidArgument
from opsroom.domain.lifecycle import Lane


class Commands:
    """What an operator does in the lifecycle; `ControlPlane` adds the queries and what admins do."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def create_session(self, title: str, intent: str = "", *, idempotency_key: str | None = None) -> Session:
        """Open a session."""
        arguments = {"p_title": title, "p_intent": intent, "p_idempotency_key": idempotency_key or new_key()}
        return Session.model_validate(await self._rest.rpc("create_session", arguments))

    async def archive_session(self, session_id: str) -> Session:
        """Close a session for new runs."""
        return Session.model_validate(
            await self._rest.rpc("archive_session", {"p_session_id": as_uuid(session_id, "session")})
        )

    async def reopen_session(self, session_id: str) -> Session:
        """Undo `archive_session`."""
        return Session.model_validate(
            await self._rest.rpc("reopen_session", {"p_session_id": as_uuid(session_id, "session")})
        )

    async def set_session_paused(self, session_id: str, paused: bool) -> Session:
        """Hold a session's queue back, or let it go. What runs goes on; nothing loses its place."""
        arguments = {"p_session_id": as_uuid(session_id, "session"), "p_paused": paused}
        return Session.model_validate(await self._rest.rpc("set_session_paused", arguments))

    async def set_lane(
        self, session_id: str, lane: Lane, *, capacity: int | None = None, paused: bool | None = None
    ) -> LaneSettings:
        """Set how many runs of a lane go at once (1 to 100), and whether its queue is held back; None leaves it."""
        arguments = {
            "p_session_id": as_uuid(session_id, "session"),
            "p_lane": lane,
            "p_capacity": capacity,
            "p_paused": paused,
        }
        return LaneSettings.model_validate(await self._rest.rpc("set_lane", arguments))

    async def create_run(
        self,
        session_id: str,
        template: str,
        params: Mapping[str, JsonValue],
        *,
        lane: Lane = "A",
        priority: int = 0,
        not_before: dt.datetime | None = None,
        title: str | None = None,
        idempotency_key: str | None = None,
    ) -> Run:
        """Queue a run. Raises InvalidParams with one `FieldError` per wrong field, TemplateNotFound and others."""
        arguments = {
            "p_session_id": as_uuid(session_id, "session"),
            "p_template": template,
            "p_params": dict(params),
            "p_lane": lane,
            "p_priority": priority,
            "p_not_before": not_before.isoformat() if not_before else None,
            "p_title": title,
            "p_idempotency_key": idempotency_key or new_key(),
        }
        return Run.model_validate(await self._rest.rpc("create_run", arguments))

    async def cancel_run(self, run_id: str, reason: str | None = None, *, force: bool = False) -> Run:
        """Ask for a run's end. A queued run is cancelled at once, a live one when its worker has stopped it.

        With `force` a live one is cancelled here and now: its worker is refused from then on and kills what it runs,
        but until it notices (at most the run's lease) the processes may go on, and meet those of a later run.
        """
        arguments = {"p_run_id": as_uuid(run_id, "run"), "p_reason": reason, "p_force": force}
        return Run.model_validate(await self._rest.rpc("cancel_run", arguments))

    async def move_run(self, run_id: str, *, lane: Lane | None = None, priority: int | None = None) -> Run:
        """Give a queued run another lane of its session, or another priority; None leaves it as it is. Its age stays.
        Raises IllegalTransition once it is not queued any more.
        """
        arguments = {"p_run_id": as_uuid(run_id, "run"), "p_lane": lane, "p_priority": priority}
        return Run.model_validate(await self._rest.rpc("move_run", arguments))

    async def place_run(self, run_id: str, lane: Lane, *, before: str | None = None) -> Run:
        """Place a queued run in a lane of its session: before another queued run of that lane, or at its end. Raises
        IllegalTransition once either is not queued there any more.
        """
        arguments = {
            "p_run_id": as_uuid(run_id, "run"),
            "p_lane": lane,
            "p_before": before and as_uuid(before, "run"),
        }
        return Run.model_validate(await self._rest.rpc("place_run", arguments))

    async def mark_seen(self, run_ids: Iterable[str] = (), *, session_id: str | None = None) -> int:
        """Note that the signed-in person has looked at the results of finished runs, or of all failures of a session.
        Gives how many were new to them.
        """
        arguments = {
            "p_run_ids": [as_uuid(run_id, "run") for run_id in run_ids],
            "p_session_id": session_id and as_uuid(session_id, "session"),
        }
        return int(await self._rest.rpc("mark_seen", arguments))

    async def retry_run(self, run_id: str, *, resume: bool = False) -> Run:
        """The next attempt of a finished run; the same one when asked again. Raises RunNotFinished.

        With `resume` it carries over the steps that succeeded, with their artifacts, and goes on after them
        (`Step.carried_from`). A next attempt that is there already stays as it is.
        """
        arguments = {"p_run_id": as_uuid(run_id, "run"), "p_resume": resume}
        return Run.model_validate(await self._rest.rpc("retry_run", arguments))

    async def rerun(
        self,
        run_id: str,
        *,
        params: Mapping[str, JsonValue] | None = None,
        lane: Lane | None = None,
        idempotency_key: str | None = None,
    ) -> Run:
        """A new run of the same template, with the old params unless others are given."""
        arguments = {
            "p_run_id": as_uuid(run_id, "run"),
            "p_params": dict(params) if params is not None else None,
            "p_lane": lane,
            "p_idempotency_key": idempotency_key or new_key(),
        }
        return Run.model_validate(await self._rest.rpc("rerun", arguments))

    async def replay_run(self, run_id: str, *, lane: Lane | None = None, idempotency_key: str | None = None) -> Run:
        """The same template version with the same params again, to be compared with this run when it has ended. Raises
        NotDeterministic when the template does not promise that this can be.
        """
        arguments = {"p_run_id": as_uuid(run_id, "run"), "p_lane": lane}
        key = {"p_idempotency_key": idempotency_key or new_key()}
        return Run.model_validate(await self._rest.rpc("replay_run", {**arguments, **key}))

    async def drain_worker(self, worker_id: str) -> Worker:
        """Give a worker no more runs; those it has go on. Needs the role admin. Raises WorkerNotFound."""
        return await self._set_draining(worker_id, True)

    async def resume_worker(self, worker_id: str) -> Worker:
        """Undo `drain_worker`. A worker that was told to stop (SIGTERM) stops all the same."""
        return await self._set_draining(worker_id, False)

    async def _set_draining(self, worker_id: str, draining: bool) -> Worker:
        arguments = {"p_worker_id": as_uuid(worker_id, "worker"), "p_draining": draining}
        return Worker.model_validate(await self._rest.rpc("set_worker_draining", arguments))


def as_uuid(text: str, what: str) -> str:
    """`text` as a UUID is written. Raises InvalidArgument when it is none."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise InvalidArgument(
            f"{text!r} is no {what} id.", hint=f"A {what} id is a UUID, as the lists show it."
        ) from None


def new_key() -> str:
    """An idempotency key for a call that is given none."""
    return str(uuid.uuid4())
