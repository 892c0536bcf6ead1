"""The worker's settings, from its environment. `docs/configuration.md` lists every variable."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opsroom.domain.evidence.trust import UnusableKey, load_private_key
from workers.encodings import LONGEST, SHORTEST

SECRET_PREFIX: Final = "OPSROOM_SECRET_"  # noqa: S105  a prefix, not a secret


class ConfigurationError(Exception):
    """The environment does not make a worker; the message has one line per thing to mend."""


@dataclass(frozen=True)
class Settings:
    """All that a worker has to know. Durations in seconds, sizes in bytes."""

    supabase_url: str
    service_key: str = field(repr=False)
    database_url: str | None = field(default=None, repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    name: str = ""
    concurrency: int = 4
    host: str = "127.0.0.1"
    port: int | None = 54325
    """Of the health addresses; 0 is any free one, None is none."""
    heartbeat_seconds: float = 5.0
    poll_seconds: float = 2.0
    sweep_seconds: float = 1.0
    collect_seconds: float = 3600.0
    grace_seconds: float = 10.0
    output_limit: int = 50 * 1024 * 1024
    artifact_limit: int = 1024 * 1024 * 1024
    work_root: Path | None = None
    start_directory: Path = field(default_factory=Path.cwd)
    step_environment: tuple[str, ...] = ()
    signing_key: Ed25519PrivateKey | None = field(default=None, repr=False)
    checkpoint_seconds: float = 300.0
    """Between checkpoints; 0 is none."""
    checkpoint_folder: Path | None = None
    control_groups: str = "auto"
    log_level: str = "INFO"

    @property
    def all_secrets(self) -> tuple[str, ...]:
        """Everything that must not show: what runs are given, and the worker's own credentials."""
        return (*self.secrets.values(), self.service_key, self.database_url or "")


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings that `environ` holds. Raises ConfigurationError naming everything that is wrong at once."""
    reader = _Reader(environ)
    settings = Settings(
        supabase_url=reader.url("SUPABASE_URL"),
        service_key=reader.first("SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SECRET_KEY"),
        database_url=environ.get("OPSROOM_DATABASE_URL") or None,
        secrets=reader.secrets(),
        name=environ.get("OPSROOM_WORKER_NAME") or socket.gethostname(),
        concurrency=int(reader.number("OPSROOM_WORKER_CONCURRENCY", 4, 1, 256)),
        host=environ.get("OPSROOM_WORKER_HOST") or "127.0.0.1",
        port=reader.port("OPSROOM_WORKER_PORT", 54325),
        heartbeat_seconds=reader.number("OPSROOM_WORKER_HEARTBEAT_SECONDS", 5, 0.1, 60),
        poll_seconds=reader.number("OPSROOM_WORKER_POLL_SECONDS", 2, 0.1, 60),
        sweep_seconds=reader.number("OPSROOM_WORKER_SWEEP_SECONDS", 1, 0.1, 300),
        collect_seconds=reader.number("OPSROOM_WORKER_COLLECT_SECONDS", 3600, 1, 7 * 86400),
        grace_seconds=reader.number("OPSROOM_WORKER_GRACE_SECONDS", 10, 0, 600),
        output_limit=int(reader.number("OPSROOM_OUTPUT_LIMIT_BYTES", 50 * 1024 * 1024, 1024, 1 << 40)),
        artifact_limit=int(reader.number("OPSROOM_ARTIFACT_LIMIT_BYTES", 1 << 30, 1024, 1 << 40)),
        work_root=reader.directory("OPSROOM_WORK_ROOT"),
        step_environment=tuple(filter(None, re.split(r"[,\s]+", environ.get("OPSROOM_STEP_ENV", "")))),
        signing_key=reader.key("OPSROOM_SIGNING_KEY"),
        checkpoint_seconds=reader.number("OPSROOM_CHECKPOINT_SECONDS", 300, 0, 86400),
        checkpoint_folder=reader.directory("OPSROOM_CHECKPOINT_DIR"),
        control_groups=reader.choice("OPSROOM_WORKER_CONTROL_GROUPS", ("auto", "v2", "v1", "off")),
        log_level=reader.level("OPSROOM_LOG_LEVEL"),
    )
    if reader.problems:
        raise ConfigurationError("\n".join(reader.problems))
    return settings


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def first(self, *names: str) -> str:
        for name in names:
            if value := self._environ.get(name):
                return value
        self.problems.append(f"{names[0]} is not set: give the project's service key (or {names[-1]})")
        return ""

    def url(self, name: str) -> str:
        value = self._environ.get(name, "").rstrip("/")
        if not re.match(r"https?://[^/\s]+", value):
            said = f"is {value!r}" if value else "is not set"
            self.problems.append(
                f"{name} {said}: give the address of the Supabase project, for instance https://x.supabase.co"
            )
        return value

    def secrets(self) -> dict[str, str]:
        values = {k: v for k, v in self._environ.items() if k.startswith(SECRET_PREFIX) and v}
        for name, value in sorted(values.items()):
            if len(value.strip()) < SHORTEST:
                self.problems.append(
                    f"{name} is shorter than {SHORTEST} characters: it could not be masked; give a longer one"
                )
            elif len(os.fsencode(value)) > LONGEST:
                self.problems.append(
                    f"{name} is longer than {LONGEST} bytes: too long to be masked; give a file's path instead"
                )
        return {name.removeprefix(SECRET_PREFIX): value for name, value in values.items()}

    def number(self, name: str, default: float, low: float, high: float) -> float:
        text = self._environ.get(name, "")
        try:
            value = float(text) if text else default
            if not low <= value <= high:
                raise ValueError
        except ValueError:
            self.problems.append(f"{name} is {text!r}: give a number from {low:g} to {high:g}")
            return default
        return value

    def port(self, name: str, default: int) -> int | None:
        return None if self._environ.get(name) == "off" else int(self.number(name, default, 0, 65535))

    def directory(self, name: str) -> Path | None:
        text = self._environ.get(name)
        if not text:
            return None
        path = Path(text).resolve()
        if not path.is_dir() or not os.access(path, os.W_OK):
            self.problems.append(f"{name} is {text!r}: give a directory that the worker may write to")
        return path

    def key(self, name: str) -> Ed25519PrivateKey | None:
        file = self._environ.get(name)
        if not file:
            return None
        try:
            return load_private_key(Path(file).read_bytes(), file)
        except (OSError, UnusableKey) as error:
            self.problems.append(f"{name} is {file!r}: give a file with an Ed25519 key in PEM ({error})")
            return None

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self._environ.get(name) or choices[0]
        if value not in choices:
            self.problems.append(f"{name} is {value!r}: give {', '.join(choices[:-1])} or {choices[-1]}")
        return value

    def level(self, name: str) -> str:
        value = (self._environ.get(name) or "INFO").upper()
        if value not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            self.problems.append(f"{name} is {value!r}: give DEBUG, INFO, WARNING or ERROR")
            return "INFO"
        return value
