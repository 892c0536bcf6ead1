"""A worker of the next release, for the upgrade test: it speaks one protocol more and is the same in all else."""

import sys

import workers.store
from workers.__main__ import main

workers.store.PROTOCOL += 1  # pyright: ignore[reportAttributeAccessIssue]

if __name__ == "__main__":
    sys.exit(main())
