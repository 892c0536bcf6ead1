"""The random keys of one installation, made once and kept in `.opsroom/secrets.json` (mode 600)."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from opsroom.local.errors import NoPermission, StackError


@dataclass(frozen=True)
class Secrets:
    """Passwords of the database roles and the keys of the gateway. Keys have the form of hosted Supabase's new keys."""

    supabase_admin: str
    postgres: str
    authenticator: str
    worker: str
    jwt: str
    anon_key: str
    service_role_key: str
    operator: str


def generate() -> Secrets:
    return Secrets(
        supabase_admin=secrets.token_urlsafe(32),
        postgres=secrets.token_urlsafe(32),
        authenticator=secrets.token_urlsafe(32),
        worker=secrets.token_urlsafe(32),
        jwt=secrets.token_urlsafe(48),
        anon_key="sb_publishable_" + secrets.token_urlsafe(32),
        service_role_key="sb_secret_" + secrets.token_urlsafe(32),
        operator=secrets.token_urlsafe(18),
    )


def load_or_create(path: Path) -> Secrets:
    """Read the installation's secrets; make them on the first start. Never overwrites an existing file."""
    try:
        if path.exists():
            stored = json.loads(path.read_text())
            return Secrets(**{field.name: str(stored[field.name]) for field in fields(Secrets)})
        made = generate()
        # Written aside and renamed: a start that is interrupted here leaves either no file or a whole one.
        draft = path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(made), file, indent=2)
        draft.rename(path)
    except PermissionError as error:
        raise NoPermission(f"Cannot read or write {error.filename}: it belongs to another user.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(
            f"{path} is damaged ({error}): restore it from a backup, or run `opsroom reset` to start afresh."
        ) from error
    return made
