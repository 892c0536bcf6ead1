"""The control plane as a command uses it: found, signed in, with run and session names resolved."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from opsroom.cli.sign_in_store import SignInStore
from opsroom.control_plane.auth import Auth, Credentials, Tokens
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.config import Connection, find_connection
from opsroom.control_plane.models import Session, Worker
from opsroom.control_plane.rest import open_http
from opsroom.control_plane.search import SHORT_ID_LENGTH, RunFilter
from opsroom.domain.errors import InvalidArgument, NotAuthenticated, RunNotFound, SessionNotFound, WorkerNotFound

DEFAULT_SESSION = "Command line"


@asynccontextmanager
async def open_room() -> AsyncGenerator[ControlPlane]:
    """The control plane of the environment or the embedded stack, as the signed-in person."""
    connection = find_connection()
    store = SignInStore(connection)
    async with open_http() as http:
        auth = Auth(connection, http)
        tokens = store.load() or await _first_sign_in(connection, auth, store)

        async def renew(old: Tokens) -> Tokens:
            async with store.locked():
                kept = store.load()
                if kept and kept.access_token != old.access_token:
                    return kept  # another command was quicker
                new = await _renewed(connection, auth, old)
                store.save(new)
                return new

        yield ControlPlane(connection, Credentials(auth, tokens, renew=renew), http)


async def _first_sign_in(connection: Connection, auth: Auth, store: SignInStore) -> Tokens:
    operator = connection.local_operator
    if operator is None:
        raise NotAuthenticated(f"You are not signed in to {connection.url}.", hint="Run `opsroom sign-in`.")
    tokens = await auth.sign_in(operator.email, operator.password)
    if connection.source == "embedded":
        store.save(tokens)
    return tokens


async def _renewed(connection: Connection, auth: Auth, old: Tokens) -> Tokens:
    operator = connection.local_operator
    try:
        if old.refresh_token is not None:
            return await auth.refresh(old.refresh_token)
    except NotAuthenticated:
        if operator is None or operator.email != old.email:
            raise NotAuthenticated(
                f"Your sign-in to {connection.url} has ended.", hint="Run `opsroom sign-in`."
            ) from None
    if operator is None or operator.email != old.email:
        raise NotAuthenticated(f"Your sign-in to {connection.url} has ended.", hint="Run `opsroom sign-in`.")
    return await auth.sign_in(operator.email, operator.password)  # the stack was reset since


async def find_run(room: ControlPlane, text: str) -> str:
    """The id of the run that `text` names: an id, or the first hexadecimal digits of one, if only one run has them."""
    found = list(await room.runs(RunFilter(id_prefix=text, limit=6)))
    if not found:
        raise RunNotFound(f"There is no run {text!r}.", hint="`opsroom runs` lists the newest ones.")
    if len(found) > 1:
        names = ", ".join(run.id[: len(text) + 4] for run in found)
        raise InvalidArgument(f"{text!r} is the beginning of several runs' ids: {names}.", hint="Give more digits.")
    return found[0].id


async def find_session(room: ControlPlane, text: str, *, archived: bool = False) -> Session:
    """The session that `text` names: an id, the first digits of one, or a title (case does not matter)."""
    sessions = await room.list_sessions(archived=archived)
    wanted = text.casefold().strip()
    found = [session for session in sessions if session.title.casefold() == wanted]
    if not found and len(wanted) >= SHORT_ID_LENGTH:
        found = [session for session in sessions if session.id.startswith(wanted)]
    if len(found) > 1:
        names = ", ".join(session.id[:12] for session in found)
        raise InvalidArgument(f"{text!r} names several sessions: {names}.", hint="Give the id.")
    if not found:
        kind = "archived" if archived else "open"
        raise SessionNotFound(
            f"There is no {kind} session {text!r}.",
            hint="`opsroom sessions` lists them; `opsroom session create TITLE` makes one.",
        )
    return found[0]


async def find_person(room: ControlPlane, text: str) -> str:
    """The id of the member that `text` names: an e-mail address, a name, an id, or `me`."""
    wanted = text.strip().lower()
    if wanted == "me":
        return (await room.whoami()).user_id
    names = [
        (member, {member.user_id, member.email.lower(), member.display_name.lower()}) for member in await room.members()
    ]
    found = [member for member, known in names if wanted in known]
    if len(found) > 1:
        raise InvalidArgument(f"{text!r} names several people.", hint="Give the e-mail address.")
    if not found:
        raise InvalidArgument(f"There is no member {text!r}.", hint="`opsroom member list` lists them.")
    return found[0].user_id


async def find_worker(room: ControlPlane, text: str) -> Worker:
    """The worker that `text` names and that has not stopped: an id, the first digits of one, or a name."""
    workers, wanted = await room.workers(), text.strip()
    found = [worker for worker in workers if worker.name == wanted]
    if not found and len(wanted) >= SHORT_ID_LENGTH:
        found = [worker for worker in workers if worker.id.startswith(wanted.lower())]
    if len(found) > 1:
        names = ", ".join(worker.id[:12] for worker in found)
        raise InvalidArgument(f"{text!r} names several workers: {names}.", hint="Give the id.")
    if not found:
        raise WorkerNotFound(f"There is no worker {text!r} that has not stopped.", hint="`opsroom fleet` lists them.")
    return found[0]


async def default_session(room: ControlPlane) -> Session:
    """The signed-in person's own session for runs from the command line, made on first use."""
    me = room.credentials.tokens.user_id
    for session in await room.list_sessions():
        if session.title == DEFAULT_SESSION and session.created_by == me:
            return session
    return await room.create_session(DEFAULT_SESSION, "Runs started with `opsroom run`.")
