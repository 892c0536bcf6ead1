"""Storage through the unmodified supabase-py: objects under row level security, streamed, never outside their folder."""

from __future__ import annotations

import asyncio
import hashlib
import os
import uuid
from typing import Any

import pytest
from storage3.exceptions import StorageApiError

from tests.gateway.project import BUCKET, Person, Project


def bucket_of(person: Person) -> Any:
    return person.client.storage.from_(BUCKET)


async def test_an_object_comes_back_as_it_was_sent(ada: Person) -> None:
    content = os.urandom(300_000)
    name = f"{ada.id}/deep/folder/data (1) + more.bin"
    sent = await bucket_of(ada).upload(name, content, {"content-type": "application/x-test"})
    assert sent.full_path == f"{BUCKET}/{name}"
    assert await bucket_of(ada).download(name) == content
    info = await bucket_of(ada).info(name)
    assert (info["size"], info["name"]) == (len(content), name)
    assert info["content_type"] == "application/x-test"
    assert info["etag"].strip('"') == hashlib.md5(content).hexdigest()


async def test_an_empty_object_is_an_object(ada: Person) -> None:
    await bucket_of(ada).upload(f"{ada.id}/empty", b"")
    assert await bucket_of(ada).download(f"{ada.id}/empty") == b""


async def test_a_second_upload_is_a_duplicate_unless_it_may_replace(ada: Person) -> None:
    name = f"{ada.id}/twice.txt"
    await bucket_of(ada).upload(name, b"one")
    with pytest.raises(StorageApiError) as failure:
        await bucket_of(ada).upload(name, b"two")
    assert (str(failure.value.status), failure.value.code) == ("409", "Duplicate")
    assert await bucket_of(ada).download(name) == b"one"
    await bucket_of(ada).upload(name, b"three", {"upsert": "true"})
    assert await bucket_of(ada).download(name) == b"three"
    await bucket_of(ada).update(name, b"four")
    assert await bucket_of(ada).download(name) == b"four"


async def test_a_raw_body_works_as_well_as_a_form(project: Project, ada: Person) -> None:
    path = f"/storage/v1/object/{BUCKET}/{ada.id}/raw.txt"
    headers = project.headers(ada.token) | {"content-type": "text/plain; charset=utf-8"}
    sent = await project.http.post(path, content="räw".encode(), headers=headers)
    assert sent.status_code == 200 and sent.json()["Key"] == f"{BUCKET}/{ada.id}/raw.txt"
    got = await project.http.get(path, headers=project.headers(ada.token))
    assert got.text == "räw" and got.headers["content-type"].startswith("text/plain")


async def test_a_part_of_an_object_can_be_read(project: Project, ada: Person) -> None:
    await bucket_of(ada).upload(f"{ada.id}/digits.txt", b"0123456789")
    path = f"/storage/v1/object/authenticated/{BUCKET}/{ada.id}/digits.txt"
    part = await project.http.get(path, headers=project.headers(ada.token, Range="bytes=2-4"))
    assert (part.status_code, part.content) == (206, b"234")
    assert part.headers["content-range"] == "bytes 2-4/10"
    for asked, expected in (("bytes=7-", b"789"), ("bytes=-2", b"89"), ("bytes=8-99", b"89")):
        part = await project.http.get(path, headers=project.headers(ada.token, Range=asked))
        assert (part.status_code, part.content) == (206, expected), asked
    beyond = await project.http.get(path, headers=project.headers(ada.token, Range="bytes=50-60"))
    assert beyond.status_code == 416


async def test_listing_and_removing(ada: Person) -> None:
    folder = f"{ada.id}/{uuid.uuid4()}"
    for name in ("b.txt", "a.txt", "sub/c.txt"):
        await bucket_of(ada).upload(f"{folder}/{name}", b"x")
    listed = await bucket_of(ada).list(folder, {"sortBy": {"column": "name", "order": "asc"}})
    assert [entry["name"] for entry in listed] == ["a.txt", "b.txt", "sub"]
    assert [entry["id"] is None for entry in listed] == [False, False, True]
    assert listed[0]["metadata"]["size"] == 1
    limited = await bucket_of(ada).list(folder, {"limit": 1, "offset": 1})
    assert [entry["name"] for entry in limited] == ["b.txt"]
    removed = await bucket_of(ada).remove([f"{folder}/a.txt", f"{folder}/not-there.txt"])
    assert [entry["name"] for entry in removed] == [f"{folder}/a.txt"]
    with pytest.raises(StorageApiError):
        await bucket_of(ada).download(f"{folder}/a.txt")


