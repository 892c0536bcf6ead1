"""The lifecycle as a model: spin looks at every order in which its steps can come."""

import asyncio
import os
import shutil

import pytest

from opsroom.local.paths import REPOSITORY

HOLD = ("two-runs-in-a-lane", "a-run-and-its-successor", "every-run-ends")
FOUND = ("no-fence", "no-lane-lock", "spawn-before-start", "deadline-from-answer", "no-sweep")


def spin_is_there_or_can_be_installed() -> bool:
    return bool(shutil.which("spin")) or (os.geteuid() == 0 and bool(shutil.which("apt-get")))


@pytest.mark.soak  # half a minute of a core: `make model` runs the same check
@pytest.mark.skipif(
    not spin_is_there_or_can_be_installed(), reason="there is no spin, and it can not be installed here"
)
async def test_the_lifecycle_holds_in_every_order_and_each_rule_is_needed() -> None:
    check = await asyncio.create_subprocess_exec(
        "sh", "tools/check-model", cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output = (await check.communicate())[0].decode()
    assert check.returncode == 0, output
    for name in HOLD:
        assert f"{name}: holds" in output
    for name in FOUND:
        assert f"{name}: found" in output
