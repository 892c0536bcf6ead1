"""The worker's side of the control plane: typed calls over either transport. The only place that talks to it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from opsroom.domain.lifecycle import FinishStatus, Reason
from workers.config import Settings
from workers.store.answers import (
    BEATS,
    FINISHED,
    RELEASED,
    STARTED,
    Alike,
    Beat,
    CarriedArtifact,
    Claim,
    Claims,
    Collected,
    Ended,
    GateState,
    Held,
    Hold,
    Released,
    ReleaseVerdict,
    Started,
    StartVerdict,
    StoredObject,
    Swept,
)
from workers.store.group_commit import LARGEST_GROUP, LINGER_SECONDS, GroupCommit, pauses
from workers.store.https import HttpsTransport
from workers.store.objects import Objects
from workers.store.postgres import PostgresTransport
from workers.store.transport import Losses, Refused, Transport, Unavailable

__all__ = [
    "LARGEST_GROUP", "LINGER_SECONDS", "Alike", "Batch", "Beat", "CarriedArtifact", "Claim", "Claims", "Collected",
    "End", "GateState", "Held", "Hold", "Losses", "Objects", "Refused", "ReleaseVerdict", "StartVerdict", "Started",
    "Store", "Swept", "Unavailable", "open_store",
]  # fmt: skip

log = logging.getLogger(__name__)

PROTOCOL: Final = 2
"""Of the worker functions, as this worker speaks it. The database says which ones it speaks."""
MOST_CONNECTIONS: Final = 10
"""For calls. Runs share them: many runs make larger groups, not more connections."""

Event = dict[str, JsonValue]


@dataclass(frozen=True)
class Batch:
    """Events of a run that are written together, under their number."""

    number: int
    events: Sequence[Mapping[str, JsonValue]]


@dataclass(frozen=True)
class End:
    """What a run comes to."""

    status: FinishStatus
    reason: Reason | None = None
    message: str | None = None
    exit_code: int | None = None


class Store:
    """Every worker function, typed. A call that may be repeated is repeated, with backoff, until it is answered.

    Whoever must not wait for ever cancels the call: a run's calls are cancelled when its lease is over. Starts, ends
    and releases of concurrent runs are committed in groups, see `workers.store.group_commit`; `enough` says how many
    ends are worth a call.
    """

    def __init__(self, transport: Transport, worker_id: str, enough: Callable[[], int] = lambda: 1) -> None:
        self._transport = transport
        self._worker_id = worker_id
        self._starts = GroupCommit[Event, Started]("start_runs", self._start_runs)
        self._ends = GroupCommit[Event, Held]("finish_runs", self._finish_runs, enough)
        self._releases = GroupCommit[Event, Released]("release_runs", self._release_runs)

    @property
    def transport(self) -> str:
        return self._transport.name

    @property
    def losses(self) -> Losses:
        """By what the database notices that this worker is gone."""
        return self._transport.losses

    def hints(self) -> AsyncIterator[str]:
        """Wake-ups, see Transport.hints."""
        return self._transport.hints(self._worker_id)

    async def open(self) -> None:
        await self._transport.open()

    async def close(self) -> None:
        await self._transport.close()

    async def register_worker(self, *, name: str, host: str, pid: int, version: str, capacity: int) -> None:
        """Raises WorkerProtocol when the database does not speak this worker's protocol."""
        about = {"p_name": name, "p_host": host, "p_pid": pid, "p_version": version, "p_capacity": capacity}
        await self._call("register_worker", {**about, "p_transport": self.transport, "p_protocol": PROTOCOL})

    async def drain_worker(self) -> None:
        await self._call("drain_worker", {})

    async def stop_worker(self) -> None:
        await self._call("stop_worker", {})

    async def claim_runs(self, limit: int, request_id: str) -> Claims:
        """Up to `limit` runs. The same `request_id` again gives the same answer, so that a lost one loses no run."""
        answer = await self._call("claim_batch", {"p_limit": limit, "p_request_id": request_id})
        # Each template comes once, however many of its runs there are.
        for about in (*answer["alike"], *answer["runs"]):
            about["spec"] = answer["specs"][about["template_digest"]]
        return Claims.model_validate(answer)

    async def heartbeat(self, runs: Sequence[tuple[str, str]]) -> list[Beat]:
        """One try: the next heartbeat is the retry. Raises Unavailable."""
        held = [{"run_id": run_id, "claim_token": token} for run_id, token in runs]
        params = {"p_worker_id": self._worker_id, "p_runs": held}
        return BEATS.validate_python(await self._transport.call("heartbeat", params, "heartbeat"))

    async def sweep_runs(self) -> Swept:
        """One try. Raises Unavailable."""
        return Swept.model_validate(await self._transport.call("sweep_runs", {}, "calls"))

    async def append_events(self, claim: Hold, batch: Batch) -> Held:
        params = {**_fence(claim), "p_batch": batch.number, "p_events": list(batch.events)}
        return Held.model_validate(await self._call("append_events", params))

    async def put_artifact(self, claim: Hold, artifact: Mapping[str, JsonValue]) -> Held:
        return Held.model_validate(await self._call("put_artifact", {**_fence(claim), "p_artifact": dict(artifact)}))

    async def read_gate(self, claim: Hold, step_id: str) -> GateState:
        """One try. Raises Unavailable."""
        params = {**_fence(claim), "p_step_id": step_id}
        return GateState.model_validate(await self._transport.call("read_gate", params, "calls"))

    async def read_evidence(self, run_id: str) -> dict[str, Any]:
        """All that a bundle tells of an ended run."""
        return await self._repeated("read_evidence", {"p_run_id": run_id})

    async def claim_bundles(self, limit: int) -> list[str]:
        """Ended runs that nobody has made a bundle of. One try. Raises Unavailable."""
        return await self._transport.call("claim_bundles", {"p_limit": limit}, "calls")

    async def put_bundle(self, bundle: Mapping[str, JsonValue]) -> None:
        """Record a bundle that was uploaded."""
        await self._repeated("put_bundle", {"p_bundle": dict(bundle)})

    async def claim_checkpoint(self, interval_seconds: float) -> dict[str, Any] | None:
        """What the next checkpoint has to say; None when it is not this worker's to make. One try. Raises
        Unavailable.
        """
        return await self._transport.call("claim_checkpoint", {"p_interval_seconds": interval_seconds}, "calls")

    async def put_checkpoint(self, checkpoint: Mapping[str, JsonValue]) -> None:
        """Record a checkpoint that was published. Raises VersionConflict when it does not follow the last one."""
        await self._repeated("put_checkpoint", {"p_checkpoint": dict(checkpoint)})

    async def claim_comparisons(self, limit: int) -> list[dict[str, str]]:
        """Ended replays that have no verdict, with the runs they repeat. One try. Raises Unavailable."""
        return await self._transport.call("claim_comparisons", {"p_limit": limit}, "calls")

    async def record_comparison(self, run_id: str, result: Mapping[str, JsonValue]) -> None:
        """The verdict about a replay."""
        await self._repeated("record_comparison", {"p_run_id": run_id, "p_result": dict(result)})

    async def finish_alike(self, runs: Sequence[Hold], events: Sequence[Mapping[str, JsonValue]]) -> Collection[str]:
        """Runs of one template that have all succeeded with the same story. Those that were lost."""
        params = {"p_runs": [_held(hold) for hold in runs], "p_events": list(events)}
        return Ended.model_validate(await self._repeated("finish_alike", params)).lost

    async def collect_evidence(self) -> Collected:
        """One bounded piece of work of the collection, and objects to delete. One try. Raises Unavailable."""
        return Collected.model_validate(await self._transport.call("collect_evidence", {}, "calls"))

    async def forget_objects(self, objects: Sequence[StoredObject]) -> int:
        """Tell that objects were deleted; how many of them Storage has no more. One try. Raises Unavailable."""
        told = [item.model_dump() for item in objects]
        return await self._transport.call("forget_objects", {"p_objects": told}, "calls")

    def start_run(self, claim: Hold) -> "asyncio.Future[Started]":
        """Committed when it is answered: only then may a process of the run be spawned."""
        return self._starts.ask(_held(claim))

    def finish_run(self, claim: Hold, end: End, last: Batch | None = None) -> "asyncio.Future[Held]":
        """The run's end, together with its last events."""
        about: Event = {"status": end.status, "reason": end.reason, "message": end.message, "exit_code": end.exit_code}
        events: Event = {"batch": last.number, "events": [dict(event) for event in last.events]} if last else {}
        return self._ends.ask(_held(claim) | about | events)

    def release_run(self, claim: Hold) -> "asyncio.Future[Released]":
        """Hand back a run that was not started: its successor is queued at once."""
        return self._releases.ask(_held(claim))

    async def _start_runs(self, runs: Sequence[Event]) -> list[Started]:
        return STARTED.validate_python(await self._transport.call("start_runs", {"p_runs": list(runs)}, "calls"))

    async def _finish_runs(self, results: Sequence[Event]) -> list[Held]:
        params = {"p_results": list(results)}
        return FINISHED.validate_python(await self._transport.call("finish_runs", params, "calls"))

    async def _release_runs(self, runs: Sequence[Event]) -> list[Released]:
        return RELEASED.validate_python(await self._transport.call("release_runs", {"p_runs": list(runs)}, "calls"))

    async def _call(self, function: str, params: Mapping[str, Any]) -> Any:
        """A call about a run that is held, by its token, or about this worker."""
        if "p_claim_token" not in params:
            params = {"p_worker_id": self._worker_id, **params}
        return await self._repeated(function, params)

    async def _repeated(self, function: str, params: Mapping[str, Any]) -> Any:
        for pause in pauses():
            try:
                return await self._transport.call(function, params, "calls")
            except Unavailable as error:
                log.warning("a call will be repeated", extra={"function": function, "error": str(error)})
            await asyncio.sleep(pause)


def _fence(claim: Hold) -> dict[str, Any]:
    return {"p_run_id": claim.run_id, "p_claim_token": claim.claim_token}


def _held(claim: Hold) -> Event:
    return {"run_id": claim.run_id, "claim_token": claim.claim_token}


def open_store(settings: Settings, worker_id: str, enough: Callable[[], int] = lambda: 1) -> Store:
    """The store over the transport that the settings ask for: the database's when its address is given."""
    size = min(settings.concurrency + 2, MOST_CONNECTIONS)
    if settings.database_url:
        return Store(PostgresTransport(settings.database_url, size), worker_id, enough)
    return Store(HttpsTransport(settings.supabase_url, settings.service_key, size), worker_id, enough)
