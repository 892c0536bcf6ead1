"""REST through the unmodified supabase-py: reading, embedding, writing, calling."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from postgrest.exceptions import APIError
from supabase import AsyncClient

from tests.gateway.project import Person, Project

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
async def db(ada: Person) -> AsyncIterator[AsyncClient]:
    """Ada's client, with three authors, four books and two tags in the tables."""
    client = ada.client
    authors = [
        {"id": 1, "name": "Ursula", "born": 1929, "facts": {"genre": {"main": "sf"}}},
        {"id": 2, "name": "Italo", "born": 1923, "facts": {"genre": {"main": "fable"}}},
        {"id": 3, "name": 'O\'Hara, "Jo" (x)', "born": None, "facts": {}},
    ]
    books = [
        {"id": 1, "author_id": 1, "editor_id": 2, "title": "The Dispossessed", "pages": 387, "labels": ["a", "b"]},
        {"id": 2, "author_id": 1, "editor_id": None, "title": "The Lathe of Heaven", "pages": 184, "labels": ["b"]},
        {"id": 3, "author_id": 2, "editor_id": None, "title": "Invisible Cities", "pages": 165, "labels": []},
        {"id": 4, "author_id": None, "editor_id": None, "title": "100% sure_", "pages": 10, "labels": []},
    ]
    await client.table("contract_authors").insert(authors).execute()
    await client.table("contract_books").insert(books).execute()
    await client.table("contract_tags").insert([{"id": 1, "name": "utopia"}, {"id": 2, "name": "city"}]).execute()
    links = [{"book_id": 1, "tag_id": 1}, {"book_id": 3, "tag_id": 1}, {"book_id": 3, "tag_id": 2}]
    await client.table("contract_book_tags").insert(links).execute()
    yield client
    for table in ("contract_books", "contract_authors", "contract_tags"):
        await client.table(table).delete().gt("id", 0).execute()


def ids(answer: Any) -> list[int]:
    return [row["id"] for row in answer.data]


FILTERS: list[tuple[str, Any, list[int]]] = [
    ("eq", lambda q: q.eq("title", "Invisible Cities"), [3]),
    ("neq", lambda q: q.neq("id", 1), [2, 3, 4]),
    ("gt and lte", lambda q: q.gt("pages", 10).lte("pages", 184), [2, 3]),
    ("gte and lt", lambda q: q.gte("pages", 184).lt("pages", 387), [2]),
    ("like", lambda q: q.like("title", "The %"), [1, 2]),
    ("ilike", lambda q: q.ilike("title", "the *"), [1, 2]),
    ("is null", lambda q: q.is_("author_id", "null"), [4]),
    ("not is null", lambda q: q.not_.is_("author_id", "null"), [1, 2, 3]),
    ("in", lambda q: q.in_("id", [1, 3]), [1, 3]),
    ("in with commas and quotes", lambda q: q.in_("title", ['a,b"c', "Invisible Cities"]), [3]),
    ("not in", lambda q: q.not_.in_("id", [1, 3]), [2, 4]),
    ("or", lambda q: q.or_("pages.lt.100,title.eq.Invisible Cities"), [3, 4]),
    ("or with and", lambda q: q.or_("and(pages.gt.150,pages.lt.170),id.eq.4"), [3, 4]),
    ("not in or", lambda q: q.or_("not.and(id.gt.1,id.lt.4),id.eq.2"), [1, 2, 4]),
    ("in inside or", lambda q: q.or_("id.in.(1,2),pages.eq.10"), [1, 2, 4]),
    ("quoted value in or", lambda q: q.or_('title.eq."100% sure_"'), [4]),
    ("contains", lambda q: q.contains("labels", ["a"]), [1]),
    ("contained by", lambda q: q.contained_by("labels", ["b"]).gt("pages", 100), [2, 3]),
    ("overlaps", lambda q: q.overlaps("labels", ["a", "b"]), [1, 2]),
    ("match", lambda q: q.match({"author_id": 1, "pages": 184}), [2]),
    ("text search", lambda q: q.text_search("title", "lathe", {"type": "plain", "config": "english"}), [2]),
    ("regex", lambda q: q.filter("title", "match", "^Inv"), [3]),
    ("any", lambda q: q.filter("id", "eq(any)", "{1,4}"), [1, 4]),
]


@pytest.mark.parametrize(("name", "narrow", "expected"), FILTERS, ids=[name for name, _, _ in FILTERS])
async def test_filters(db: AsyncClient, name: str, narrow: Any, expected: list[int]) -> None:
    answer = await narrow(db.table("contract_books").select("id")).order("id").execute()
    assert ids(answer) == expected


async def test_order_limit_and_range(db: AsyncClient) -> None:
    books = db.table("contract_books")
    assert ids(await books.select("id").order("pages", desc=True).limit(2).execute()) == [1, 2]
    assert ids(await books.select("id").order("id").range(1, 2).execute()) == [2, 3]
    by_author = await books.select("id").order("author_id", nullsfirst=True).order("pages").execute()
    assert ids(by_author) == [4, 2, 1, 3]


