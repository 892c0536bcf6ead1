"""The worker's side of the control plane: typed calls over either transport. The only place that talks to it."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter

from opsroom.domain.lifecycle import FinishStatus, Lane, Reason
from workers.config import Settings
from workers.store.https import HttpsTransport
from workers.store.objects import Objects
from workers.store.postgres import PostgresTransport
from workers.store.transport import Channel, Refused, Transport, Unavailable

__all__ = ["Beat", "Claim", "Held", "Objects", "Refused", "Store", "Unavailable", "open_store"]

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Claim(_Answer):
    """A run that is this worker's, and the token that proves it."""

    run_id: str
    claim_token: str
    session_id: str
    lane: Lane
    attempt: int
    root_run_id: str
    title: str | None = None
    template_slug: str
    template_version: int
    template_digest: str
    spec: dict[str, Any]
    params: dict[str, Any]
    lease_seconds: float
    timeout_seconds: float
    queued_at: str | None = None


class Beat(_Answer):
    """What a heartbeat learned of one run."""

    run_id: str
    verdict: Literal["ok", "cancel", "lost"]
    lease_seconds: float | None = None


class Held(_Answer):
    """Whether the run was still in this worker's hands when it wrote."""

    verdict: Literal["ok", "lost"]


class _Started(_Answer):
    verdict: Literal["started", "cancel", "lost"]


_CLAIMS: Final = TypeAdapter(list[Claim])
_BEATS: Final = TypeAdapter(list[Beat])


class Store:
    """Every worker function, typed. A call that may be repeated is repeated, with backoff, until it is answered.

    Whoever must not wait for ever cancels the call: a run's calls are cancelled when its lease is over.
    """

    def __init__(self, transport: Transport, worker_id: str) -> None:
        self._transport = transport
        self._worker_id = worker_id

    @property
    def transport(self) -> str:
        return self._transport.name

    def hints(self) -> AsyncIterator[str]:
        """Wake-ups, see Transport.hints."""
        return self._transport.hints()

    async def open(self) -> None:
        await self._transport.open()

    async def close(self) -> None:
        await self._transport.close()

    async def register_worker(self, *, name: str, host: str, pid: int, version: str, capacity: int) -> None:
        about = {"p_name": name, "p_host": host, "p_pid": pid, "p_version": version}
        await self._call("register_worker", {**about, "p_capacity": capacity, "p_transport": self.transport})

    async def drain_worker(self) -> None:
        await self._call("drain_worker", {})

    async def stop_worker(self) -> None:
        await self._call("stop_worker", {})

    async def claim_runs(self, limit: int, request_id: str) -> list[Claim]:
        """Up to `limit` runs. The same `request_id` again gives the same answer, so that a lost one loses no run."""
        return _CLAIMS.validate_python(await self._call("claim_runs", {"p_limit": limit, "p_request_id": request_id}))

    async def heartbeat(self, runs: Sequence[tuple[str, str]]) -> list[Beat]:
        """One try: the next heartbeat is the retry. Raises Unavailable."""
        held = [{"run_id": run_id, "claim_token": token} for run_id, token in runs]
        params = {"p_worker_id": self._worker_id, "p_runs": held}
        return _BEATS.validate_python(await self._transport.call("heartbeat", params, "heartbeat"))

    async def sweep_runs(self) -> dict[str, int]:
        """One try. Raises Unavailable."""
        return await self._transport.call("sweep_runs", {}, "calls")

    async def start_run(self, claim: Claim) -> Literal["started", "cancel", "lost"]:
        return _Started.model_validate(await self._call("start_run", _fence(claim))).verdict

    async def append_events(self, claim: Claim, batch: int, events: Sequence[Mapping[str, JsonValue]]) -> Held:
        params = {**_fence(claim), "p_batch": batch, "p_events": list(events)}
        return Held.model_validate(await self._call("append_events", params))

    async def put_artifact(self, claim: Claim, artifact: Mapping[str, JsonValue]) -> Held:
        return Held.model_validate(await self._call("put_artifact", {**_fence(claim), "p_artifact": dict(artifact)}))

    async def finish_run(
        self, claim: Claim, status: FinishStatus, reason: Reason | None, message: str | None, exit_code: int | None
    ) -> Held:
        outcome = {"p_status": status, "p_reason": reason, "p_message": message, "p_exit_code": exit_code}
        return Held.model_validate(await self._call("finish_run", {**_fence(claim), **outcome}))

    async def _call(self, function: str, params: Mapping[str, Any], channel: Channel = "calls") -> Any:
        if "p_claim_token" not in params:
            params = {"p_worker_id": self._worker_id, **params}
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._transport.call(function, params, channel)
            except Unavailable as error:
                log.warning("a call will be repeated", extra={"function": function, "error": str(error)})
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  jitter, not a secret
            pause = min(pause * 2, LONGEST_PAUSE)


def _fence(claim: Claim) -> dict[str, Any]:
    return {"p_run_id": claim.run_id, "p_claim_token": claim.claim_token}


def open_store(settings: Settings, worker_id: str) -> Store:
    """The store over the transport that the settings ask for: the database's when its address is given."""
    size = settings.concurrency + 2
    if settings.database_url:
        return Store(PostgresTransport(settings.database_url, size), worker_id)
    return Store(HttpsTransport(settings.supabase_url, settings.service_key, size), worker_id)
