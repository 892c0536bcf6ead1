"""Frames of the Phoenix socket protocol as the official clients speak it: vsn 1.0.0 (objects) and 2.0.0 (arrays)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

_BROADCAST_PUSH = 3  # kind of the binary frame in which supabase-js sends a broadcast
_JSON_ENCODING = 1


class BadFrame(Exception):
    """The client sent something that is not a frame."""


@dataclass(frozen=True)
class Frame:
    topic: str
    event: str
    payload: dict[str, Any]
    ref: str | None = None
    join_ref: str | None = None


def decode(message: str | bytes, version: str) -> Frame:
    if isinstance(message, bytes):
        return _decode_broadcast(message)
    try:
        value = json.loads(message)
        if version == "2.0.0":
            join_ref, ref, topic, event, payload = value
        else:
            join_ref, ref = value.get("join_ref"), value.get("ref")
            topic, event, payload = value["topic"], value["event"], value.get("payload")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadFrame("not a frame of the chosen protocol version") from error
    if not isinstance(topic, str) or not isinstance(event, str) or len(topic) > 512 or len(event) > 512:
        raise BadFrame("topic and event must be strings of at most 512 characters")
    return Frame(topic, event, payload if isinstance(payload, dict) else {}, _reference(ref), _reference(join_ref))


def _reference(value: Any) -> str | None:
    return None if value is None else str(value)[:64]


def _decode_broadcast(message: bytes) -> Frame:
    """Kind, five lengths, encoding, then join_ref, ref, topic, event, metadata and the payload."""
    if len(message) < 7 or message[0] != _BROADCAST_PUSH or message[6] != _JSON_ENCODING:
        raise BadFrame("only JSON broadcasts may be sent as binary frames")
    parts: list[str] = []
    offset = 7
    try:
        for length in message[1:6]:
            parts.append(message[offset : offset + length].decode())
            offset += length
        payload = json.loads(message[offset:])
    except (ValueError, RecursionError) as error:
        raise BadFrame("a binary broadcast could not be read") from error
    join_ref, ref, topic, event, _metadata = parts
    body = {"type": "broadcast", "event": event, "payload": payload}
    return Frame(topic, "broadcast", body, ref or None, join_ref or None)


def encode(frame: Frame, version: str) -> str:
    if version == "2.0.0":
        value: Any = [frame.join_ref, frame.ref, frame.topic, frame.event, frame.payload]
    else:
        # "ref" must be there even when null: supabase-py drops the frame otherwise.
        value = {"topic": frame.topic, "event": frame.event, "payload": frame.payload, "ref": frame.ref}
        if frame.join_ref is not None:
            value["join_ref"] = frame.join_ref
    return json.dumps(value, separators=(",", ":"))
