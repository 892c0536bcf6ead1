"""Finding sessions and runs by what a person types."""

from typing import Any

from tests.database.conftest import Person, Room


async def _run(operator: Person, session_id: str, title: str) -> dict[str, Any]:
    return await operator.call(
        "create_run", p_session_id=session_id, p_template="greet", p_params={"name": "ada"}, p_title=title
    )


async def test_runs_and_sessions_are_found_by_words_and_by_id(room: Room, operator: Person) -> None:
    session = await operator.call("create_session", p_title="Upgrade of Wombatville")
    first = await _run(operator, session["id"], "Quokka on qprod")
    second = await _run(operator, session["id"], "Quokka on qtest")

    async def found(text: str) -> tuple[list[str], list[str]]:
        answer = await operator.call("search_room", p_text=text)
        assert all(run["session_title"] == session["title"] for run in answer["runs"])
        return [item["id"] for item in answer["sessions"]], [item["run"]["id"] for item in answer["runs"]]

    assert await found("wombatville upgrade") == ([session["id"]], [])
    assert await found("QUOKKA") == ([], [second["id"], first["id"]])
    assert await found("greet qprod") == ([], [first["id"]])
    assert await found(first["id"][:9]) == ([], [first["id"]])
    assert await found(first["id"]) == ([], [first["id"]])
    assert await found("100% of nothing_") == ([], [])
    # Nothing typed: what is newest, of everybody.
    newest = await operator.call("search_room", p_text="")
    assert newest["sessions"][0]["id"] == session["id"]
    assert [item["run"]["id"] for item in newest["runs"]][:2] == [second["id"], first["id"]]


async def test_a_search_is_bounded(room: Room, operator: Person, session_id: str) -> None:
    for number in range(4):
        await _run(operator, session_id, f"Run {number}")
    answer = await operator.call("search_room", p_text="run", p_limit=2)
    assert [item["run"]["title"] for item in answer["runs"]] == ["Run 3", "Run 2"]
