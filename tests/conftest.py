"""How tests are shared out when several processes run them (`pytest -n`)."""

import signal
import zlib
from pathlib import Path

import pytest

# A shell that runs the tests in the background ignores Ctrl-C, and so would every program they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

ALONE = frozenset({"bench", "faults", "local", "unit", "worker"})
"""Folders whose every file is a unit of its own; the files of another folder share one stack and stay together."""
UI_PARTS = 4
"""The files of `tests/ui` would be half of everything in one process: they go in so many parts, each with its stack."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder, *_ = item.path.relative_to(Path(__file__).parent).parts
        unit = item.path.stem if folder in ALONE else folder
        if folder == "ui":
            unit = f"part {zlib.crc32(item.path.stem.encode()) % UI_PARTS}"
        item.add_marker(pytest.mark.xdist_group(f"{folder}/{unit}"))
