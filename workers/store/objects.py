"""Artifacts' bytes: Supabase Storage over HTTP, addressed by content, so that an upload can simply be repeated."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx

from workers.store.group_commit import pauses
from workers.store.https import service_headers

log = logging.getLogger(__name__)

BUCKET: Final = "artifacts"
BUNDLES: Final = "bundles"
CHECKPOINTS: Final = "checkpoints"
CHUNK: Final = 1 << 18


class UploadRefused(Exception):
    """Storage will not take the object, whatever we repeat; the message says why."""


class DownloadRefused(Exception):
    """Storage does not give the object out, whatever we repeat; the message says why."""


class DeleteRefused(Exception):
    """Storage does not delete the objects; the message says why."""


class Objects:
    """The private buckets `artifacts`, `bundles` and `checkpoints`."""

    def __init__(self, url: str, key: str) -> None:
        # Uploads may be large: no limit on the whole, only on silence.
        self._client = httpx.AsyncClient(
            base_url=f"{url}/storage/v1/object/",
            headers=service_headers(key),
            timeout=httpx.Timeout(60, connect=5),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def upload(self, run_id: str, sha256: str, path: Path, media_type: str) -> None:
        """Store the file as `<run_id>/<sha256>`, repeating what may be repeated. Raises UploadRefused."""
        await self._upload(run_id, f"{BUCKET}/{run_id}/{sha256}", path, media_type)

    async def upload_bundle(self, run_id: str, sha256: str, path: Path) -> None:
        """Store a bundle as `<run_id>/<sha256>.zip`, as `upload` does."""
        await self._upload(run_id, f"{BUNDLES}/{run_id}/{sha256}.zip", path, "application/zip")

    async def publish(self, name: str, data: bytes) -> bytes:
        """Store a checkpoint under a name that nothing has; the bytes that are there then, which may be somebody
        else's. One try. Raises UploadRefused, DownloadRefused, or httpx.TransportError.
        """
        headers = {"content-type": "application/json", "x-upsert": "false"}
        answer = await self._client.post(f"{CHECKPOINTS}/{name}", content=data, headers=headers)
        if answer.is_success:
            return data
        if not _already_there(answer):
            raise UploadRefused(f"Storage did not take {name}: HTTP {answer.status_code}: {answer.text[:300]}")
        there = await self.published(name)
        if there is None:
            raise DownloadRefused(f"Storage has {name} and does not give it out")
        return there

    async def published(self, name: str) -> bytes | None:
        """A published checkpoint; None when there is none of that name. One try, as `publish`."""
        answer = await self._client.get(f"authenticated/{CHECKPOINTS}/{name}")
        if answer.is_success:
            return answer.content
        if answer.status_code == HTTPStatus.NOT_FOUND or '"404"' in answer.text or "not_found" in answer.text:
            return None
        raise DownloadRefused(f"HTTP {answer.status_code}: {answer.text[:300]}")

    async def delete(self, bucket: str, names: Sequence[str]) -> None:
        """Delete objects, as far as they are there. One try. Raises DeleteRefused or httpx.TransportError."""
        answer = await self._client.request("DELETE", bucket, json={"prefixes": list(names)})
        if not answer.is_success:
            raise DeleteRefused(f"HTTP {answer.status_code}: {answer.text[:300]}")

    async def _upload(self, run_id: str, address: str, path: Path, media_type: str) -> None:
        size = path.stat().st_size
        # Without a length httpx would send chunks, which Storage behind some proxies does not take.
        headers = {"content-type": media_type, "content-length": str(size), "x-upsert": "false"}
        for pause in pauses():
            try:
                answer = await self._client.post(address, content=_read(path), headers=headers)
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
            else:
                if answer.is_success or _already_there(answer):
                    return
                problem = f"HTTP {answer.status_code}: {answer.text[:300]}"
                if not answer.is_server_error and answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                    raise UploadRefused(f"Storage refused an object of {size} bytes: {problem}")
            log.warning("an upload will be repeated", extra={"run_id": run_id, "error": problem})
            await asyncio.sleep(pause)

    async def download(self, object_path: str, target: Path) -> str:
        """Write the object to `target`, repeating what may be repeated; its SHA-256. Raises DownloadRefused."""
        for pause in pauses():
            digest = hashlib.sha256()
            try:
                async with self._client.stream("GET", f"authenticated/{BUCKET}/{object_path}") as answer:
                    if answer.is_success:
                        with target.open("wb") as file:
                            async for chunk in answer.aiter_bytes(CHUNK):
                                digest.update(chunk)
                                await asyncio.to_thread(file.write, chunk)
                        return digest.hexdigest()
                    problem = f"HTTP {answer.status_code}: {(await answer.aread())[:300].decode(errors='replace')}"
                    if not answer.is_server_error and answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                        raise DownloadRefused(problem)
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
            log.warning("a download will be repeated", extra={"object": object_path, "error": problem})
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")


def _already_there(answer: httpx.Response) -> bool:
    """The same content under the same address: an earlier try, whose answer was lost."""
    return answer.status_code == HTTPStatus.CONFLICT or (
        answer.status_code == HTTPStatus.BAD_REQUEST and ('"409"' in answer.text or "Duplicate" in answer.text)
    )


async def _read(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk
