"""Bundles between a repository and the control plane."""

from pathlib import Path

from opsroom.cli.failure import INVALID, OK
from opsroom.domain.spec_kit import generate_bundle, write_bundle
from tests.cli.command import Shell


async def test_a_bundle_is_pushed_listed_and_pulled_as_it_was(operator: Shell, tmp_path: Path) -> None:
    write_bundle(tmp_path, generate_bundle("Cache rotation", "Rotates caches.", ["Rotate one"]))
    here = ("--repository", str(tmp_path))
    pushed = await operator.run("spec", "push", "cache-rotation", *here, "--json")
    assert (pushed.code, pushed.json["version"]) == (OK, 1)
    assert (await operator.run("spec", "push", "cache-rotation", *here, "--json")).json["version"] == 1
    listed = (await operator.run("spec", "list", "--json")).json
    assert [item["version"] for item in listed if item["slug"] == "cache-rotation"] == [1]
    other = tmp_path / "other"
    other.mkdir()
    assert (await operator.run("spec", "pull", "cache-rotation", "--repository", str(other))).code == OK
    for name in ("constitution.md", "prd.md", "plan.md", "tasks.md"):
        place = Path("spec") / "cache-rotation" / name
        assert (other / place).read_bytes() == (tmp_path / place).read_bytes()
    assert (await operator.run("spec", "pull", "cache-rotation", "--repository", str(other))).code == INVALID
    assert (await operator.run("spec", "pull", "nothing-here", "--repository", str(other))).code == INVALID
    assert (await operator.run("spec", "push", "../etc", *here)).code == INVALID
