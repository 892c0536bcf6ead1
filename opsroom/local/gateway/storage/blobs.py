"""The bytes of objects on disk. A file is named by a random version id, never by anything a caller sent."""

from __future__ import annotations

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from opsroom.local.gateway.errors import StorageError


@dataclass(frozen=True)
class Blob:
    version: str
    size: int
    md5: str


class Blobs:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, version: str) -> Path:
        """Where a version's bytes are. The id comes from our own rows; it is parsed again all the same."""
        name = str(uuid.UUID(version))
        return self._folder / name[:2] / name

    async def write(self, chunks: AsyncIterator[bytes], limit: int) -> Blob:
        """Stream `chunks` to a new file and flush it to disk; 413 beyond `limit` bytes. Nothing stays on failure."""
        version = str(uuid.uuid4())
        path = self.path(version)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        size, md5 = 0, hashlib.md5(usedforsecurity=False)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            async for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise StorageError(413, "Payload too large", "The object exceeded the maximum allowed size")
                md5.update(chunk)
                # Small writes go to the page cache; a thread would cost more than it saves.
                os.write(descriptor, chunk)
            await asyncio.to_thread(os.fsync, descriptor)
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise StorageError(500, "internal", f"The object could not be stored: {error.strerror}") from error
            raise
        finally:
            os.close(descriptor)
        return Blob(version, size, md5.hexdigest())

    async def copy(self, version: str) -> Blob:
        async def chunks() -> AsyncIterator[bytes]:
            with self.path(version).open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, 1 << 20):
                    yield chunk

        return await self.write(chunks(), 1 << 62)

    def remove(self, version: str | None) -> None:
        if version:
            self.path(version).unlink(missing_ok=True)

    def versions(self) -> set[str]:
        """Every version on disk, for removing what no row knows (an upload whose process died)."""
        return {path.name for path in self._folder.glob("??/*") if path.is_file()}
