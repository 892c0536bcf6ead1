"""What is in an archive, without unpacking anything: names and sizes from a zip's directory or a tar's headers.

A zip is listed from its end, where its directory is. A tar has no directory: it is read through to a limit, and what a
compressed one unpacks to counts against a limit too and is thrown away. So an archive that promises terabytes costs
what its first MAX_UNPACKED bytes cost.
"""

import bz2
import datetime as dt
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

MAX_ENTRIES: Final = 2_000
MAX_UNPACKED: Final = 64 * 1024 * 1024
_LZMA_MEMORY: Final = 128 * 1024 * 1024
_NOT_ONE: Final = (
    tarfile.TarError, zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, OverflowError,
    RecursionError, MemoryError, zlib.error, lzma.LZMAError,
)  # fmt: skip


class NotListed(ValueError):
    """These bytes are not an archive that can be listed."""


def zip_list(tail: bytes) -> dict[str, Any]:
    """Entries of a zip of which `tail` is the end. Raises NotListed, also when its directory is longer than `tail`."""
    try:
        with zipfile.ZipFile(io.BytesIO(tail)) as archive:
            found = archive.infolist()
    except _NOT_ONE as error:
        raise NotListed(str(error) or "not a zip archive") from error
    return _listing([_zip_entry(item) for item in found[:MAX_ENTRIES]], len(found), stopped=False)


def _zip_entry(item: zipfile.ZipInfo) -> dict[str, Any]:
    mode = item.external_attr >> 16
    kind = "folder" if item.is_dir() else "link" if stat.S_ISLNK(mode) else "file"
    year, month, day, hour, minute, _ = item.date_time
    at = f"{year}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}"
    return _entry(item.filename, kind, item.file_size, at, packed=item.compress_size)


def tar_list(head: bytes, whole: bool) -> dict[str, Any]:
    """Entries of a tar, plain or packed with gzip, bzip2 or xz, of which `head` is the beginning. Raises NotListed."""
    source = _Unpacked(head, whole)
    entries: list[dict[str, Any]] = []
    count, stopped = 0, False
    try:
        with tarfile.open(fileobj=source, mode="r|", errorlevel=0) as archive:  # pyright: ignore[reportArgumentType, reportCallIssue]
            while (item := archive.next()) is not None:
                count += 1
                archive.members = []  # nothing is kept of what was listed
                if count <= MAX_ENTRIES:
                    entries.append(_tar_entry(item))
                else:
                    stopped = True
                    break
    except _NOT_ONE as error:
        if not count:
            raise NotListed(str(error) or "not a tar archive") from error
        stopped = True
    return _listing(entries, count, stopped=stopped or source.cut)


def _tar_entry(item: tarfile.TarInfo) -> dict[str, Any]:
    link = item.issym() or item.islnk()
    kind = "folder" if item.isdir() else "link" if link else "file" if item.isreg() else "special"
    try:
        at = dt.datetime.fromtimestamp(float(item.mtime), dt.UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        at = ""
    return _entry(item.name, kind, item.size, at, target=item.linkname if link else "")


def _entry(name: str, kind: str, size: int, at: str, *, packed: int | None = None, target: str = "") -> dict[str, Any]:
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[:1000]
    where = target.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[:1000]
    leaves = _leaves(text) or bool(where and _leaves(where))
    return {"name": text, "kind": kind, "size": size, "packed": packed, "at": at, "target": where, "leaves": leaves}


def _leaves(path: str) -> bool:
    """Whether a path would lead out of the folder that the archive is unpacked in."""
    parts = path.replace("\\", "/").split("/")
    return ".." in parts or path.startswith(("/", "\\")) or path[1:2] == ":"


def _listing(entries: list[dict[str, Any]], count: int, *, stopped: bool) -> dict[str, Any]:
    unpacked = sum(entry["size"] for entry in entries)
    return {"entries": entries, "count": count, "cut": stopped or count > len(entries), "unpacked": unpacked}


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Gunzip:
    """zlib's object with the interface of the other two."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max(0, max_length))


_MAGIC: Final[Iterable[tuple[bytes, Callable[[], _Decompressor]]]] = (
    (b"\x1f\x8b", _Gunzip),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", lambda: lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)),
)


class _Unpacked:
    """The unpacked stream, a piece at a time; it ends at MAX_UNPACKED, and `cut` says that it did."""

    def __init__(self, packed: bytes, whole: bool) -> None:
        self._packed = memoryview(packed)
        self._whole = whole
        self._unpack = next((make() for magic, make in _MAGIC if packed.startswith(magic)), None)
        self._given = 0
        self.cut = False

    def read(self, size: int) -> bytes:
        size = min(size, MAX_UNPACKED - self._given)
        if size <= 0:
            self.cut = True
            return b""
        piece = self._more(size)
        self._given += len(piece)
        if not piece and not self._whole:
            self.cut = True
        return piece

    def _more(self, size: int) -> bytes:
        if self._unpack is None:
            piece, self._packed = bytes(self._packed[:size]), self._packed[size:]
            return piece
        while not self._unpack.eof:
            taken, self._packed = bytes(self._packed[: 64 * 1024]), self._packed[64 * 1024 :]
            piece = self._unpack.decompress(taken, size)
            if piece or not taken:
                return piece
        self.cut = self.cut or bool(self._packed)  # a second stream behind the first is not read
        return b""
