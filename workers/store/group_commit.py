"""Group commit: what concurrent runs ask for in the same moment goes to the database as one call.

A request that is alone is sent at once; those that come while a call is under way go together with the next one. Where
more are about to come, as the ends of a busy worker's short runs, they wait a moment for each other.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, Generic, TypeVar

from opsroom.domain.errors import OpsRoomError
from workers.store.transport import Refused, Unavailable

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
LARGEST_GROUP: Final = 100
GROUPS_AT_ONCE: Final = 2
PATIENCE_SECONDS: Final = 0.02
"""Small groups wait so long for the one before: a call costs far more than one more run in it. But one that is held up,
by a row that somebody keeps locked, must not hold up all others.
"""
LINGER_SECONDS: Final = 0.005
"""Those of which more are about to come wait so long for them: about what a call takes."""

Request = TypeVar("Request")
Answer = TypeVar("Answer")
_Waiting = tuple[Request, asyncio.Future[Answer]]


def pauses() -> Iterator[float]:
    """Seconds to wait before each repetition of a call: growing, and jittered so that workers do not come together."""
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1)  # noqa: S311  jitter, not a secret
        pause = min(pause * 2, LONGEST_PAUSE)


class GroupCommit(Generic[Request, Answer]):
    """Requests of one kind. `send` makes one call of them all and answers in their order.

    `enough` says how many are worth a call at the moment: 1 unless more are about to come.
    """

    def __init__(
        self,
        name: str,
        send: Callable[[Sequence[Request]], Awaitable[Sequence[Answer]]],
        enough: Callable[[], int] = lambda: 1,
    ) -> None:
        self._name = name
        self._send = send
        self._enough = enough
        self._waiting: list[_Waiting[Request, Answer]] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._due = False
        self._hurry: asyncio.TimerHandle | None = None

    def ask(self, request: Request) -> asyncio.Future[Answer]:
        """The answer to come. Repeated until it is there; cancel it to give up."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((request, future))
        if not self._due:
            self._due = True
            # Not now: the other runs that became ready in this turn of the loop ask before the call is made.
            loop.call_soon(self._begin)
        return future

    def _begin(self, ended: "asyncio.Task[None] | None" = None) -> None:
        self._due = False
        if ended is not None:
            self._calls.discard(ended)
            self._stop_waiting()
        while self._waiting and self._is_worth_a_call():
            self._send_group()
        if self._waiting and self._hurry is None and self._has_room():
            wait = PATIENCE_SECONDS if self._calls else LINGER_SECONDS
            self._hurry = asyncio.get_running_loop().call_later(wait, self._lose_patience)

    def _is_worth_a_call(self) -> bool:
        if len(self._waiting) >= LARGEST_GROUP:
            return self._has_room()
        return not self._calls and len(self._waiting) >= self._enough()

    def _stop_waiting(self) -> None:
        if self._hurry:
            self._hurry.cancel()
            self._hurry = None

    def _has_room(self) -> bool:
        return len(self._calls) < GROUPS_AT_ONCE

    def _lose_patience(self) -> None:
        self._hurry = None
        if self._waiting and self._has_room():
            self._send_group()

    def _send_group(self) -> None:
        self._stop_waiting()
        group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
        call = asyncio.create_task(self._commit(group), name=self._name)
        self._calls.add(call)
        call.add_done_callback(self._begin)

    async def _commit(self, group: list[_Waiting[Request, Answer]]) -> None:
        for pause in pauses():
            # Who gave up, because its lease was over, is not waited for.
            group = [(request, future) for request, future in group if not future.done()]
            if not group:
                return
            try:
                answers = await self._send([request for request, _ in group])
            except Unavailable as error:
                log.warning("a call will be repeated", extra={"function": self._name, "error": str(error)})
                await asyncio.sleep(pause)
                continue
            except (OpsRoomError, Refused) as error:
                await self._refuse(group, error)
            except Exception as error:
                _fail(group, error)
                raise
            else:
                for (_, future), answer in zip(group, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
            return

    async def _refuse(self, group: list[_Waiting[Request, Answer]], error: Exception) -> None:
        """What is wrong with one request refuses the whole call: then each goes alone."""
        if len(group) == 1:
            _fail(group, error)
            return
        for one in group:
            await self._commit([one])


def _fail(group: list[_Waiting[Any, Any]], error: Exception) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)
