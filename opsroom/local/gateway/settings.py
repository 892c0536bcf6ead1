"""What one gateway process needs to know, read once at its start."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsroom.local.paths import LOOPBACK, REPOSITORY, Ports, State
from opsroom.local.postgres import dsn
from opsroom.local.secrets import Secrets

JWT_LIFETIME_SECONDS = 3600
# A run's params are limited by the database to far less; this protects the process, not the schema.
MAX_JSON_BYTES = 8 * 1024 * 1024
MAX_OBJECT_BYTES = 1024**3


@dataclass(frozen=True)
class Settings:
    url: str
    api_dsn: str
    admin_dsn: str
    anon_key: str
    service_role_key: str
    jwt_secret: str
    storage_folder: Path
    functions_url: str
    # From supabase/config.toml, as the Supabase CLI would set them up.
    functions_without_jwt: frozenset[str]
    allow_signup: bool
    min_password_length: int
    max_rows: int | None


def settings_for(state: State, secrets: Secrets, ports: Ports) -> Settings:
    config = _supabase_config()
    auth: dict[str, Any] = config.get("auth", {})
    functions: dict[str, dict[str, Any]] = config.get("functions", {})
    return Settings(
        url=f"http://{LOOPBACK}:{ports.api}",
        api_dsn=dsn("authenticator", secrets, ports.database),
        admin_dsn=dsn("supabase_admin", secrets, ports.database),
        anon_key=secrets.anon_key,
        service_role_key=secrets.service_role_key,
        jwt_secret=secrets.jwt,
        storage_folder=state.storage,
        functions_url=f"http://{LOOPBACK}:{ports.functions}",
        functions_without_jwt=frozenset(
            name for name, options in functions.items() if options.get("verify_jwt") is False
        ),
        allow_signup=bool(auth.get("enable_signup", True)),
        min_password_length=int(auth.get("minimum_password_length", 6)),
        max_rows=config.get("api", {}).get("max_rows"),
    )


def _supabase_config() -> dict[str, Any]:
    path = REPOSITORY / "supabase" / "config.toml"
    return tomllib.loads(path.read_text()) if path.exists() else {}
