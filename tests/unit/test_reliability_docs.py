"""docs/reliability.md names tests: each of them exists, and none of the faults is missing."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def named() -> set[str]:
    return set(re.findall(r"`(test_\w+)`", (REPOSITORY / "docs/reliability.md").read_text()))


def written(*folders: str) -> set[str]:
    files = [file for folder in folders for file in (REPOSITORY / "tests" / folder).glob("test_*.py")]
    return {name for file in files for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.M)}


def test_each_named_test_exists() -> None:
    assert not named() - written("faults")


def test_each_fault_is_named() -> None:
    assert not written("faults") - named() - {"test_a_good_history_holds"}
