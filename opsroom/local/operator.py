"""The embedded stack's own operator: one account, made with the same API that a project would use."""

from __future__ import annotations

import httpx

from opsroom.local.environment import LOCAL_EMAIL, api_url
from opsroom.local.errors import StackError
from opsroom.local.paths import Ports
from opsroom.local.secrets import Secrets


async def ensure(secrets: Secrets, ports: Ports) -> None:
    """Make the account and the artifacts' bucket unless they exist, and make the account an admin."""
    key = {"apikey": secrets.service_role_key, "Authorization": f"Bearer {secrets.service_role_key}"}
    try:
        async with httpx.AsyncClient(base_url=api_url(ports), headers=key, timeout=30) as client:
            account: dict[str, object] = {"email": LOCAL_EMAIL, "password": secrets.operator, "email_confirm": True}
            account["user_metadata"] = {"display_name": "Local operator"}
            made = await client.post("/auth/v1/admin/users", json=account)
            if made.is_error and made.json().get("error_code") != "email_exists":
                raise _failed("making the local operator", made)
            member = await client.post("/rest/v1/rpc/set_member", json={"p_email": LOCAL_EMAIL, "p_role": "admin"})
            if member.is_error:
                raise _failed("making the local operator an admin", member)
            if (await client.get("/storage/v1/bucket/artifacts")).is_error:
                bucket = {"id": "artifacts", "name": "artifacts", "public": False}
                created = await client.post("/storage/v1/bucket", json=bucket)
                if created.is_error:
                    raise _failed("making the bucket for artifacts", created)
    except httpx.HTTPError as error:
        raise StackError(f"The gateway stopped answering while the local operator was made: {error}") from error


def _failed(what: str, response: httpx.Response) -> StackError:
    return StackError(f"The gateway refused {what} ({response.status_code}): {response.text[:300]}")
