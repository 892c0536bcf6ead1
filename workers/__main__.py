"""`python -m workers`: one worker, configured by its environment. `docs/worker.md` explains it."""

import asyncio
import ctypes
import logging
import sys

import uvloop

from opsroom.domain.errors import WorkerProtocol
from workers import logs
from workers.app import Worker
from workers.config import ConfigurationError, Settings, load
from workers.process import ProcessNotStarted
from workers.secrets import Masker
from workers.store import Refused

log = logging.getLogger(__name__)

PR_SET_DUMPABLE = 4


async def _work(settings: Settings, masker: Masker) -> None:
    await Worker(settings, masker).run()


def main() -> int:
    """Exit code 0 after a drain, 2 for a wrong configuration or version, 1 for anything else."""
    try:
        settings = load()
    except ConfigurationError as error:
        sys.stderr.write(f"The worker can not start:\n{error}\n")
        return 2
    masker = Masker(settings.all_secrets)
    logs.configure(settings.log_level, masker.mask)
    if sys.platform == "linux":
        # /proc/<worker>/environ holds the service key: closed to the processes of runs, which have the same user id.
        # (Not where the worker runs as root: root reads everything.)
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_work(settings, masker))
    except ConfigurationError as error:
        sys.stderr.write(f"The worker can not start:\n{error}\n")
        return 2
    except WorkerProtocol as error:
        sys.stderr.write(f"The worker can not start: {error.message}. {error.hint or ''}\n")
        return 2
    except (OSError, ProcessNotStarted, Refused) as error:
        sys.stderr.write(masker.mask(f"The worker can not start: {error}\n"))
        return 1
    except Exception:
        log.exception("the worker broke")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
