"""Commands about people: signing in and out, who one is, who may do what."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from opsroom.cli import failure
from opsroom.cli.runs import JsonOption

PANEL = "People"


class RoleChoice(StrEnum):
    """The roles, as choices of an argument; `none` takes the membership away."""

    viewer = "viewer"
    operator = "operator"
    approver = "approver"
    admin = "admin"
    none = "none"


member = typer.Typer(rich_markup_mode=None, help="Let people in and set what they may do.", no_args_is_help=True)


def sign_in(
    email: Annotated[str | None, typer.Option(help="Your e-mail address; asked for when not given.")] = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
) -> None:
    """Sign in to the control plane of SUPABASE_URL. The embedded stack signs its local operator in by itself.

    Example: opsroom sign-in --email ada@example.org
    """

    async def work() -> None:
        from opsroom.cli.sign_in_store import SignInStore
        from opsroom.control_plane.auth import Auth
        from opsroom.control_plane.config import find_connection
        from opsroom.control_plane.rest import open_http
        from opsroom.domain.errors import InvalidArgument

        connection = find_connection()
        if not sys.stdin.isatty() and not (email and password_stdin):
            raise InvalidArgument("There is no terminal to ask.", hint="Give --email, and --password-stdin < FILE.")
        address = email or typer.prompt("E-mail")
        secret = sys.stdin.readline().rstrip("\n") if password_stdin else typer.prompt("Password", hide_input=True)
        async with open_http() as http:
            tokens = await Auth(connection, http).sign_in(address, secret)
        store = SignInStore(connection)
        async with store.locked():
            store.save(tokens)
        typer.echo(f"Signed in to {connection.url} as {tokens.email}.")

    failure.run(work())


def sign_out() -> None:
    """Sign out, and forget the sign-in kept on this machine.

    Example: opsroom sign-out
    """

    async def work() -> None:
        from opsroom.cli.sign_in_store import SignInStore
        from opsroom.control_plane.auth import Auth
        from opsroom.control_plane.config import find_connection
        from opsroom.control_plane.rest import open_http

        connection = find_connection()
        store = SignInStore(connection)
        async with store.locked():
            tokens = store.load()
            store.save(None)
        if tokens is None:
            typer.echo(f"You were not signed in to {connection.url}.")
            return
        async with open_http() as http:
            await Auth(connection, http).sign_out(tokens.access_token)
        typer.echo(f"Signed out of {connection.url}.")

    failure.run(work())


def whoami(json: JsonOption = False) -> None:
    """Show who you are signed in as, and your role.

    Example: opsroom whoami
    """

    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import open_room

        async with open_room() as room:
            me = await room.whoami()
        if json:
            print_json(me)
        else:
            typer.echo(f"{me.email}, {me.role}, at {room.connection.url}")

    failure.run(work(), as_json=json)


@member.command("list")
def list_members(json: JsonOption = False) -> None:
    """List the people of this room.

    Example: opsroom member list
    """

    async def work() -> None:
        from opsroom.cli import output
        from opsroom.cli.room import open_room

        async with open_room() as room:
            found = await room.members()
        if json:
            output.print_json(found)
            return
        rows = ((m.email, m.role if m.disabled_at is None else "none", m.display_name) for m in found)
        output.print_table(("EMAIL", "ROLE", "NAME"), rows, empty="No members.")

    failure.run(work(), as_json=json)


@member.command("set")
def set_member(
    email: Annotated[str, typer.Argument(help="E-mail address of an account that exists.")],
    role: Annotated[RoleChoice, typer.Option(help="What they may do; none takes it all away.")],
    json: JsonOption = False,
) -> None:
    """Let a person in, or change their role. Needs the role admin.

    Example: opsroom member set ada@example.org --role operator
    """

    async def work() -> None:
        from opsroom.cli.output import print_json
        from opsroom.cli.room import open_room

        async with open_room() as room:
            changed = await room.set_member(email, None if role is RoleChoice.none else role.value)
        if json:
            print_json(changed)
        elif changed.disabled_at is not None:
            typer.echo(f"{changed.email} is no member any more.")
        else:
            typer.echo(f"{changed.email} is now {changed.role}.")

    failure.run(work(), as_json=json)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("sign-in", rich_help_panel=PANEL)(sign_in)
    app.command("sign-out", rich_help_panel=PANEL)(sign_out)
    app.command(rich_help_panel=PANEL)(whoami)
    app.add_typer(member, name="member", rich_help_panel=PANEL)
