"""`opsroom verify` and `opsroom keys`, in a folder with nothing else: no control plane, no settings."""

import json
import os
import stat
from pathlib import Path

import pytest

from opsroom.domain.evidence.trust import load_private_key
from tests.cli.command import Shell
from tests.unit.evidence.made import bundle


@pytest.fixture
def stranger(tmp_path: Path) -> Shell:
    return Shell({"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, tmp_path)


async def test_a_key_is_made_trusted_used_rotated_and_revoked(stranger: Shell) -> None:
    folder = stranger.folder
    made = await stranger.run("keys", "new", "a.pem", "--json")
    assert (made.code, stat.S_IMODE((folder / "a.pem").stat().st_mode)) == (0, 0o600)
    private = load_private_key((folder / "a.pem").read_bytes(), "a.pem")
    bundle(folder, private=private)  # writes made.zip
    check = ("verify", "made.zip", "--trust", "root.json", "--json")

    assert (await stranger.run("keys", "trust", "a.pem", "--root", "root.json", "--owner", "ada")).code == 0
    root = json.loads((folder / "root.json").read_text())
    root["keys"][0]["valid_from"] = "2026-11-01T00:00:00Z"  # the made bundle has a date of its own
    (folder / "root.json").write_text(json.dumps(root))
    assert (await stranger.run(*check)).json["owner"] == "ada"

    await stranger.run("keys", "new", "b.pem")
    assert (await stranger.run("keys", "trust", "b.pem", "--root", "root.json")).code == 0
    listed = (await stranger.run("keys", "list", "--root", "root.json", "--json")).json
    assert [bool(key["valid_until"]) for key in listed] == [True, False]
    assert (await stranger.run(*check)).json["holds"] is True

    assert (await stranger.run("keys", "revoke", made.json["keyid"][:12], "--root", "root.json")).code == 0
    refused = await stranger.run(*check)
    assert (refused.code, refused.json["check"]) == (1, "key")
    assert "DOES NOT HOLD (key): key" in (await stranger.run(*check[:-1])).out


async def test_bad_input_is_named_and_nothing_is_overwritten(stranger: Shell) -> None:
    await stranger.run("keys", "new", "a.pem")
    before = (stranger.folder / "a.pem").read_bytes()
    again = await stranger.run("keys", "new", "a.pem", "--json")
    assert (again.code, again.error["code"]) == (2, "invalid_argument")
    assert (stranger.folder / "a.pem").read_bytes() == before
    (stranger.folder / "root.json").write_text('{"type": "x"}')
    for command in (("verify", "none.zip", "--trust", "root.json"), ("keys", "list", "--root", "root.json")):
        answer = await stranger.run(*command, "--json")
        assert (answer.code, "root.json" in answer.error["message"]) == (2, True)
    (stranger.folder / "no.pem").write_text("no key")
    answer = await stranger.run("keys", "trust", "no.pem", "--root", "new.json")
    assert (answer.code, "not a key in PEM" in answer.err, (stranger.folder / "new.json").exists()) == (2, True, False)
    unknown = await stranger.run("keys", "revoke", "ffff", "--root", "root.json")
    assert unknown.code == 2
