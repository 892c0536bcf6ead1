"""Evidence: fetching and checking bundles, and the keys that sign them. Only fetching needs a control plane."""

import datetime as dt
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opsroom.cli import failure
from opsroom.cli.runs import JsonOption, RunArgument

if TYPE_CHECKING:
    from opsroom.domain.evidence.trust import TrustRoot

RootOption = Annotated[Path, typer.Option("--root", metavar="FILE", help="The trust root.")]

keys = typer.Typer(
    rich_markup_mode=None, help="Keys that sign evidence bundles, and who is trusted.", no_args_is_help=True
)


def verify(
    bundle: Annotated[Path, typer.Argument(help="The bundle, a zip file.")],
    trust: Annotated[Path, typer.Option("--trust", metavar="FILE", help="The trust root: whose signatures count.")],
    *,
    checkpoints: Annotated[
        Path | None,
        typer.Option("--checkpoints", metavar="DIR", help="Hold it against the checkpoints in this folder, too."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check an evidence bundle offline; exits 1 and names the first thing that does not hold.

    Example: opsroom verify bundle.zip --trust root.json
    """

    async def work() -> int:
        from opsroom.cli.output import print_json
        from opsroom.cli.text import say
        from opsroom.domain.errors import InvalidArgument
        from opsroom.domain.evidence.verify import DoesNotHold, summary
        from opsroom.domain.evidence.verify import verify as check

        try:
            verdict = check(str(bundle), str(trust))
            named_by = _named_by(bundle, trust, checkpoints, verdict.run_id) if checkpoints else None
        except DoesNotHold as error:
            if json:
                print_json({"holds": False, "check": error.check, "message": str(error)})
            else:
                typer.secho("DOES NOT HOLD ", fg="red", bold=True, nl=False)
                say(f"({error.check}): {error}")
            return failure.FAILED
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise InvalidArgument(f"It can not be checked: {error}", hint="Give a bundle and a trust root.") from None
        if json:
            print_json({"holds": True, **verdict._asdict(), **({"checkpoint": named_by} if named_by else {})})
        else:
            typer.secho("HOLDS ", fg="green", bold=True, nl=False)
            say(summary(verdict) + (f"; published in checkpoint {named_by}" if named_by else ""))
        return failure.OK

    raise typer.Exit(failure.run(work(), as_json=json))


def bundle(
    run: RunArgument,
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Default: RUN.zip.")] = None,
    json: JsonOption = False,
) -> None:
    """Download the evidence bundle of an ended run: one zip that `opsroom verify` checks.

    Example: opsroom bundle 3f9a1c20 -o evidence.zip
    """

    async def work() -> None:
        from opsroom.cli.output import print_json, short
        from opsroom.cli.room import find_run, open_room
        from opsroom.domain.errors import InvalidArgument, RunNotFound

        async with open_room() as room:
            run_id = await find_run(room, run)
            found = await room.bundle(run_id)
            if found is None:
                hint = "It is made when the run has ended, by a worker that has OPSROOM_SIGNING_KEY."
                raise RunNotFound(f"Run {short(run_id)} has no bundle yet.", hint=hint)
            target = output or Path(f"{short(run_id)}.zip")
            part = target.with_name(target.name + ".part")
            try:
                async with room.open_bundle(found) as chunks:
                    with part.open("wb") as file:
                        async for chunk in chunks:
                            file.write(chunk)
                part.replace(target)
            except OSError as error:
                raise InvalidArgument(
                    f"{target} can not be written: {error.strerror}.", hint="Choose another file."
                ) from None
        if json:
            print_json({**found.model_dump(mode="json"), "file": str(target)})
        else:
            typer.echo(f"{target}: {found.size_bytes} bytes, signed by {found.keyid[:16]}")

    failure.run(work(), as_json=json)


@keys.command()
def new(
    file: Annotated[Path, typer.Argument(help="Where the private key goes; it must not exist.")],
    json: JsonOption = False,
) -> None:
    """Make an Ed25519 key for a worker to sign with. The file is readable by its owner only.

    Example: opsroom keys new signing-key.pem
    """

    async def work() -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        from opsroom.cli.output import print_json
        from opsroom.domain.errors import InvalidArgument
        from opsroom.domain.evidence.trust import keyid_of, private_pem

        private = Ed25519PrivateKey.generate()
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise InvalidArgument(
                f"{file} can not be written: {error.strerror}.", hint="Choose another file."
            ) from None
        with os.fdopen(handle, "wb") as target:
            target.write(private_pem(private))
        keyid = keyid_of(private.public_key())
        if json:
            print_json({"keyid": keyid, "file": str(file)})
        else:
            typer.echo(
                f"{keyid}\nThe private key is in {file}. Trust it with: opsroom keys trust {file} --root root.json"
            )

    failure.run(work(), as_json=json)


@keys.command()
def trust(
    file: Annotated[Path, typer.Argument(help="A private or public key, PEM.")],
    root: RootOption,
    owner: Annotated[str, typer.Option(help="Whose key it is, as reports name it.")] = "worker",
) -> None:
    """Trust a key from now on. Keys that were trusted before end now, which is a rotation; what they signed counts on.

    Example: opsroom keys trust signing-key.pem --root root.json --owner "production workers"
    """

    async def work() -> None:
        from opsroom.domain.evidence.trust import TrustRoot, load_public_key

        known = _read(root) if root.exists() else TrustRoot()
        _write(root, known.trusting(load_public_key(_bytes(file), file), owner, _now()))

    failure.run(work())


@keys.command()
def revoke(
    keyid: Annotated[str, typer.Argument(help="The key's id, or its first digits.")],
    root: RootOption,
) -> None:
    """Trust a key no more: nothing it ever signed counts, because whoever has it can write any date.

    Example: opsroom keys revoke 3f9a1c20 --root root.json
    """

    async def work() -> None:
        _write(root, _read(root).revoking(keyid, _now()))

    failure.run(work())


@keys.command(name="list")
def show(root: RootOption, json: JsonOption = False) -> None:
    """The keys of a trust root, and when each counts.

    Example: opsroom keys list --root root.json
    """

    async def work() -> None:
        from opsroom.cli.output import print_json, print_table

        trusted = _read(root).keys
        if json:
            print_json(trusted)
            return
        rows = [
            (
                key.keyid[:16],
                key.owner,
                key.valid_from,
                key.valid_until or "",
                f"revoked {key.revoked_at}" if key.revoked_at else "",
            )
            for key in trusted
        ]
        print_table(("KEY", "OWNER", "FROM", "UNTIL", ""), rows, empty="No key is trusted.")

    failure.run(work(), as_json=json)


def _named_by(bundle: Path, trust: Path, folder: Path, run_id: str) -> int:
    """The checkpoint that the events of a bundle, which holds by itself, agree with."""
    import hashlib
    import zipfile

    from opsroom.domain.evidence.checkpoint import hold_bundle, read_chain
    from opsroom.domain.evidence.verify import EVENTS, trusted

    with zipfile.ZipFile(bundle) as archive:
        lines = archive.read(EVENTS).rstrip(b"\n").split(b"\n")
    hashes = [hashlib.sha256(line).hexdigest() for line in lines]
    return hold_bundle(read_chain(folder, trusted(str(trust))), run_id, hashes)


def _bytes(file: Path) -> bytes:
    from opsroom.domain.errors import InvalidArgument

    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidArgument(f"{file} can not be read: {error.strerror}.", hint="Give an existing file.") from None


def _read(root: Path) -> "TrustRoot":
    from pydantic import ValidationError

    from opsroom.domain.evidence.trust import TrustRoot, UnusableKey

    try:
        return TrustRoot.model_validate_json(_bytes(root))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UnusableKey(f"{root} is not a trust root: {first['msg']}", hint="See docs/evidence.md.") from None


def _write(root: Path, changed: "TrustRoot") -> None:
    part = root.with_name(root.name + ".part")
    part.write_text(changed.text())
    part.replace(root)


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Evidence")(bundle)
    app.command(rich_help_panel="Evidence")(verify)
    app.add_typer(keys, name="keys", rich_help_panel="Evidence")