async def test_count_and_head(db: AsyncClient) -> None:
    counted = await db.table("contract_books").select("id", count="exact").gt("pages", 100).limit(1).execute()  # type: ignore[arg-type]
    assert counted.count == 3 and len(counted.data) == 1
    head = await db.table("contract_books").select("id", count="exact", head=True).execute()  # type: ignore[arg-type]
    assert head.count == 4


async def test_a_range_beyond_the_end_is_416(db: AsyncClient) -> None:
    with pytest.raises(APIError) as failure:
        await db.table("contract_books").select("id", count="exact").range(50, 60).execute()  # type: ignore[arg-type]
    assert failure.value.code == "PGRST103"


async def test_an_answer_has_at_most_a_thousand_rows(db: AsyncClient, embedded_only: None) -> None:
    """`api.max_rows` of supabase/config.toml; a project may be set otherwise."""
    assert len((await db.rpc("contract_series", {"up_to": 1500}).execute()).data) == 1000  # type: ignore[arg-type]
    assert len((await db.rpc("contract_series", {"up_to": 1500}).limit(5).execute()).data) == 5  # type: ignore[arg-type]


async def test_aliases_casts_and_json_paths(db: AsyncClient) -> None:
    answer = (
        await db.table("contract_authors")
        .select("who:name,born::text,main:facts->genre->>main,facts->genre")
        .eq("facts->genre->>main", "sf")
        .execute()
    )
    assert answer.data == [{"who": "Ursula", "born": "1929", "main": "sf", "genre": {"main": "sf"}}]


async def test_timestamps_look_like_postgrest(db: AsyncClient) -> None:
    answer = await db.table("contract_authors").select("created_at").eq("id", 1).execute()
    assert answer.data == [{"created_at": "2026-01-02T03:04:05.678+00:00"}]


async def test_embedding_the_one_and_the_many(db: AsyncClient) -> None:
    one = await db.table("contract_books").select("title,author:contract_authors!author_id(name)").eq("id", 1).execute()
    assert one.data == [{"title": "The Dispossessed", "author": {"name": "Ursula"}}]
    nobody = await db.table("contract_books").select("id,author:author_id(name)").eq("id", 4).execute()
    assert nobody.data == [{"id": 4, "author": None}]
    many = (
        await db.table("contract_authors")
        .select("name,books:contract_books!author_id(title)")
        .order("title", foreign_table="books", desc=True)
        .order("id")
        .execute()
    )
    titles = [[book["title"] for book in author["books"]] for author in many.data]  # type: ignore[call-overload,index]
    assert titles == [["The Lathe of Heaven", "The Dispossessed"], ["Invisible Cities"], []]


async def test_embedding_through_a_junction_and_nested(db: AsyncClient) -> None:
    answer = (
        await db.table("contract_tags")
        .select("name,contract_books(title,contract_authors!author_id(name))")
        .eq("name", "utopia")
        .execute()
    )
    books: Rows = answer.data[0]["contract_books"]  # type: ignore[assignment,call-overload,index]
    assert sorted(book["contract_authors"]["name"] for book in books) == ["Italo", "Ursula"]


async def test_inner_embedding_filters_the_parent(db: AsyncClient) -> None:
    answer = (
        await db.table("contract_books")
        .select("id,contract_authors!author_id!inner(name)")
        .eq("contract_authors.name", "Ursula")
        .order("id")
        .execute()
    )
    assert ids(answer) == [1, 2]


async def test_an_ambiguous_embedding_is_refused_with_the_choices(db: AsyncClient) -> None:
    with pytest.raises(APIError) as failure:
        await db.table("contract_books").select("id,contract_authors(name)").execute()
    assert failure.value.code == "PGRST201" and "contract_books_editor_fkey" in str(failure.value.hint)
    with pytest.raises(APIError) as failure:
        await db.table("contract_books").select("id,contract_notes(body)").execute()
    assert failure.value.code == "PGRST200"


async def test_single_and_maybe_single(db: AsyncClient) -> None:
    books = db.table("contract_books")
    assert (await books.select("id").eq("id", 2).single().execute()).data == {"id": 2}
    assert await books.select("id").eq("id", 99).maybe_single().execute() is None
    with pytest.raises(APIError) as failure:
        await books.select("id").single().execute()
    assert failure.value.code == "PGRST116" and "4 rows" in str(failure.value.details)


async def test_writing(db: AsyncClient) -> None:
    tags = db.table("contract_tags")
    made = await tags.insert({"name": "ünïcode ' \" \\ %s $1"}).execute()
    (row,) = made.data
    changed = await tags.update({"name": "new"}).eq("id", row["id"]).execute()  # type: ignore[call-overload,index]
    assert changed.data == [{"id": row["id"], "name": "new"}]  # type: ignore[call-overload,index]
    gone = await tags.delete().eq("name", "new").execute()
    assert len(gone.data) == 1 and (await tags.select("id").eq("name", "new").execute()).data == []
    silent = await tags.insert({"name": "silent"}, returning="minimal").execute()  # type: ignore[arg-type]
    assert silent.data == []
    await tags.delete().eq("name", "silent").execute()