async def test_a_signed_address_opens_one_object_for_a_while(project: Project, ada: Person) -> None:
    name = f"{ada.id}/signed.txt"
    await bucket_of(ada).upload(name, b"signed")
    signed = await bucket_of(ada).create_signed_url(name, 60)
    answer = await project.http.get(signed["signedURL"])
    assert (answer.status_code, answer.content) == (200, b"signed")
    other = signed["signedURL"].replace("signed.txt", "digits.txt")
    assert (await project.http.get(other)).status_code == 400
    forged = signed["signedURL"][:-4] + "AAAA"
    assert (await project.http.get(forged)).status_code == 400
    many = await bucket_of(ada).create_signed_urls([name, f"{ada.id}/nothing"], 60)
    assert [bool(entry["error"]) for entry in many] == [False, True]


async def test_other_peoples_objects_are_out_of_reach(project: Project, ada: Person, bob: Person) -> None:
    name = f"{ada.id}/private.txt"
    await bucket_of(ada).upload(name, b"private")
    for attempt in (
        lambda: bucket_of(bob).download(name),
        lambda: bucket_of(bob).info(name),
        lambda: bucket_of(bob).create_signed_url(name, 60),
        lambda: bucket_of(bob).upload(f"{ada.id}/intruder.txt", b"x"),
        lambda: bucket_of(bob).upload(name, b"x", {"upsert": "true"}),
        lambda: bucket_of(bob).move(name, f"{bob.id}/mine.txt"),
        lambda: bucket_of(bob).copy(name, f"{bob.id}/mine.txt"),
    ):
        with pytest.raises(StorageApiError):
            await attempt()
    assert await bucket_of(bob).remove([name]) == []
    assert await bucket_of(bob).list(ada.id) == []
    public = await project.http.get(f"/storage/v1/object/public/{BUCKET}/{name}")
    assert public.status_code == 400
    anonymous = await project.http.get(f"/storage/v1/object/{BUCKET}/{name}", headers=project.headers())
    assert anonymous.status_code == 400
    assert await bucket_of(ada).download(name) == b"private"


async def test_moving_and_copying(ada: Person) -> None:
    await bucket_of(ada).upload(f"{ada.id}/from.txt", b"moved")
    await bucket_of(ada).copy(f"{ada.id}/from.txt", f"{ada.id}/copy.txt")
    await bucket_of(ada).move(f"{ada.id}/from.txt", f"{ada.id}/to.txt")
    assert await bucket_of(ada).download(f"{ada.id}/to.txt") == b"moved"
    assert await bucket_of(ada).download(f"{ada.id}/copy.txt") == b"moved"
    with pytest.raises(StorageApiError):
        await bucket_of(ada).download(f"{ada.id}/from.txt")


async def test_too_large_an_object_is_refused_and_leaves_nothing(project: Project, ada: Person) -> None:
    with pytest.raises(StorageApiError) as failure:
        await bucket_of(ada).upload(f"{ada.id}/large.bin", b"x" * 5_000_001)
    assert str(failure.value.status) == "413"
    with pytest.raises(StorageApiError):
        await bucket_of(ada).info(f"{ada.id}/large.bin")


async def test_buckets_are_the_services(project: Project, ada: Person) -> None:
    name = f"contract-{uuid.uuid4()}"
    with pytest.raises(StorageApiError):
        await ada.client.storage.create_bucket(name)
    service = (await project.service()).storage
    await service.create_bucket(name)
    assert (await service.get_bucket(name)).public is False
    await service.from_(name).upload("x", b"x")
    with pytest.raises(StorageApiError):
        await service.delete_bucket(name)
    await service.empty_bucket(name)
    await service.delete_bucket(name)
    with pytest.raises(StorageApiError):
        await service.get_bucket(name)


OUTSIDE = [
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/secrets.json",
    "a/../../b",
    "a//b",
    "./a",
    "a%00b",
    "..%5c..%5csecrets.json",
    "x" * 1100,
]


@pytest.mark.parametrize("name", OUTSIDE)
async def test_no_name_leads_out_of_the_bucket(project: Project, name: str, embedded_only: None) -> None:
    """Over a bare socket: HTTP clients tidy such paths up before they send them."""
    host, port = project.address.url.removeprefix("http://").split(":")
    for method in ("GET", "POST", "DELETE"):
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"{method} /storage/v1/object/{BUCKET}/{name} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        writer.write(f"{head}apikey: {project.address.service_role_key}\r\nContent-Length: 1\r\n\r\nx".encode())
        answer = await reader.read()
        writer.close()
        assert answer.split()[1] in (b"400", b"404", b"405"), (method, answer[:200])
        assert b"root:" not in answer and b"supabase_admin" not in answer
