"""Which control plane to use: a Supabase project named by the environment, or the embedded stack that `opsroom up`
started.

No service key is taken from anywhere: the environment's public key, or the public values in `run.json` of the embedded
stack and the local operator's password beside it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, cast

from opsroom.control_plane.errors import NotConfigured

REPOSITORY: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class LocalOperator:
    """The account of the embedded stack that its one user is signed in with."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Connection:
    """Address and public key (anon or publishable) of a control plane."""

    url: str
    key: str = field(repr=False)
    source: Literal["environment", "embedded"] = "environment"
    local_operator: LocalOperator | None = None


def state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the embedded stack keeps its state: `OPSROOM_STATE_DIR`, else `.opsroom` in the repository."""
    return Path(environ.get("OPSROOM_STATE_DIR") or REPOSITORY / ".opsroom").absolute()


def find_connection(environ: Mapping[str, str] = os.environ) -> Connection:
    """The connection to use: `SUPABASE_URL` and its key, if given, else the running embedded stack.

    Raises NotConfigured when there is neither.
    """
    return from_environment(environ) or from_embedded(state_dir(environ))


def from_environment(environ: Mapping[str, str] = os.environ) -> Connection | None:
    """The project named by `SUPABASE_URL` with `SUPABASE_PUBLISHABLE_KEY` or `SUPABASE_ANON_KEY`; None without the
    address.

    Also takes `OPSROOM_LOCAL_EMAIL` and `OPSROOM_LOCAL_PASSWORD`, which only the embedded stack gives to its UI.
    """
    url = environ.get("SUPABASE_URL", "").strip().rstrip("/")
    if not url:
        return None
    if not url.startswith(("http://", "https://")):
        raise NotConfigured(
            f"SUPABASE_URL is {url!r}, which is no http address.", hint="Use https://<project>.supabase.co."
        )
    key = environ.get("SUPABASE_PUBLISHABLE_KEY") or environ.get("SUPABASE_ANON_KEY")
    if not key:
        raise NotConfigured(
            "SUPABASE_URL is set, but neither SUPABASE_PUBLISHABLE_KEY nor SUPABASE_ANON_KEY is.",
            hint="Copy the public key from the project's API settings; never a secret or service_role key.",
        )
    email, password = environ.get("OPSROOM_LOCAL_EMAIL"), environ.get("OPSROOM_LOCAL_PASSWORD")
    local = LocalOperator(email, password) if email and password else None
    return Connection(url, key, local_operator=local)


def from_embedded(directory: Path) -> Connection:
    """The embedded stack that runs with its state in `directory`. Raises NotConfigured when none does."""
    run = _read(directory / "run.json")
    url, key = run.get("api_url"), run.get("anon_key")
    if not isinstance(url, str) or not isinstance(key, str):
        raise NotConfigured(
            f"No control plane: SUPABASE_URL is not set and no embedded stack runs here ({directory}).",
            hint="Start one with `opsroom up`, or set SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY.",
        )
    email, password = run.get("local_email"), _read(directory / "secrets.json").get("operator")
    local = LocalOperator(email, password) if isinstance(email, str) and isinstance(password, str) else None
    return Connection(url.rstrip("/"), key, source="embedded", local_operator=local)


def _read(path: Path) -> dict[str, Any]:
    try:
        value: Any = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise NotConfigured(
            f"{path} cannot be read: {error}.", hint="Run `opsroom up` again; it writes the file."
        ) from error
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}
