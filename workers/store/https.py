"""The HTTPS transport: PostgREST's RPC with the service key, for places with no database port. It only polls."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any, cast

import httpx

from opsroom.domain.errors import from_sqlstate
from workers.store.transport import Channel, Losses, Refused, Unavailable

log = logging.getLogger(__name__)

TIMEOUT = httpx.Timeout(15, connect=5)


def service_headers(key: str) -> dict[str, str]:
    """The headers that make a request the service's: legacy JWT and new secret keys are both sent as they are."""
    return {"apikey": key, "authorization": f"Bearer {key}"}


class HttpsTransport:
    """Two clients, so that heartbeats never wait for a connection that events are using."""

    name = "https"
    losses: Losses = "lease"

    def __init__(self, url: str, key: str, size: int) -> None:
        base, headers = f"{url}/rest/v1/rpc/", service_headers(key)
        self._clients: dict[Channel, httpx.AsyncClient] = {
            "calls": httpx.AsyncClient(
                base_url=base, headers=headers, timeout=TIMEOUT, limits=httpx.Limits(max_connections=size)
            ),
            "heartbeat": httpx.AsyncClient(base_url=base, headers=headers, timeout=TIMEOUT),
        }

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def call(self, function: str, params: Mapping[str, Any], channel: Channel) -> Any:
        try:
            answer = await self._clients[channel].post(function, json=dict(params))
        except httpx.TransportError as error:
            raise Unavailable(f"the control plane does not answer: {error or type(error).__name__}") from error
        if answer.is_success:
            return answer.json() if answer.content else None
        raise _translate(answer)

    async def hints(self, worker_id: str) -> AsyncIterator[str]:
        log.info("over HTTPS there are no wake-ups: losses are noticed by the lease", extra={"worker": worker_id})
        await asyncio.Event().wait()
        yield "queued"


def _translate(answer: httpx.Response) -> Exception:
    try:
        body: Any = answer.json()
    except ValueError:
        body = None
    said = cast(dict[str, Any], body) if isinstance(body, dict) else {}
    message = str(said.get("message") or f"HTTP {answer.status_code}")
    known = from_sqlstate(str(said.get("code", "")), message, detail=said.get("details"), hint=said.get("hint"))
    if known:
        return known
    passing = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
    if answer.is_server_error or answer.status_code in passing:
        return Unavailable(f"the control plane answered {answer.status_code}: {message}")
    return Refused(f"the control plane answered {answer.status_code}: {message}")
