"""When a run's events are written, and what is left to go with its end."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, cast

import pytest

from workers.evidence import BATCH_EVENTS, BATCH_SECONDS, LAST_BATCH_BYTES, QUIET_SECONDS, Evidence
from workers.lease import Lease
from workers.metrics import Metrics
from workers.secrets import Masker
from workers.store import Batch, Held, Hold, Store


class Written:
    """A store that only takes events, when it is allowed to."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.times: list[float] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def append_events(self, claim: Hold, batch: Batch) -> Held:
        self.batches.append(batch)
        self.times.append(time.monotonic())
        await self.may_answer.wait()
        return Held(verdict="ok")

    @property
    def messages(self) -> list[list[Any]]:
        return [told(batch) for batch in self.batches]


def told(batch: Batch | None) -> list[Any]:
    return [event["message"] for event in batch.events] if batch else []


@pytest.fixture
async def written() -> Written:
    return Written()


@pytest.fixture
async def evidence(written: Written) -> Evidence:
    lease = Lease(Hold(run_id="r", claim_token="t", lease_seconds=30), time.monotonic())
    return Evidence(cast("Store", written), lease, Masker(()), Metrics())


async def until(written: Written, batches: int) -> None:
    async with asyncio.timeout(10):
        while len(written.batches) < batches:
            await asyncio.sleep(0.005)


async def test_all_of_a_short_run_goes_with_its_end(evidence: Evidence, written: Written) -> None:
    for message in ("began", "ended"):
        await evidence.emit("step.started", "one", message)
    last = await evidence.conclude()
    assert (written.batches, told(last)) == ([], ["began", "ended"])


async def test_that_a_long_step_ended_goes_with_the_run_s_end_as_well(evidence: Evidence, written: Written) -> None:
    await evidence.emit("step.started", "one", "began")
    await until(written, 1)
    await asyncio.sleep(BATCH_SECONDS * 1.5)
    await evidence.emit("step.finished", "one", "ended")
    for _ in range(5):
        await asyncio.sleep(0)  # the writer would have its turn
    last = await evidence.conclude()
    assert (written.messages, told(last)) == ([["began"]], ["ended"])


async def test_what_is_said_takes_what_is_not_with_it_and_does_not_wait(evidence: Evidence, written: Written) -> None:
    began = time.monotonic()
    await evidence.emit("step.started", "one", "began")
    await evidence.output("one", "stdout", "said", partial=False)
    await until(written, 1)
    assert written.times[0] - began < QUIET_SECONDS
    assert written.messages == [["began", "said"]]


async def test_a_flush_does_not_wait_and_ends_when_all_is_there(evidence: Evidence, written: Written) -> None:
    await evidence.flush()
    written.may_answer.clear()
    await evidence.emit("step.started", "one", "began")
    flushing = asyncio.create_task(evidence.flush())
    began = time.monotonic()
    await until(written, 1)
    assert written.times[0] - began < QUIET_SECONDS
    assert not flushing.done()
    written.may_answer.set()
    await flushing


@pytest.mark.parametrize(
    ("messages", "left"),
    [(["x"] * (BATCH_EVENTS + 10), 10), (["x" * LAST_BATCH_BYTES] * 3, 0), (["x" * 1000], 1)],
)
async def test_the_end_takes_what_is_not_much(
    evidence: Evidence, written: Written, messages: Sequence[str], left: int
) -> None:
    for message in messages:
        await evidence.emit("log", "one", message)
    last = await evidence.conclude()
    assert (len(told(last)), sum(map(len, written.messages))) == (left, len(messages) - left)
    assert [b.number for b in (*written.batches, *([last] if last else []))] == list(
        range(1, len(written.batches) + 1 + bool(last))
    )
