"""What of the worker's own environment the processes of runs may see.

A list of what is let through, not of what is held back: the worker's environment holds the service key, and a variable
that somebody adds tomorrow must not leak because nobody thought of it here.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

LET_THROUGH: Final = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
NEVER: Final = ("SUPABASE_", "OPSROOM_")
"""Prefixes of the worker's own configuration: not even OPSROOM_STEP_ENV lets them through."""


def base_environment(also: Iterable[str] = (), environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The part of `environ` that any process of a run may see; `also` are further names the operator allows."""
    names = (*LET_THROUGH, *(name for name in also if not name.startswith(NEVER)))
    return {name: environ[name] for name in names if name in environ}


def facts(run_id: str, attempt: int, workdir: Path, start_directory: Path) -> dict[str, str]:
    """What every process of a run is told: RUN_ID and RUN_ATTEMPT make outside effects idempotent."""
    return {
        "RUN_ID": run_id,
        "RUN_ATTEMPT": str(attempt),
        "WORKDIR": str(workdir),
        "WORKER_DIRECTORY": str(start_directory),
        "WORKER_PYTHON": sys.executable,
        "TMPDIR": str(workdir),
        "PYTHONUNBUFFERED": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
