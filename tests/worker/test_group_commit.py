"""Group commit: concurrent requests share a call, a lone one waits for nobody, a refused one harms nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from opsroom.domain.errors import IllegalTransition
from workers.store.group_commit import GROUPS_AT_ONCE, LARGEST_GROUP, GroupCommit
from workers.store.transport import Unavailable


class Database:
    """The far end of the call: answers each request with ten times itself, when the gate is open."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.away = 0
        self.refuses: set[int] = set()

    async def send(self, requests: Sequence[int]) -> list[int]:
        self.calls.append(list(requests))
        await self.gate.wait()
        if self.away:
            self.away -= 1
            raise Unavailable("away")
        if self.refuses & set(requests):
            raise IllegalTransition("no")
        return [request * 10 for request in requests]


async def test_what_is_asked_in_one_turn_goes_in_one_call_and_each_gets_its_own_answer() -> None:
    database = Database()
    group = GroupCommit("f", database.send)
    assert await asyncio.gather(*(group.ask(n) for n in range(20))) == [n * 10 for n in range(20)]
    assert database.calls == [list(range(20))]


async def ask_one_by_one(group: GroupCommit[int, int], count: int) -> list[asyncio.Future[int]]:
    asked: list[asyncio.Future[int]] = []
    for number in range(count):
        asked.append(group.ask(number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return asked


async def test_what_comes_while_a_call_is_under_way_goes_together_with_the_next_one() -> None:
    database = Database()
    group = GroupCommit("f", database.send)
    database.gate.clear()
    asked = await ask_one_by_one(group, 4)
    database.gate.set()
    await asyncio.gather(*asked)
    assert database.calls == [[0], [1, 2, 3]]


async def test_a_call_that_is_held_up_does_not_hold_up_those_that_come_after() -> None:
    database = Database()
    group = GroupCommit("f", database.send)
    database.gate.clear()
    asked = await ask_one_by_one(group, 4)
    async with asyncio.timeout(10):
        while len(database.calls) < GROUPS_AT_ONCE:
            await asyncio.sleep(0.005)
    assert database.calls == [[0], [1, 2, 3]]
    database.gate.set()
    await asyncio.gather(*asked)


async def test_where_more_are_about_to_come_they_wait_for_each_other_and_not_for_long() -> None:
    database = Database()
    enough = 3
    group = GroupCommit("f", database.send, lambda: enough)
    asked = await ask_one_by_one(group, 4)
    assert await asyncio.gather(*asked[:3]) == [0, 10, 20]
    async with asyncio.timeout(10):
        assert await asked[3] == 30, "nobody came for it, and it went alone"
    assert database.calls == [[0, 1, 2], [3]]
    enough = 1
    assert await group.ask(4) == 40


async def test_a_group_has_a_largest_size() -> None:
    database = Database()
    group = GroupCommit("f", database.send)
    await asyncio.gather(*(group.ask(n) for n in range(LARGEST_GROUP + 5)))
    assert [len(call) for call in database.calls] == [LARGEST_GROUP, 5]


async def test_one_refused_request_does_not_refuse_the_others() -> None:
    database = Database()
    database.refuses = {1}
    group = GroupCommit("f", database.send)
    answers = await asyncio.gather(*(group.ask(n) for n in range(3)), return_exceptions=True)
    assert (answers[0], answers[2]) == (0, 20)
    assert isinstance(answers[1], IllegalTransition)


async def test_a_call_without_an_answer_is_repeated_for_those_who_still_wait() -> None:
    database = Database()
    database.away = 1
    database.gate.clear()
    group = GroupCommit("f", database.send)
    first, second = group.ask(1), group.ask(2)
    await asyncio.sleep(0)
    first.cancel()
    database.gate.set()
    assert await second == 20
    assert database.calls[-1] == [2]
    with pytest.raises(asyncio.CancelledError):
        await first
