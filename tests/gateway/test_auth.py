"""Auth through the unmodified supabase-py, and what its tokens open."""

from __future__ import annotations

import time
import uuid

import jwt
import pytest
from postgrest import CountMethod, ReturnMethod
from postgrest.exceptions import APIError
from supabase_auth.errors import AuthApiError

from tests.gateway.project import PASSWORD, Person, Project


async def test_signing_in_gives_a_session_like_supabase(project: Project) -> None:
    person = await project.person()
    session = await person.client.auth.get_session()
    assert session is not None
    assert (session.token_type, session.expires_in) == ("bearer", 3600)
    claims = jwt.decode(session.access_token, options={"verify_signature": False})
    assert claims["sub"] == person.id and claims["role"] == claims["aud"] == "authenticated"
    assert claims["email"] == person.email and claims["iss"].endswith("/auth/v1") and claims["session_id"]
    assert abs(claims["exp"] - claims["iat"] - 3600) < 2 and abs(claims["iat"] - time.time()) < 60


@pytest.mark.parametrize("password", ["wrong", "x" * 5000, "nul\x00", PASSWORD + "!"])
async def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(project: Project, password: str) -> None:
    person = await project.person()
    client = await project.client()
    for email in (person.email, f"nobody-{uuid.uuid4()}@example.org"):
        with pytest.raises(AuthApiError) as failure:
            await client.auth.sign_in_with_password({"email": email, "password": password})
        assert failure.value.status == 400
        assert failure.value.code in ("invalid_credentials", "validation_failed")


async def test_refreshing_rotates_the_token(project: Project) -> None:
    person = await project.person()
    first = await person.client.auth.get_session()
    assert first is not None
    second = (await person.client.auth.refresh_session(first.refresh_token)).session
    assert second is not None and second.refresh_token != first.refresh_token
    third = (await person.client.auth.refresh_session(second.refresh_token)).session
    assert third is not None and third.user.id == person.id
    with pytest.raises(AuthApiError) as failure:
        await person.client.auth.refresh_session("unknown-token")
    assert failure.value.code == "refresh_token_not_found"


async def test_an_old_refresh_token_that_comes_back_late_ends_the_session(
    project: Project, embedded_only: None
) -> None:
    import psycopg

    assert project.address.database_url is not None
    person = await project.person()
    first = await person.client.auth.get_session()
    assert first is not None
    second = (await person.client.auth.refresh_session(first.refresh_token)).session
    assert second is not None
    async with await psycopg.AsyncConnection.connect(project.address.database_url) as connection:
        await connection.execute("update auth.refresh_tokens set revoked_at = revoked_at - interval '1 minute'")
    with pytest.raises(AuthApiError) as failure:
        await person.client.auth.refresh_session(first.refresh_token)
    assert failure.value.code == "refresh_token_already_used"
    with pytest.raises(AuthApiError):
        await person.client.auth.refresh_session(second.refresh_token)


async def test_the_signed_in_user_can_be_read_and_changed(project: Project) -> None:
    person = await project.person()
    changed = await person.client.auth.update_user({"data": {"display_name": "Ada 🚀"}})
    assert changed.user.user_metadata["display_name"] == "Ada 🚀"
    answer = await person.client.auth.get_user(person.token)
    assert answer is not None and answer.user.id == person.id
    await person.client.auth.update_user({"password": "another long password"})
    client = await project.client()
    await client.auth.sign_in_with_password({"email": person.email, "password": "another long password"})


async def test_signing_out_ends_the_refresh_token(project: Project) -> None:
    person = await project.person()
    session = await person.client.auth.get_session()
    assert session is not None
    await person.client.auth.sign_out()
    with pytest.raises(AuthApiError):
        await person.client.auth.refresh_session(session.refresh_token)
    gone = await project.http.get("/auth/v1/user", headers=project.headers(session.access_token))
    assert gone.status_code == 403


