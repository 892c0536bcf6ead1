"""Events: the append-only facts of a run, and the hash chain that ties them together.

An event's hash is SHA-256, in lower-case hex, over the canonical JSON (RFC 8785) of all its other fields; its
`prev_hash` is the hash of the event before, 64 zeros for the first. The database computes it (`private.event_hash`);
this computes it again from what was exported, so that a changed, cut out or reordered event shows.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict

Level = Literal["debug", "info", "warn", "error"]
WorkerEventType = Literal[
    "step.started",
    "step.finished",
    "step.skipped",
    "output",
    "log",
    "truncated",
    "metric",
    "proof.recorded",
    "rollback.started",
    "rollback.finished",
]

FIRST_PREV_HASH: Final = "0" * 64
MAX_MESSAGE_BYTES: Final = 64 * 1024
"""The longest message of one event; output is cut into chunks of whole lines below it."""


class Event(BaseModel):
    """One event as exported: `at` is UTC with six digits, `2026-11-24T00:13:49.614000Z`."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    seq: int
    at: str
    type: str
    step: str | None
    level: Level
    message: str
    data: Mapping[str, Any]
    prev_hash: str
    hash: str
    expired_at: str | None = None
    """When its message was removed, past its retention. Its hash is still the one of the message that it had."""

    def hashed(self) -> bytes:
        """The canonical JSON that its hash is made of."""
        return rfc8785.dumps(self.model_dump(exclude={"hash", "expired_at"}))


def event_hash(event: Event) -> str:
    """The hash that `event` must carry."""
    return hashlib.sha256(event.hashed()).hexdigest()


def first_break(events: Iterable[Event]) -> str | None:
    """What is wrong with a run's whole chain, named at the first event that does not hold; None when it holds. Of an
    event that has expired only its place is known: its message is in the run's bundle.
    """
    previous, expected = FIRST_PREV_HASH, 1
    for event in events:
        if event.seq != expected:
            return f"event {expected} is missing: the next one is numbered {event.seq}"
        if event.prev_hash != previous:
            return f"event {event.seq} does not follow from the one before it"
        if event.expired_at is None and event.hash != event_hash(event):
            return f"event {event.seq} was changed: its hash does not match its content"
        previous, expected = event.hash, expected + 1
    return None
