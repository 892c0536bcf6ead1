from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.local.launcher import DENO_CACHE, Launcher
from tests.support.stack import stack

__all__ = ["stack"]


@pytest.fixture
async def launcher(tmp_path: Path) -> AsyncIterator[Launcher]:
    launcher = Launcher(tmp_path / "state of opsroom")
    launcher.folder.mkdir(mode=0o711)
    # As root, Postgres runs as another account, which must be able to walk to the folder.
    for parent in launcher.folder.parents:
        if parent.name.startswith("pytest-"):
            parent.chmod(0o711)
    if DENO_CACHE.exists():  # a cache, not state: no test should download again
        (launcher.folder / "deno").symlink_to(DENO_CACHE)
    yield launcher
    for running in launcher.started:
        await running.stop()
