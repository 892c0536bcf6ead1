"""Where a run works: its own directory, and one of the worker's beside it."""

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

log = logging.getLogger(__name__)


@asynccontextmanager
async def directories(root: Path | None) -> AsyncGenerator[tuple[Path, Callable[[], Path]]]:
    """The run's working directory, and what makes one of the worker's own beside it; both fresh and gone afterwards."""
    # Not in a thread: a directory is made faster than a thread is woken, and a run waits for it. Most need no second.
    workdir = Path(tempfile.mkdtemp(prefix="opsroom-run-", dir=root))
    beside = workdir.with_suffix(".staging")

    def staging() -> Path:
        beside.mkdir(mode=0o700, exist_ok=True)
        return beside

    try:
        yield workdir, staging
    finally:
        for path in (workdir, beside):
            await _remove(path)


async def _remove(path: Path) -> None:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError:
        if path.is_symlink():  # which the run has put there
            path.unlink()
        await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        if path.exists():
            log.warning("a working directory could not be removed", extra={"path": str(path)})
