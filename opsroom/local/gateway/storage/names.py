"""Which bucket and object names are accepted. The rules are Supabase Storage's, minus dot segments."""

from __future__ import annotations

import re
from typing import Any

from opsroom.local.gateway.errors import StorageError

# S3's safe characters plus those that Supabase Storage adds.
_OBJECT = re.compile(r"^(\w|/|!|-|\.|\*|'|\(|\)| |&|\$|@|=|;|:|\+|,|\?)*$", re.ASCII)
MAX_NAME = 1024


def checked_object_name(name: Any) -> str:
    """An object's name; 400 when it is empty, too long, or could be read as a way out of its folder."""
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= MAX_NAME
        or not _OBJECT.match(name)
        or any(part in ("", ".", "..") for part in name.split("/"))
    ):
        raise StorageError(400, "InvalidKey", f"Invalid key: {str(name)[:200]!r}")
    return name


def checked_bucket_name(name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= 100 or "/" in name or not _OBJECT.match(name):
        raise StorageError(400, "InvalidBucketName", "Bucket name invalid")
    return name
