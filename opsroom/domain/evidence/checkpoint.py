"""Checkpoints: the heads of many runs' event chains, signed, each linked to the one before by its digest.

A folder of them is a chain of its own. Whoever keeps a copy can tell later that a run was cut, rewritten or deleted, or
that checkpoints themselves are missing. The format is in `docs/evidence.md`.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opsroom.domain.evidence.statement import canonical, envelope
from opsroom.domain.evidence.verify import DoesNotHold, key_may_sign, opened

PAYLOAD_TYPE: Final = "application/vnd.ops-control-room.checkpoint+json"
NO_PREVIOUS: Final = "0" * 64
SUFFIX: Final = ".dsse.json"


class Head(NamedTuple):
    """A run's last event at the time: its number and hash."""

    run_id: str
    seq: int
    hash: str


class Position(BaseModel):
    """How far checkpoints have come in the order in which runs end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: str
    run_id: str


class Checkpoint(BaseModel):
    """What is signed. `room` is the database's own id; `at` is its clock, UTC as `2026-11-24T00:13:49.614000Z`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    kind: Literal["urn:ops-control-room:checkpoint:v1"] = Field("urn:ops-control-room:checkpoint:v1", alias="type")
    room: str
    number: int = Field(ge=1)
    previous: str
    at: str
    ended_until: Position
    heads: tuple[Head, ...]

    def payload(self) -> bytes:
        """The bytes that are signed, and whose SHA-256 the next one names."""
        return canonical(self.model_dump(mode="json", by_alias=True))


class Published(NamedTuple):
    """A checkpoint that was read and holds."""

    checkpoint: Checkpoint
    digest: str
    keyid: str


def file_name(number: int) -> str:
    """The checkpoint's file, and its object in Storage."""
    return f"{number:010d}{SUFFIX}"


def sealed(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> bytes:
    """The checkpoint as it is published."""
    return envelope(checkpoint.payload(), key, PAYLOAD_TYPE)


def parsed(payload: bytes, name: str) -> Checkpoint:
    """The checkpoint that was signed. Raises DoesNotHold."""
    try:
        return Checkpoint.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "/".join(str(part) for part in first["loc"])
        raise DoesNotHold("checkpoint", f"{name} is not a checkpoint: {where}: {first['msg']}") from error


def digest_of(payload: bytes) -> str:
    """What the next checkpoint calls this one."""
    return hashlib.sha256(payload).hexdigest()


def numbers(folder: Path) -> list[int]:
    """The numbers of the checkpoints in a folder, ascending. Raises OSError."""
    names = (entry.name.removesuffix(SUFFIX) for entry in folder.iterdir() if entry.name.endswith(SUFFIX))
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def read_chain(folder: Path, keys: Mapping[str, dict[str, Any]]) -> Iterator[Published]:
    """The checkpoints of a folder, oldest first, each only when it holds and follows the one before. Raises DoesNotHold
    for the first thing that does not, and OSError. `keys` are those of `verify.trusted`.
    """
    there = numbers(folder)
    if not there:
        raise DoesNotHold("missing", f"there is no checkpoint in {folder}")
    previous: Published | None = None
    heads: dict[str, tuple[int, str, int]] = {}
    for number in range(1, there[-1] + 1):
        name = file_name(number)
        if number not in there:
            raise DoesNotHold("missing", f"checkpoint {number} is missing, and {there[-1]} is there")
        payload, keyid = opened((folder / name).read_bytes(), dict(keys), name, PAYLOAD_TYPE)
        published = Published(parsed(payload, name), digest_of(payload), keyid)
        _follows(published, previous)
        key_may_sign(keys[keyid], keyid, published.checkpoint.at[:19] + "Z")
        _go_on(published.checkpoint, heads)
        yield published
        previous = published


def _follows(published: Published, previous: Published | None) -> None:
    checkpoint, number = published.checkpoint, published.checkpoint.number
    expected = previous.checkpoint.number + 1 if previous else 1
    if number != expected:
        raise DoesNotHold("link", f"checkpoint {number} stands where {expected} belongs")
    if previous and checkpoint.room != previous.checkpoint.room:
        raise DoesNotHold("link", f"checkpoint {number} is of another room: {checkpoint.room}")
    if checkpoint.previous != (previous.digest if previous else NO_PREVIOUS):
        raise DoesNotHold(
            "link", f"checkpoint {max(number - 1, 1)} was replaced: checkpoint {number} names another one before it"
        )


def _go_on(checkpoint: Checkpoint, heads: dict[str, tuple[int, str, int]]) -> None:
    """A chain only grows, so what is published later of a run goes on from what was published before."""
    for head in checkpoint.heads:
        seq, known, number = heads.get(head.run_id, (0, "", 0))
        if head.seq < seq or (head.seq == seq and head.hash != known):
            raise DoesNotHold(
                "head",
                f"run {head.run_id} had {seq} events at checkpoint {number}, and at checkpoint {checkpoint.number} "
                + (f"only {head.seq}" if head.seq < seq else f"another event {seq}"),
            )
        heads[head.run_id] = (head.seq, head.hash, checkpoint.number)


def hold_record(published: Published, room: str, digest: str | None, last: int | None) -> None:
    """Hold a checkpoint against the database's own record: its room, the digest it has for it (None: it does not know
    it), and the number of its last one. Raises DoesNotHold.
    """
    checkpoint = published.checkpoint
    if room != checkpoint.room:
        raise DoesNotHold("record", f"the checkpoints are of room {checkpoint.room}, the database is room {room}")
    if digest is None:
        raise DoesNotHold(
            "record",
            f"the database does not know checkpoint {checkpoint.number}; its last one is {last or 0}: it was set back",
        )
    if digest != published.digest:
        raise DoesNotHold("record", f"checkpoint {checkpoint.number} of the database is another one than this")


def hold_head(number: int, head: Head, exists: bool, last: int, digest: str | None) -> None:
    """Hold a published head against what the database has of the run now: whether the run exists, the number of its
    last event, and the hash of the event that was the head. Raises DoesNotHold.
    """
    told = f"checkpoint {number} names event {head.seq} of run {head.run_id}"
    if not exists:
        raise DoesNotHold("run", f"{told}, and the database has no such run")
    if last < head.seq:
        raise DoesNotHold("tail", f"{told}, and its chain ends at event {last}: the end is cut off")
    if digest is None:
        raise DoesNotHold("chain", f"{told}, and that event is missing")
    if digest != head.hash:
        raise DoesNotHold("chain", f"{told} with another hash: the chain was rewritten")


def hold_bundle(chain: Iterable[Published], run_id: str, hashes: Sequence[str]) -> int:
    """Hold a bundle's events, by their hashes in order, against all that was published of its run; the number of the
    last checkpoint that names it. Raises DoesNotHold, also when none does.
    """
    found, at = 0, ""
    for published in chain:
        at = published.checkpoint.at
        for head in published.checkpoint.heads:
            if head.run_id == run_id:
                found = published.checkpoint.number
                digest = hashes[head.seq - 1] if head.seq <= len(hashes) else None
                hold_head(found, head, True, len(hashes), digest)
    if not found:
        raise DoesNotHold("checkpoint", f"no checkpoint names run {run_id}; the last one is of {at[:19]}Z")
    return found


def keep(folder: Path, number: int, data: bytes) -> None:
    """Write a checkpoint into a folder; one that is there already is never replaced. Raises OSError."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=".part", delete=False) as draft:
        draft.write(data)
        draft.flush()
        os.fsync(draft.fileno())
    try:
        os.link(draft.name, folder / file_name(number))
    finally:
        os.unlink(draft.name)