async def test_upserting(db: AsyncClient) -> None:
    authors = db.table("contract_authors")
    merged = await authors.upsert({"name": "Italo", "born": 1900}, on_conflict="name").execute()
    assert [(row["id"], row["born"]) for row in merged.data] == [(2, 1900)]  # type: ignore[call-overload,index]
    ignored = await authors.upsert({"name": "Italo", "born": 1}, on_conflict="name", ignore_duplicates=True).execute()
    assert ignored.data == []
    by_key = await authors.upsert({"id": 2, "name": "Italo", "born": 1923}).execute()
    assert by_key.data[0]["born"] == 1923  # type: ignore[call-overload,index]


async def test_bulk_insert_with_missing_keys(db: AsyncClient) -> None:
    rows = [{"name": "one", "born": 1}, {"name": "two"}]
    made = await db.table("contract_authors").insert(rows, default_to_null=False).execute()
    assert [row["facts"] for row in made.data] == [{}, {}]  # type: ignore[call-overload,index]
    await db.table("contract_authors").delete().in_("name", ["one", "two"]).execute()


async def test_a_violated_constraint_keeps_its_sqlstate(db: AsyncClient) -> None:
    for row, code in (({"title": "x", "pages": 0}, "23514"), ({"title": "x", "author_id": 999}, "23503")):
        with pytest.raises(APIError) as failure:
            await db.table("contract_books").insert(row).execute()
        assert failure.value.code == code


CALLS: list[tuple[str, dict[str, Any], Any]] = [
    ("contract_add", {"a": 1, "b": 2}, 3),
    ("contract_add", {"a": 1}, 11),
    ("contract_echo", {"value": {"deep": [1, None, "é\\n"]}}, {"deep": [1, None, "é\\n"]}),
    ("contract_echo", {"value": None}, None),
    ("contract_join", {"parts": ["a", "b,c"], "glue": "-"}, "a-b,c"),
    ("contract_numbers", {}, [1, 2, 3]),
    ("contract_series", {"up_to": 2}, [{"n": 1, "square": 1}, {"n": 2, "square": 4}]),
]


@pytest.mark.parametrize(("function", "arguments", "expected"), CALLS)
async def test_calling_functions(db: AsyncClient, function: str, arguments: dict[str, Any], expected: Any) -> None:
    assert (await db.rpc(function, arguments).execute()).data == expected


async def test_calling_functions_by_get_and_filtering_their_rows(db: AsyncClient) -> None:
    answer = await db.rpc("contract_series", {"up_to": 9}, get=True).gt("n", 7).order("n", desc=True).execute()
    assert [row["n"] for row in answer.data] == [9, 8]  # type: ignore[index,union-attr,call-overload]
    author = await db.rpc("contract_author", {"wanted": "Ursula"}).execute()
    assert author.data["born"] == 1929  # type: ignore[index,call-overload]


async def test_a_get_cannot_write(project: Project, ada: Person) -> None:
    answer = await project.http.get("/rest/v1/rpc/contract_write", headers=project.headers(ada.token))
    assert (answer.status_code, answer.json()["code"]) == (405, "25006")


STATES = [("P0001", 400), ("23505", 409), ("42501", 403), ("PT418", 418), ("ORN02", 400), ("22023", 400)]


@pytest.mark.parametrize(("state", "status"), STATES)
async def test_a_raised_sqlstate_decides_the_status(project: Project, ada: Person, state: str, status: int) -> None:
    answer = await project.http.post(
        "/rest/v1/rpc/contract_fail", json={"state": state}, headers=project.headers(ada.token)
    )
    body = {"code": state, "message": "it failed", "details": "the detail", "hint": "the hint"}
    assert (answer.status_code, answer.json()) == (status, body)


async def test_a_void_function_answers_204(project: Project, ada: Person) -> None:
    answer = await project.http.post("/rest/v1/rpc/contract_nothing", json={}, headers=project.headers(ada.token))
    assert (answer.status_code, answer.content) == (204, b"")


async def test_what_does_not_exist_is_told_by_its_code(project: Project, ada: Person) -> None:
    for path, status, code in (
        ("/rest/v1/contract_nowhere", 404, "PGRST205"),
        ("/rest/v1/contract_books?select=nothing", 400, "42703"),
        ("/rest/v1/contract_books?nothing=eq.1", 400, "42703"),
        ("/rest/v1/contract_books?id=wrong.1", 400, "PGRST100"),
        ("/rest/v1/contract_books?id=eq.text", 400, "22P02"),
        ("/rest/v1/rpc/contract_nowhere", 404, "PGRST202"),
        ("/rest/v1/rpc/contract_add?c=1", 404, "PGRST202"),
    ):
        answer = await project.http.get(path, headers=project.headers(ada.token))
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
