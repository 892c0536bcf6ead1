"""The forms in which a secret shows: as it is, and as ordinary tools write it.

Known are percent-encoding, JSON strings (also JSON inside of JSON), HTML, quotation by a shell, hexadecimal digits, and
Base64, alone or anywhere inside of a longer text. What a tool makes up itself is not known.
"""

import base64
import html
import json
import re
import shlex
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

SHORTEST: Final = 4
"""Shorter secrets, and shorter forms, are too common in ordinary text to be looked for."""
LONGEST: Final = 32 << 10
"""Of a secret, in bytes: all its forms are held in memory, and are read at the worker's start."""
SHORTEST_LINE: Final = 8
"""Of a secret of several lines, which are looked for one by one as well."""

URL_SAFE: Final = ("", "/", "!'()*", "*", ";,/?:@&=+$!'()*#")
"""What encoders leave as it is beside letters, digits and `_.-~`: RFC 3986, paths, JavaScript's encodeURIComponent,
forms, and encodeURI.
"""
_ESCAPE: Final = re.compile(r"%[0-9A-F]{2}|\\u[0-9a-f]{4}")
_MARKS: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
"""Escaped by encoders that make JSON safe inside of HTML, like Go's."""


def forms(secret: str) -> Iterator[str]:
    """Every form of a secret's value, of its lines, and of the password of a URL. Some come twice."""
    wholes = {secret, secret.strip()}
    if password := _password(secret):
        wholes |= {password, unquote(password)}
    for text in wholes:
        yield from _as_text(text)
        yield from _as_bytes(text.encode(errors="surrogateescape"))
    for line in secret.splitlines():
        if len(line.strip()) >= SHORTEST_LINE:
            yield from _as_text(line.strip())


def _as_text(text: str) -> Iterator[str]:
    yield from (text, text.replace("'", "'\\''"), shlex.quote(text)[1:-1] if "'" in text else text)
    for entities in (html.escape(text), html.escape(text, quote=False)):
        yield entities
        yield entities.replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    for escaped in (*_as_url(text), *_as_json(text)):
        yield escaped
        yield _ESCAPE.sub(lambda found: found[0].swapcase().replace("\\U", "\\u"), escaped)


def _as_url(text: str) -> Iterator[str]:
    for safe in URL_SAFE:
        yield quote(text, safe=safe, errors="surrogateescape")
        yield quote_plus(text, safe=safe, errors="surrogateescape")
    yield "".join(f"%{byte:02X}" for byte in text.encode(errors="surrogateescape"))


def _as_json(text: str) -> Iterator[str]:
    ascii_only = json.dumps(text)[1:-1]
    for escaped in (ascii_only, json.dumps(text, ensure_ascii=False)[1:-1]):
        yield escaped
        yield escaped.replace("/", "\\/")
        yield re.sub("[<>&]", lambda found: _MARKS[found[0]], escaped)
    yield json.dumps(ascii_only)[1:-1]


def _as_bytes(data: bytes) -> Iterator[str]:
    yield data.hex()
    yield data.hex().upper()
    for before in range(3):
        # Characters that also hold bits of what stands before or behind the secret are not known.
        encoded = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        first, known = (0, 2, 3)[before], (before + len(data)) * 8 // 6
        for told in (encoded[first:known], encoded[first:]):
            yield told
            yield told.translate({ord("+"): "-", ord("/"): "_"})


def _password(secret: str) -> str | None:
    """The password inside of a connection URL: tools print it alone, too."""
    try:
        return urlsplit(secret).password if "://" in secret else None
    except ValueError:
        return None