async def test_administering_users(project: Project) -> None:
    person = await project.person()
    admin = (await project.service()).auth.admin
    assert (await admin.get_user_by_id(person.id)).user.email == person.email
    assert person.id in {user.id for user in await admin.list_users(per_page=1000)}
    changed = await admin.update_user_by_id(person.id, {"app_metadata": {"team": "red"}})
    assert changed.user.app_metadata["team"] == "red" and changed.user.app_metadata["provider"] == "email"
    with pytest.raises(AuthApiError) as failure:
        await admin.create_user({"email": person.email, "password": PASSWORD})
    assert (failure.value.status, failure.value.code) == (422, "email_exists")
    await admin.update_user_by_id(person.id, {"ban_duration": "1h"})
    with pytest.raises(AuthApiError) as failure:
        await (await project.client()).auth.sign_in_with_password({"email": person.email, "password": PASSWORD})
    assert failure.value.code == "user_banned"
    other = await project.person()
    project.people.remove(other.id)
    await admin.delete_user(other.id)
    with pytest.raises(AuthApiError) as failure:
        await admin.get_user_by_id(other.id)
    assert failure.value.status == 404


async def test_administering_needs_the_service_key(project: Project, ada: Person) -> None:
    for token in (None, ada.token):
        for method, path in (("GET", "users"), ("POST", "users"), ("DELETE", f"users/{ada.id}")):
            answer = await project.http.request(method, f"/auth/v1/admin/{path}", headers=project.headers(token))
            assert answer.status_code in (401, 403), (method, path)


async def test_nobody_can_invite_themselves(project: Project, embedded_only: None) -> None:
    client = await project.client()
    with pytest.raises(AuthApiError) as failure:
        await client.auth.sign_up({"email": "guest@example.org", "password": PASSWORD})
    assert failure.value.code == "signup_disabled"


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"email": "no address"}, 400), ({"password": "short"}, 422), ({"email": "nul\x00@example.org"}, 400)],
)
async def test_bad_accounts_are_refused(project: Project, changes: dict[str, str], status: int) -> None:
    body = {"email": f"{uuid.uuid4()}@example.org", "password": PASSWORD} | changes
    key = project.address.service_role_key
    headers = {"apikey": key, "Authorization": f"Bearer {key}"}
    answer = await project.http.post("/auth/v1/admin/users", json=body, headers=headers)
    assert answer.status_code == status, answer.text


async def test_rows_are_shown_to_their_owner_only(project: Project, ada: Person, bob: Person) -> None:
    made = await ada.client.table("contract_notes").insert({"body": "mine"}, returning="minimal").execute()  # type: ignore[arg-type]
    assert made.data == []
    mine = await ada.client.table("contract_notes").select("owner,body").execute()
    assert mine.data == [{"owner": ada.id, "body": "mine"}]
    assert (await bob.client.table("contract_notes").select("id").execute()).data == []
    notes = bob.client.table("contract_notes").delete(count=CountMethod.exact, returning=ReturnMethod.minimal)
    assert (await notes.gt("id", 0).execute()).count == 0
    everything = await (await project.service()).table("contract_notes").select("*").execute()
    assert len(everything.data) == 1
    with pytest.raises(APIError) as failure:
        await ada.client.table("contract_notes").select("secret").execute()
    assert failure.value.code == "42501"


async def test_without_signing_in_nothing_is_granted(project: Project) -> None:
    answer = await project.http.get("/rest/v1/contract_notes", headers=project.headers())
    assert (answer.status_code, answer.json()["code"]) == (401, "42501")


async def test_a_function_knows_its_caller(project: Project, ada: Person) -> None:
    mine = (await ada.client.rpc("contract_whoami").execute()).data
    assert mine == {"role": "authenticated", "uid": ada.id, "user": "authenticated", "method": "POST"}
    service = (await (await project.service()).rpc("contract_whoami").execute()).data
    assert service == {"role": "service_role", "uid": None, "user": "service_role", "method": "POST"}
