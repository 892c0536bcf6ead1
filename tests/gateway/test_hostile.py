"""What must never work: foreign tokens, injected names, bodies that are too large or broken."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest

from tests.gateway.project import Person, Project
from tests.support.stack import Stack


def _unsigned(claims: dict[str, Any]) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def _claims(person: Person, **changes: Any) -> dict[str, Any]:
    return jwt.decode(person.token, options={"verify_signature": False}) | changes


async def _status(project: Project, token: str) -> list[int]:
    """What REST, Auth and Storage answer to a bearer token."""
    paths = ("/rest/v1/contract_books?select=id", "/auth/v1/user", "/storage/v1/bucket")
    answers = [await project.http.get(path, headers=project.headers(token)) for path in paths]
    return [answer.status_code for answer in answers]


async def test_foreign_unsigned_and_broken_tokens_are_refused(project: Project, ada: Person) -> None:
    good = ada.token.split(".")
    forged = [
        jwt.encode(_claims(ada), "another secret of a decent length....", algorithm="HS256"),
        jwt.encode(_claims(ada, role="service_role"), "another secret of a decent length....", algorithm="HS256"),
        _unsigned(_claims(ada)),
        _unsigned(_claims(ada, role="service_role")),
        f"{good[0]}.{good[1]}.",
        f"{good[0]}.{good[1]}.AAAA",
        "sb_secret_guess",
        "x.y.z",
        "a" * 5000,
    ]
    for token in forged:
        assert all(status in (400, 401, 403) for status in await _status(project, token)), token[:60]


async def test_own_signature_does_not_make_up_for_wrong_claims(
    project: Project, ada: Person, stack: Stack, embedded_only: None
) -> None:
    def signed(claims: dict[str, Any], algorithm: str = "HS256") -> str:
        return jwt.encode(claims, stack.secrets.jwt, algorithm=algorithm)

    expired = await project.http.get(
        "/rest/v1/contract_books", headers=project.headers(signed(_claims(ada, exp=int(time.time()) - 60)))
    )
    assert (expired.status_code, expired.json()["code"]) == (401, "PGRST303")
    assert "JWT expired" in expired.headers["www-authenticate"]
    timeless = {key: value for key, value in _claims(ada).items() if key != "exp"}
    for token in (
        signed(timeless),
        signed(_claims(ada), "HS512"),
        signed(_claims(ada, role="postgres")),
        signed(_claims(ada, role="supabase_admin")),
        signed(_claims(ada, role="authenticator")),
        signed(_claims(ada, role=["service_role"])),
        signed(_claims(ada, nbf=int(time.time()) + 600)),
    ):
        assert all(status in (401, 403) for status in await _status(project, token))


async def test_a_wrong_or_missing_key_is_refused(project: Project, ada: Person) -> None:
    for headers in ({}, {"apikey": "wrong"}, {"apikey": "wrong", "Authorization": f"Bearer {ada.token}"}):
        for path in ("/rest/v1/contract_books", "/auth/v1/user", "/storage/v1/bucket"):
            assert (await project.http.get(path, headers=headers)).status_code in (400, 401, 403)


INJECTIONS = [
    "select=id,(select 1)",
    'select=id"%20from%20pg_shadow--',
    "select=id::text);drop table contract_books--",
    "order=id;drop table public.contract_books",
    "order=id.desc;select 1",
    "id=eq.1;drop table public.contract_books",
    "id=in.(1);drop table x--)",
    'title=eq."; drop table public.contract_books; --',
    "id%22;drop%20table%20contract_books;--=eq.1",
    "or=(id.eq.1),(select 1)",
    "or=(id.eq.1;drop table x)",
    "facts->>'a';--=eq.1",
    "limit=1;drop table x",
    "limit=-1",
    "offset=99999999999999999999",
    "columns=id;drop",
    "id=fts(english'::regconfig;drop).x",
    "select=" + "a(" * 50 + "b" + ")" * 50,
    "or=" + "(and" * 60 + "(id.eq.1)" + ")" * 60,
]


@pytest.mark.parametrize("query", INJECTIONS)
async def test_nothing_of_a_query_string_is_executed(project: Project, ada: Person, query: str) -> None:
    before = await project.http.get("/rest/v1/contract_tags?select=count", headers=project.headers(ada.token))
    answer = await project.http.get(f"/rest/v1/contract_books?{query}", headers=project.headers(ada.token))
    assert answer.status_code in (200, 400, 404), answer.text
    alive = await project.http.get("/rest/v1/contract_books?select=id", headers=project.headers(ada.token))
    assert alive.status_code == 200 and before.status_code in (200, 400)


async def test_odd_names_of_tables_and_functions_are_just_not_found(project: Project, ada: Person) -> None:
    for name in ('x"; drop table y; --', "pg_shadow", "auth.users", "contract_books where true", "../rpc/x", "%00"):
        for path in (f"/rest/v1/{name}", f"/rest/v1/rpc/{name}"):
            answer = await project.http.get(path, headers=project.headers(ada.token))
            assert answer.status_code in (400, 404), (path, answer.status_code)


async def test_other_schemas_cannot_be_chosen(project: Project) -> None:
    service = project.address.service_role_key
    headers = {"apikey": service, "Authorization": f"Bearer {service}", "Accept-Profile": "auth"}
    assert (await project.http.get("/rest/v1/users", headers=headers)).status_code in (404, 406)


async def test_nul_characters_get_a_clean_answer(project: Project, ada: Person) -> None:
    headers = project.headers(ada.token)
    answers = [
        await project.http.get("/rest/v1/contract_books?title=eq.a%00b", headers=headers),
        await project.http.get("/rest/v1/contract_books?a%00b=eq.1", headers=headers),
        await project.http.post("/rest/v1/contract_tags", json={"name": "a\x00b"}, headers=headers),
        await project.http.post("/rest/v1/rpc/contract_echo", json={"value": "a\x00b"}, headers=headers),
        await project.http.post("/rest/v1/rpc/contract_echo", content=b'{"value":"a\x00b"}', headers=headers),
    ]
    assert [400 <= answer.status_code < 500 for answer in answers] == [True] * 5


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1,2", b"nonsense", b"\xff\xfe", b"[" * 20_000, b'"text"', b"1", b"[[1]]", b'{"value":NaN}']
)
async def test_broken_bodies_get_a_clean_answer(project: Project, ada: Person, body: bytes) -> None:
    headers = project.headers(ada.token) | {"content-type": "application/json"}
    for path in ("/rest/v1/contract_tags", "/rest/v1/rpc/contract_echo"):
        answer = await project.http.post(path, content=body, headers=headers)
        assert 400 <= answer.status_code < 500, (path, answer.status_code, answer.text)
    if body:
        answer = await project.http.post("/auth/v1/token?grant_type=password", content=body, headers=headers)
        assert 400 <= answer.status_code < 500


async def test_ten_megabytes_are_refused_at_once(project: Project, ada: Person, embedded_only: None) -> None:
    large = json.dumps({"value": "x" * 10_000_000})
    for path in ("/rest/v1/rpc/contract_echo", "/auth/v1/token?grant_type=password", "/storage/v1/object/list/x"):
        answer = await project.http.post(path, content=large, headers=project.headers(ada.token))
        assert answer.status_code == 413 and "larger than" in answer.json()["message"]

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1_000_000

    chunked = await project.http.post(
        "/rest/v1/rpc/contract_echo", content=endless(), headers=project.headers(ada.token)
    )
    assert chunked.status_code == 413


async def test_no_function_gets_above_its_role(project: Project, ada: Person) -> None:
    answer = await project.http.post("/rest/v1/rpc/contract_take_over", json={}, headers=project.headers(ada.token))
    assert answer.status_code in (401, 403) and answer.json()["code"] == "42501"


async def test_another_host_name_is_refused(project: Project, embedded_only: None) -> None:
    answer = await project.http.get("/health", headers={"Host": "evil.example:54321"})
    assert answer.status_code == 421


async def test_credentials_are_not_shown_to_functions(project: Project, ada: Person, embedded_only: None) -> None:
    import psycopg

    assert project.address.database_url is not None
    async with await psycopg.AsyncConnection.connect(project.address.database_url, autocommit=True) as connection:
        await connection.execute(
            "create or replace function public.contract_headers() returns json language sql as "
            "$$ select current_setting('request.headers')::json $$"
        )
    seen = (await ada.client.rpc("contract_headers").execute()).data
    assert not {"authorization", "apikey", "cookie"} & set(seen)  # type: ignore[arg-type]
