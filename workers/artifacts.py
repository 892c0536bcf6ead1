"""Artifacts: the files of a run's working directory that its steps declare, stored by content."""

import asyncio
import codecs
import glob
import hashlib
import mimetypes
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from opsroom.domain.template import ArtifactKind, ArtifactRule
from workers.secrets import Masker, StreamMasker

CHUNK: Final = 1 << 20
TEXT_KINDS: Final = frozenset[ArtifactKind]({"markdown", "json", "diff", "html"})

_BY_SUFFIX: Final[dict[str, tuple[ArtifactKind, str]]] = {
    ".md": ("markdown", "text/markdown"),
    ".markdown": ("markdown", "text/markdown"),
    ".json": ("json", "application/json"),
    ".diff": ("diff", "text/x-diff"),
    ".patch": ("diff", "text/x-diff"),
    ".png": ("image", "image/png"),
    ".jpg": ("image", "image/jpeg"),
    ".jpeg": ("image", "image/jpeg"),
    ".gif": ("image", "image/gif"),
    ".webp": ("image", "image/webp"),
    ".svg": ("image", "image/svg+xml"),
    ".html": ("html", "text/html"),
    ".htm": ("html", "text/html"),
    ".zip": ("archive", "application/zip"),
    ".tar": ("archive", "application/x-tar"),
    ".gz": ("archive", "application/gzip"),
    ".tgz": ("archive", "application/gzip"),
    ".zst": ("archive", "application/zstd"),
    ".xz": ("archive", "application/x-xz"),
    ".txt": ("file", "text/plain"),
    ".log": ("file", "text/plain"),
}


class ArtifactRefused(Exception):
    """A declared artifact is missing or must not be taken; the message says which and why."""


@dataclass(frozen=True)
class Found:
    """A file to store: `path` is ours alone by now, nothing the run still runs can change it."""

    name: str
    path: Path
    kind: ArtifactKind
    media_type: str
    sha256: str
    size: int


async def collect(
    rules: tuple[ArtifactRule, ...], workdir: Path, staging: Path, masker: Masker, limit: int
) -> list[Found]:
    """Copy what `rules` name from `workdir` into `staging`, masked where it is text. Raises ArtifactRefused."""
    return await asyncio.to_thread(lambda: list(_collect(rules, workdir.resolve(), staging, masker, limit)))


def _collect(
    rules: tuple[ArtifactRule, ...], workdir: Path, staging: Path, masker: Masker, limit: int
) -> Iterator[Found]:
    seen: set[str] = set()
    for rule in rules:
        pattern = PurePosixPath(rule.path)
        if pattern.is_absolute() or ".." in pattern.parts:
            raise ArtifactRefused(f"artifact {rule.path!r}: the path must stay inside of the run's working directory")
        names = sorted(glob.glob(rule.path, root_dir=workdir, recursive=True, include_hidden=True))
        files = [name for name in names if not (workdir / name).is_dir() or (workdir / name).is_symlink()]
        if not files and rule.required:
            raise ArtifactRefused(f"artifact {rule.path!r}: the step left no such file behind")
        for name in files:
            if name not in seen:
                seen.add(name)
                yield _take(name, rule.kind, workdir, staging=staging, masker=masker, limit=limit)


def _take(name: str, kind: ArtifactKind | None, workdir: Path, *, staging: Path, masker: Masker, limit: int) -> Found:
    inside = (workdir / name).resolve()
    if not inside.is_relative_to(workdir):
        raise ArtifactRefused(f"artifact {name!r}: it is a link to a place outside of the run's working directory")
    try:
        # Opened without following links: what was resolved is what is read. Not waiting on a pipe nobody writes to.
        handle = os.open(inside, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ArtifactRefused(f"artifact {name!r}: {os.strerror(error.errno or 0)}") from error
    with os.fdopen(handle, "rb") as source:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise ArtifactRefused(f"artifact {name!r}: only ordinary files can be stored")
        if about.st_size > limit:
            raise ArtifactRefused(f"artifact {name!r}: {about.st_size} bytes are more than the limit of {limit}")
        detected, media_type = _detect(name)
        copy = staging / hashlib.sha256(os.fsencode(name)).hexdigest()
        digest, size = hashlib.sha256(), 0
        first = source.read(CHUNK)
        is_text = (kind or detected) in TEXT_KINDS or media_type.startswith("text/") or _reads_as_text(first)
        with copy.open("wb") as target:
            for chunk in _masked(first, source, masker) if is_text else _chunks(first, source):
                digest.update(chunk)
                size += target.write(chunk)
    return Found(masker.mask(name), copy, kind or detected, media_type, digest.hexdigest(), size)


def _chunks(first: bytes, source: IO[bytes]) -> Iterator[bytes]:
    chunk = first
    while chunk:
        yield chunk
        chunk = source.read(CHUNK)


def _masked(first: bytes, source: IO[bytes], masker: Masker) -> Iterator[bytes]:
    """Without the known secrets. Bytes that are no UTF-8 pass through unchanged."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
    secrets = StreamMasker(masker)
    for chunk in _chunks(first, source):
        yield secrets.feed(decoder.decode(chunk)).encode(errors="surrogateescape")
    rest = secrets.feed(decoder.decode(b"", final=True)) + secrets.finish()
    yield rest.encode(errors="surrogateescape")


def _reads_as_text(data: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return b"\0" not in data


def _detect(name: str) -> tuple[ArtifactKind, str]:
    suffix = PurePosixPath(name).suffix.lower()
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return _BY_SUFFIX.get(suffix, ("file", guessed))
