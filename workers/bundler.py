"""Bundles: the signed evidence of ended runs, made by a worker that has a signing key.

What this worker ended itself comes at once; what nobody bundled (the sweep ended it, its worker died) is found by
asking. One at a time: evidence can wait, runs can not.
"""

import asyncio
import datetime as dt
import logging
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opsroom.domain.errors import OpsRoomError
from opsroom.domain.evidence.bundle import write_bundle
from opsroom.domain.evidence.record import ArtifactFacts, RunRecord
from opsroom.domain.evidence.trust import keyid_of
from workers.store import Objects, Refused, Store, Unavailable
from workers.store.objects import DownloadRefused, UploadRefused

log = logging.getLogger(__name__)

ASK_SECONDS: Final = 10.0
MOST_ASKED: Final = 20
MOST_WAITING: Final = 1000
"""Beyond this the oldest are forgotten here, and found by asking."""
LARGEST_ARTIFACT: Final = 32 << 20
LARGEST_TOTAL: Final = 256 << 20
"""Bytes of artifacts that go into a bundle; larger ones are named by their digest only."""


class Bundler:
    """Makes bundles in the background."""

    def __init__(self, store: Store, objects: Objects, key: Ed25519PrivateKey, work_root: Path | None) -> None:
        self._store = store
        self._objects = objects
        self._key = key
        self._work_root = work_root
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._news = asyncio.Event()

    def ended(self, run_id: str) -> None:
        """A run of this worker has ended."""
        self._waiting[run_id] = None
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popitem(last=False)
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        while True:
            self._news.clear()
            if not self._waiting and loop.time() - asked >= ASK_SECONDS:
                asked = loop.time()
                await self._ask()
            if self._waiting:
                run_id, _ = self._waiting.popitem(last=False)
                await self._try(run_id)
                continue
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def finish(self, seconds: float) -> None:
        """Make what still waits before the worker goes, for as long as that."""
        try:
            async with asyncio.timeout(seconds):
                while self._waiting:
                    await self._try(self._waiting.popitem(last=False)[0])
        except TimeoutError:
            log.info("bundles are left to other workers", extra={"count": len(self._waiting) + 1})

    async def _ask(self) -> None:
        try:
            for run_id in await self._store.claim_bundles(MOST_ASKED):
                self._waiting[run_id] = None
        except (Unavailable, Refused, OpsRoomError) as error:
            log.warning("no bundles could be asked for", extra={"error": str(error)})

    async def _try(self, run_id: str) -> None:
        try:
            await self._make(run_id)
        except (Unavailable, Refused, OpsRoomError, UploadRefused, OSError) as error:
            # Asking finds it again.
            log.warning("a bundle was not made", extra={"run_id": run_id, "error": str(error)})
        except Exception:
            log.exception("a bundle broke the worker's code", extra={"run_id": run_id})

    async def _make(self, run_id: str) -> None:
        record = RunRecord.model_validate(await self._store.read_evidence(run_id))
        signed_at = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with tempfile.TemporaryDirectory(prefix="opsroom-bundle-", dir=self._work_root) as folder:
            files = await self._download(run_id, record.artifacts, Path(folder))
            target = Path(folder) / "bundle.zip"
            digest = await asyncio.to_thread(write_bundle, target, record, files, self._key, signed_at)
            size = target.stat().st_size
            await self._objects.upload_bundle(run_id, digest, target)
        await self._store.put_bundle({
            "run_id": run_id, "events": len(record.events), "chain_head": record.events[-1].hash, "sha256": digest,
            "size_bytes": size, "keyid": keyid_of(self._key.public_key()), "signed_at": signed_at,
        })  # fmt: skip

    async def _download(self, run_id: str, artifacts: tuple[ArtifactFacts, ...], folder: Path) -> dict[str, Path]:
        """The artifacts to include. One whose object is gone or another is left out; its digest is signed anyway."""
        files: dict[str, Path] = {}
        total = 0
        for number, artifact in enumerate(artifacts):
            size = artifact.size_bytes or 0
            if not artifact.object_path or size > LARGEST_ARTIFACT or total + size > LARGEST_TOTAL:
                continue
            total += size
            path = folder / str(number)
            try:
                digest = await self._objects.download(artifact.object_path, path)
            except DownloadRefused as error:
                log.error("an artifact is not to be had", extra={"run_id": run_id, "error": str(error)})
                continue
            if digest == artifact.sha256:
                files[artifact.name] = path
            else:
                log.error("an artifact is not what was recorded", extra={"run_id": run_id, "artifact": artifact.name})
        return files
