"""One call to the control plane: the person's token, one retry where it is safe, errors mapped once."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx
from postgrest import APIError, AsyncPostgrestClient
from supabase import AsyncClient, AsyncClientOptions

from opsroom.control_plane.auth import Credentials
from opsroom.control_plane.config import Connection
from opsroom.control_plane.errors import ArtifactMissing, ControlPlaneFailed, from_api, from_transport, is_token_refused

T = TypeVar("T")

TIMEOUT: Final = httpx.Timeout(20.0, connect=5.0)
_RETRY_AFTER_SECONDS = 0.2
# The connection broke, as against: it was too slow. Every function of the control plane answers a repeated call with
# the same result, so a call whose fate is unknown is sent again.
_BROKEN = (httpx.NetworkError, httpx.RemoteProtocolError)


# Storage answers 400 and says in the body that it means 404.
_GONE: Final = ("not_found", "NoSuchKey", '"404"')


def open_http() -> httpx.AsyncClient:
    """The connection pool of one process; share it between all clients."""
    return httpx.AsyncClient(timeout=TIMEOUT, limits=httpx.Limits(max_connections=50), follow_redirects=False)


class Rest:
    """PostgREST and Storage as one signed-in person."""

    def __init__(self, connection: Connection, credentials: Credentials, http: httpx.AsyncClient) -> None:
        self._connection = connection
        self._credentials = credentials
        self._http = http
        options = AsyncClientOptions(auto_refresh_token=False, persist_session=False, httpx_client=http)
        self._supabase = AsyncClient(connection.url, connection.key, options)

    async def rpc(self, function: str, params: Mapping[str, Any] | None = None) -> Any:
        """Call a SQL function and give its JSON answer."""
        arguments = dict(params or {})

        async def call(api: AsyncPostgrestClient) -> Any:
            return (await api.rpc(function, arguments).execute()).data

        return await self.send(call)

    async def send(self, call: Callable[[AsyncPostgrestClient], Awaitable[T]]) -> T:
        """Run `call` with a good token; renew it once if it is refused, and repeat once if the connection broke."""
        may_renew, may_repeat = True, True
        while True:
            token = await self._credentials.token()
            try:
                return await call(self._supabase.postgrest.auth(token))
            except APIError as error:
                if not (may_renew and is_token_refused(error)):
                    raise from_api(error, self._connection.url) from error
                may_renew = False
                await self._credentials.renew(token)
            except httpx.HTTPError as error:
                if not (may_repeat and isinstance(error, _BROKEN)):
                    raise from_transport(error, self._connection.url) from error
                may_repeat = False
                await asyncio.sleep(_RETRY_AFTER_SECONDS)

    @asynccontextmanager
    async def object(self, bucket: str, path: str, part: str | None = None) -> AsyncGenerator[httpx.Response, None]:
        """The stored object as a response to be read in chunks; supabase-py would hold all of it in memory. `part` is
        a `Range`: the answer is then 206, or 416 when there is no such part. Raises ArtifactMissing.
        """
        url = f"{self._connection.url}/storage/v1/object/{bucket}/{quote(path)}"
        headers = {"apikey": self._connection.key, "Authorization": f"Bearer {await self._credentials.token()}"}
        if part:
            headers |= {"Range": part, "Accept-Encoding": "identity"}
        try:
            async with self._http.stream("GET", url, headers=headers) as response:
                if not response.is_success and response.status_code != 416:
                    body = (await response.aread())[:300].decode(errors="replace")
                    if response.status_code == 404 or any(word in body for word in _GONE):
                        raise ArtifactMissing(
                            f"Storage has no object {bucket}/{path}.",
                            hint="It was removed from the bucket, or your role may not read it.",
                        )
                    raise ControlPlaneFailed(
                        f"Storage answered {response.status_code} for {bucket}/{path}: {body}",
                        hint="Check that your role may read it, and that the object was not removed.",
                    )
                yield response
        except httpx.HTTPError as error:
            raise from_transport(error, self._connection.url) from error
