"""What each program of the stack gets as its environment, and `run.json`: the public facts of the running stack."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from opsroom.local.errors import StackError
from opsroom.local.paths import LOOPBACK, Ports, State
from opsroom.local.postgres import dsn
from opsroom.local.secrets import Secrets, load_or_create

LOCAL_EMAIL = "operator@local.opsroom"

# What a child gets of our own environment: what any program needs, and nothing that is a secret of somebody else.
_PASSED_ON = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TERM", "VIRTUAL_ENV"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "DENO_CERT", "DENO_TLS_CA_STORE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "NPM_CONFIG_REGISTRY"),
    )
)
_UI_SETTINGS = frozenset(
    (
        *("OPSROOM_UI_ORIGINS", "OPSROOM_LOG_LEVEL", "REFLEX_API_URL"),
        *("OPSROOM_LLM_URL", "OPSROOM_LLM_MODEL", "OPSROOM_LLM_KEY"),
    )
)


def api_url(ports: Ports) -> str:
    return f"http://{LOOPBACK}:{ports.api}"


def passed_on() -> dict[str, str]:
    """The part of our own environment that every child gets."""
    return {name: value for name, value in os.environ.items() if name.upper() in _PASSED_ON}


def base_environment(state: State, ports: Ports) -> dict[str, str]:
    """What every child process gets."""
    return {
        **passed_on(),
        "PYTHONUNBUFFERED": "1",
        "OPSROOM_STATE_DIR": str(state.root),
        "OPSROOM_UI_PORT": str(ports.ui),
        "OPSROOM_API_PORT": str(ports.api),
        "OPSROOM_DB_PORT": str(ports.database),
        "OPSROOM_FUNCTIONS_PORT": str(ports.functions),
        "OPSROOM_WORKER_PORT": str(ports.worker),
    }


def ui_settings() -> dict[str, str]:
    """The UI's own settings from our environment; never a key of the control plane."""
    return {name: os.environ[name] for name in _UI_SETTINGS if name in os.environ}


def worker_settings() -> dict[str, str]:
    """The worker's own settings and the secrets of templates, from our environment."""
    return {name: value for name, value in os.environ.items() if name.startswith("OPSROOM_") and value}


def worker_environment(state: State) -> dict[str, str]:
    """What one more worker needs to serve the embedded stack that runs with its state in `state`."""
    running = read_run(state)
    if running is None:
        raise StackError("The embedded stack is not running: start it with `opsroom up`.")
    return embedded_worker(load_or_create(state.secrets), Ports(**running["ports"]))


def embedded_worker(secrets: Secrets, ports: Ports) -> dict[str, str]:
    return {
        "SUPABASE_URL": api_url(ports),
        "SUPABASE_SERVICE_ROLE_KEY": secrets.service_role_key,
        "OPSROOM_DATABASE_URL": dsn("worker", secrets, ports.database),
        # What templates call EMBEDDED_DATABASE: the owner of the schema, who may read everything and make databases.
        "OPSROOM_SECRET_EMBEDDED_DATABASE": dsn("postgres", secrets, ports.database),
    }


def write_run(state: State, ports: Ports, facts: dict[str, Any]) -> None:
    """Tell other programs of this installation that the stack runs. Holds no secret."""
    content = {"pid": os.getpid(), "ports": asdict(ports), **facts}
    draft = state.run_file.with_suffix(".tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2)
    draft.replace(state.run_file)


def read_run(state: State) -> dict[str, Any] | None:
    """What `write_run` wrote, or None when there is nothing (usable)."""
    try:
        value = json.loads(Path(state.run_file).read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and "ports" in value else None
