"""Replays that have ended, held against the runs that they repeat: one of the workers compares, and the verdict is an
event of the replay.
"""

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from opsroom.domain.comparison import Result, compare, rules_of, to_read
from opsroom.domain.errors import OpsRoomError
from opsroom.domain.evidence.record import ArtifactFacts, RunRecord
from workers.services import Services
from workers.store import Refused, Unavailable
from workers.store.objects import DownloadRefused

log = logging.getLogger(__name__)

ASK_SECONDS: Final = 10.0
"""At least so often it is looked whether something is to be compared; a hint makes it look at once."""
MOST_ASKED: Final = 5


class Comparer:
    """Compares in the background, one replay at a time: verdicts can wait, runs can not."""

    def __init__(self, services: Services, on_verdict: Callable[[str], None]) -> None:
        self._on_verdict = on_verdict
        self._store = services.store
        self._objects = services.objects
        self._work_root = services.settings.work_root
        self._hint = asyncio.Event()

    def look(self) -> None:
        """There may be something to compare."""
        self._hint.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._hint.clear()
            try:
                for told in await self._store.claim_comparisons(MOST_ASKED):
                    await self._try(told["run_id"], told["replay_of"])
            except (Unavailable, Refused, OpsRoomError) as error:
                log.warning("replays could not be asked for", extra={"error": str(error)})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ASK_SECONDS):
                    await self._hint.wait()

    async def _try(self, run_id: str, original_id: str) -> None:
        try:
            result = await self._compared(run_id, original_id)
            await self._store.record_comparison(run_id, result.model_dump(mode="json"))
            self._on_verdict(run_id)
            log.info("a replay was compared", extra={"run_id": run_id, "verdict": result.verdict})
        except (Unavailable, Refused, OpsRoomError, OSError) as error:
            # Asking finds it again.
            log.warning("a replay was not compared", extra={"run_id": run_id, "error": str(error)})
        except Exception:
            log.exception("a comparison broke the worker's code", extra={"run_id": run_id})

    async def _compared(self, run_id: str, original_id: str) -> Result:
        original, replay = [
            RunRecord.model_validate(await self._store.read_evidence(run)) for run in (original_id, run_id)
        ]
        rules = rules_of(replay.template.spec)
        contents = await self._contents(to_read(original, replay, rules))
        return await asyncio.to_thread(compare, original, replay, rules, contents)

    async def _contents(self, artifacts: list[ArtifactFacts]) -> dict[str, bytes]:
        """By digest; what Storage does not have, or has otherwise, is missing."""
        found: dict[str, bytes] = {}
        with tempfile.TemporaryDirectory(prefix="opsroom-compare-", dir=self._work_root) as folder:
            path = Path(folder) / "artifact"
            for artifact in artifacts:
                about: dict[str, Any] = {"artifact": artifact.name, "object": artifact.object_path}
                try:
                    digest = await self._objects.download(artifact.object_path or "", path)
                except DownloadRefused as error:
                    log.error("an artifact is not to be had", extra={**about, "error": str(error)})
                    continue
                if digest == artifact.sha256:
                    found[digest] = await asyncio.to_thread(path.read_bytes)
                else:
                    log.error("an artifact is not what was recorded", extra=about)
        return found
