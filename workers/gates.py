"""Waiting for people's decisions: by notification where there are some, by asking again in any case."""

import asyncio
from collections import defaultdict
from typing import Final

from workers.store import Claim, GateState, Store, Unavailable

ASK_AGAIN_SECONDS: Final = 2.0


class Gates:
    """The gates that runs of this worker wait for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._news: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def wake(self, run_id: str) -> None:
        """Something was decided about a run, maybe one of ours."""
        if run_id in self._news:
            self._news[run_id].set()

    async def decision(self, claim: Claim, step_id: str) -> GateState:
        """How the open gate of a step was closed; `lost` when the run has left this worker's hands."""
        news = self._news[claim.run_id]
        try:
            while True:
                news.clear()
                try:
                    state = await self._store.read_gate(claim, step_id)
                    if state.verdict == "lost" or state.status != "waiting":
                        return state
                except Unavailable:
                    pass  # the lease decides how long that may go on
                try:
                    async with asyncio.timeout(ASK_AGAIN_SECONDS):
                        await news.wait()
                except TimeoutError:
                    continue
        finally:
            self._news.pop(claim.run_id, None)
