"""The worker's own log: a constant message plus fields, one line each, on stderr."""

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _FieldFormatter(logging.Formatter):
    def __init__(self, mask: Callable[[str], str]) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        text = f"{self.formatTime(record)} {record.levelname.lower():7} {record.getMessage()}"
        text += "".join(f" {key}={_plain(value)}" for key, value in fields.items())
        return self._mask(f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text)


def _plain(value: Any) -> str:
    text = str(value)
    return json.dumps(text) if not text or any(c.isspace() or c == '"' for c in text) else text


def configure(level: str, mask: Callable[[str], str]) -> None:
    """Send every log record of `level` and above to stderr, without secrets."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_FieldFormatter(mask))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # One line per request would drown the worker's own words, and shows addresses of storage objects.
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
