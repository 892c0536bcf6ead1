"""A command's output, from bytes of any kind to events: decoded, masked, cut into chunks of whole lines, capped."""

import asyncio
import codecs
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from opsroom.domain.events import MAX_MESSAGE_BYTES
from workers.secrets import Masker, StreamMasker

READ_BYTES: Final = 1 << 17
LINES_HELD_SECONDS: Final = 0.5
"""How long a line whose end may begin a secret that goes on in the next line is held back."""
DROPPING_PAUSE_SECONDS: Final = 0.005
"""Between reads once the cap is reached: a command that floods is slowed down, and must not eat the worker's time."""


class OutputBudget:
    """What a run may still say, shared by all its streams."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._left = limit
        self.dropped = 0
        self.announced = False

    def take(self, data: bytes) -> bytes:
        """The part of `data` that is kept."""
        kept = data[: self._left]
        self._left -= len(kept)
        self.dropped += len(data) - len(kept)
        return kept


async def read_text(
    reader: asyncio.StreamReader, masker: Masker, budget: OutputBudget, on_cap: Callable[[], Awaitable[None]]
) -> AsyncIterator[tuple[str, bool]]:
    """Chunks of whole lines without their last newline, and whether the chunk breaks off inside a line.

    Invalid UTF-8 and NUL become U+FFFD: the database's text knows neither. `on_cap` is called once, when the
    run's cap is reached; the command goes on, what it says is read and dropped.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    secrets = StreamMasker(masker)
    rest = b""
    while (data := await _read(reader, secrets)) != b"":
        if data is None:
            shown = secrets.release_lines()
        else:
            kept = budget.take(data)
            if len(kept) < len(data):
                if not budget.announced:
                    budget.announced = True
                    await on_cap()
                if not kept:
                    await asyncio.sleep(DROPPING_PAUSE_SECONDS)
                    continue
            shown = secrets.feed(decoder.decode(kept))
        rest += shown.replace("\x00", "\ufffd").encode()
        end = rest.rfind(b"\n") + 1
        if end == 0 and len(rest) < MAX_MESSAGE_BYTES:
            continue
        # A line longer than one chunk is given out in parts as it comes.
        end = end or len(rest) - len(rest) % MAX_MESSAGE_BYTES
        whole, rest = rest[:end], rest[end:]
        pieces, tail = _cut(whole)
        rest = tail + rest
        for piece in pieces:
            yield piece
    rest += (secrets.feed(decoder.decode(b"", final=True)) + secrets.finish()).replace("\x00", "\ufffd").encode()
    pieces, tail = _cut(rest)
    for piece in pieces:
        yield piece
    if tail:
        yield tail.decode(), True


async def _read(reader: asyncio.StreamReader, secrets: StreamMasker) -> bytes | None:
    """What comes next, empty at the end; None when lines are held back and nothing comes for a while."""
    try:
        async with asyncio.timeout(LINES_HELD_SECONDS if secrets.holds_lines else None):
            return await reader.read(READ_BYTES)
    except TimeoutError:
        return None


def _cut(data: bytes) -> tuple[list[tuple[str, bool]], bytes]:
    """`data` in chunks of at most MAX_MESSAGE_BYTES, cut after a newline where possible, else between characters.

    What does not end a line and is shorter than a chunk is handed back.
    """
    pieces: list[tuple[str, bool]] = []
    while data:
        window = data[:MAX_MESSAGE_BYTES]
        end = window.rfind(b"\n")
        if end >= 0:
            pieces.append((window[:end].decode(), False))
            data = data[end + 1 :]
        elif len(data) >= MAX_MESSAGE_BYTES:
            end = MAX_MESSAGE_BYTES
            while end < len(data) and data[end] & 0xC0 == 0x80:
                end -= 1
            pieces.append((data[:end].decode(), True))
            data = data[end:]
        else:
            break
    return pieces, data
