"""Checkpoints: one of the workers that have a signing key publishes, at an interval, the heads of the runs' chains.

The bucket `checkpoints` is where they are published; a name is given once, so that a database that was set back is
noticed when it would publish a number again. A worker with a folder of its own keeps a copy of all of them there.
"""

import asyncio
import logging
import random
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opsroom.domain.errors import OpsRoomError
from opsroom.domain.evidence.checkpoint import Checkpoint, digest_of, file_name, keep, numbers, parsed, sealed
from opsroom.domain.evidence.verify import DoesNotHold, unsigned
from workers.services import Services
from workers.store import Refused, Unavailable
from workers.store.objects import DownloadRefused, UploadRefused

log = logging.getLogger(__name__)

ASKS: Final = 4
"""In an interval, so that a worker that went away is soon stood in for."""


class Publisher:
    """Publishes, and keeps copies in the folder that the settings name."""

    def __init__(self, services: Services, key: Ed25519PrivateKey) -> None:
        self._store = services.store
        self._objects = services.objects
        self._metrics = services.metrics
        self._key = key
        self._seconds = services.settings.checkpoint_seconds
        self._folder = services.settings.checkpoint_folder
        self._last: tuple[int, str] | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                while await self._publish():
                    pass
                if self._folder:
                    await self._copy(self._folder)
            except (Unavailable, Refused, OpsRoomError, UploadRefused, DownloadRefused) as error:
                log.warning("no checkpoint was published", extra={"error": str(error)})
            except (httpx.TransportError, OSError) as error:
                log.warning("no checkpoint was published", extra={"error": str(error) or type(error).__name__})
            except DoesNotHold as error:
                self._metrics.checkpoint_conflict.set(1)
                log.error("what is published does not fit this database", extra={"error": str(error)})
            await asyncio.sleep(self._seconds / ASKS * random.uniform(0.75, 1.25))  # noqa: S311  jitter, not a secret

    async def _publish(self) -> bool:
        """Whether there was something to publish."""
        told = await self._store.claim_checkpoint(self._seconds)
        if told is None:
            return False
        made = Checkpoint.model_validate(told)
        await self._check_previous(made)
        name = file_name(made.number)
        there = await self._objects.publish(name, await asyncio.to_thread(sealed, made, self._key))
        payload, keyid = unsigned(there, name)
        checkpoint = parsed(payload, name)
        # Of an earlier try whose answer was lost, perhaps another worker's: then it counts as it is, if it follows.
        if (checkpoint.room, checkpoint.number, checkpoint.previous) != (made.room, made.number, made.previous):
            raise DoesNotHold(
                "link",
                f"{name} is published already and follows another checkpoint than this database's: it was set back, "
                "or another room publishes into the same bucket",
            )
        await self._store.put_checkpoint({
            "number": checkpoint.number, "previous": checkpoint.previous, "digest": digest_of(payload),
            "heads": len(checkpoint.heads), "ended_until": checkpoint.ended_until.model_dump(),
            "keyid": keyid, "at": checkpoint.at,
        })  # fmt: skip
        self._last = (checkpoint.number, digest_of(payload))
        self._metrics.checkpoints.inc()
        self._metrics.checkpoint_conflict.set(0)
        about: dict[str, Any] = {"number": checkpoint.number, "heads": len(checkpoint.heads)}
        log.info("a checkpoint was published", extra=about)
        return True

    async def _check_previous(self, made: Checkpoint) -> None:
        """The database says what the next one follows; what is published there must be just that."""
        before = made.number - 1
        if not before or self._last == (before, made.previous):
            return
        there = await self._objects.published(file_name(before))
        if there is None or digest_of(unsigned(there, file_name(before))[0]) != made.previous:
            raise DoesNotHold("link", f"{file_name(before)} is not published as the database has it")

    async def _copy(self, folder: Path) -> None:
        """Get what the folder does not have. Raises DoesNotHold where it and the bucket part."""
        last = max(numbers(folder), default=0)
        known = digest_of(unsigned((folder / file_name(last)).read_bytes(), file_name(last))[0]) if last else None
        while data := await self._objects.published(file_name(last + 1)):
            name = file_name(last + 1)
            payload, _ = unsigned(data, name)
            if known and parsed(payload, name).previous != known:
                raise DoesNotHold("link", f"{name} does not follow the copy of {file_name(last)} in {folder}")
            await asyncio.to_thread(keep, folder, last + 1, data)
            known, last = digest_of(payload), last + 1


def publisher(services: Services) -> Publisher | None:
    """The publisher that the settings ask for."""
    settings = services.settings
    return Publisher(services, settings.signing_key) if settings.signing_key and settings.checkpoint_seconds else None
