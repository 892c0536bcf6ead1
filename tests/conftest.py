"""How tests are shared out when several processes run them (`pytest -n`)."""

import signal
from pathlib import Path

import pytest

# A shell that runs the tests in the background ignores Ctrl-C, and so would every program they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

ALONE = frozenset({"bench", "faults", "local", "unit", "worker"})
"""Folders whose every file is a unit of its own; the files of another folder share one stack and stay together."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder, *_ = item.path.relative_to(Path(__file__).parent).parts
        unit = item.path.stem if folder in ALONE else folder
        item.add_marker(pytest.mark.xdist_group(f"{folder}/{unit}"))
