"""Where a run works: its own directory, and one of the worker's beside it."""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

log = logging.getLogger(__name__)


@asynccontextmanager
async def directories(root: Path | None) -> AsyncGenerator[tuple[Path, Path]]:
    """The run's working directory and one of the worker's own beside it, both fresh and gone afterwards."""
    # Not in a thread: three directories are made faster than a thread is woken, and a run waits for them.
    base = Path(tempfile.mkdtemp(prefix="opsroom-run-", dir=root))
    workdir, staging = base / "work", base / "staging"
    workdir.mkdir(mode=0o700)
    staging.mkdir(mode=0o700)
    try:
        yield workdir, staging
    finally:
        await asyncio.to_thread(shutil.rmtree, base, ignore_errors=True)
        if base.exists():
            log.warning("a working directory could not be removed", extra={"path": str(base)})
