"""Chains of checkpoints that do not hold: each is refused for the right reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opsroom.domain.evidence.checkpoint import (
    NO_PREVIOUS,
    Checkpoint,
    Head,
    digest_of,
    file_name,
    hold_bundle,
    hold_head,
    hold_record,
    keep,
    read_chain,
    sealed,
)
from opsroom.domain.evidence.verify import DoesNotHold, trusted
from tests.unit.evidence.made import APPROVER, DAY, RUN, WORKER, key, trust_root

HASHES = [f"{n:064x}" for n in range(1, 6)]
STORY: list[list[Head]] = [
    [Head(RUN, 2, HASHES[1])],
    [Head(RUN, 4, HASHES[3]), Head(WORKER, 1, HASHES[0])],
    [Head(WORKER, 3, HASHES[2])],
]


def write(folder: Path, *, signer: int = 1, change: Callable[[dict[str, Any]], object] = lambda told: None) -> Path:
    """Three checkpoints; `change` alters each before it is signed."""
    previous = NO_PREVIOUS
    for number, heads in enumerate(STORY, 1):
        told: dict[str, Any] = {
            "room": APPROVER, "number": number, "previous": previous, "at": f"{DAY}T10:0{number}:00.000000Z",
            "ended_until": {"at": f"{DAY}T10:0{number}:00.000000Z", "run_id": RUN}, "heads": heads,
        }  # fmt: skip
        change(told)
        made = Checkpoint.model_validate(told)
        (folder / file_name(number)).unlink(missing_ok=True)
        keep(folder, number, sealed(made, key(signer)))
        previous = digest_of(made.payload())
    return folder


def keys(folder: Path, **changes: Any) -> dict[str, dict[str, Any]]:
    root = folder / "root.json"
    root.write_text(trust_root(**changes).text())
    return trusted(str(root))


def refusal(folder: Path, **changes: Any) -> tuple[str, str]:
    with pytest.raises(DoesNotHold) as refused:
        list(read_chain(folder, keys(folder, **changes)))
    return refused.value.check, str(refused.value)


def in_second(told: dict[str, Any], **changes: Any) -> None:
    if told["number"] == 2:
        told.update(changes)


def test_a_whole_chain_holds_and_files_are_never_replaced(tmp_path: Path) -> None:
    write(tmp_path)
    chain = list(read_chain(tmp_path, keys(tmp_path)))
    assert [p.checkpoint.number for p in chain] == [1, 2, 3]
    assert chain[1].checkpoint.heads[0] == Head(RUN, 4, HASHES[3])
    with pytest.raises(FileExistsError):
        keep(tmp_path, 2, b"another")
    assert sorted(path.name for path in tmp_path.iterdir()) == [*(file_name(n) for n in (1, 2, 3)), "root.json"]


def test_a_gap_shows_wherever_it_is(tmp_path: Path) -> None:
    assert refusal(tmp_path) == ("missing", f"there is no checkpoint in {tmp_path}")
    write(tmp_path)
    (tmp_path / file_name(2)).unlink()
    assert refusal(tmp_path) == ("missing", "checkpoint 2 is missing, and 3 is there")
    (tmp_path / file_name(1)).unlink()
    assert refusal(tmp_path)[1] == "checkpoint 1 is missing, and 3 is there"


@pytest.mark.parametrize(
    ("change", "check", "message"),
    [
        (lambda told: in_second(told, previous=HASHES[4]), "link", "checkpoint 1 was replaced"),
        (lambda told: in_second(told, room=RUN), "link", "checkpoint 2 is of another room"),
        (lambda told: in_second(told, number=7), "link", "checkpoint 7 stands where 2 belongs"),
        (lambda told: in_second(told, heads=[Head(RUN, 1, HASHES[0])]), "head", "at checkpoint 2 only 1"),
        (lambda told: in_second(told, heads=[Head(RUN, 2, HASHES[4])]), "head", "at checkpoint 2 another event 2"),
    ],
)  # fmt: skip
def test_what_does_not_follow_is_refused_although_it_is_signed(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], check: str, message: str
) -> None:
    write(tmp_path, change=change)
    refused = refusal(tmp_path)
    assert refused[0] == check and message in refused[1]


def test_signatures_count_as_for_bundles(tmp_path: Path) -> None:
    write(tmp_path, signer=5)
    assert refusal(tmp_path)[0] == "key"
    write(tmp_path)
    assert refusal(tmp_path, valid_from=f"{DAY}T10:02:00Z")[1].endswith("when it signed")
    assert refusal(tmp_path, revoked_at=f"{DAY}T11:00:00Z")[0] == "key"
    keys(tmp_path, valid_from=f"{DAY}T10:01:00Z")
    assert len(list(read_chain(tmp_path, keys(tmp_path, valid_from=f"{DAY}T10:01:00Z")))) == 3
    whole = (tmp_path / file_name(2)).read_bytes()
    (tmp_path / file_name(2)).write_bytes((tmp_path / file_name(3)).read_bytes())
    assert refusal(tmp_path) == ("link", "checkpoint 3 stands where 2 belongs")
    middle = len(whole) // 2
    (tmp_path / file_name(2)).write_bytes(
        whole[:middle] + (b"A" if whole[middle : middle + 1] != b"A" else b"B") + whole[middle + 1 :]
    )
    assert refusal(tmp_path)[0] in ("signature", "envelope")
    (tmp_path / file_name(2)).write_bytes(b"{}")
    assert refusal(tmp_path)[0] == "envelope"


def test_the_database_is_held_against_what_was_published(tmp_path: Path) -> None:
    first = next(read_chain(write(tmp_path), keys(tmp_path)))
    hold_record(first, APPROVER, first.digest, 3)
    hold_head(1, STORY[0][0], True, 9, HASHES[1])
    for check, message, call in (
        ("record", "the database is room", lambda: hold_record(first, RUN, first.digest, 3)),
        ("record", "its last one is 0: it was set back", lambda: hold_record(first, APPROVER, None, None)),
        ("record", "is another one than this", lambda: hold_record(first, APPROVER, HASHES[0], 3)),
        ("run", "has no such run", lambda: hold_head(1, STORY[0][0], False, 0, None)),
        ("tail", "its chain ends at event 1", lambda: hold_head(1, STORY[0][0], True, 1, None)),
        ("chain", "that event is missing", lambda: hold_head(1, STORY[0][0], True, 9, None)),
        ("chain", "was rewritten", lambda: hold_head(1, STORY[0][0], True, 9, HASHES[0])),
    ):
        with pytest.raises(DoesNotHold, match=message) as refused:
            call()
        assert refused.value.check == check


def test_a_bundle_is_held_against_all_that_was_published_of_its_run(tmp_path: Path) -> None:
    chain = list(read_chain(write(tmp_path), keys(tmp_path)))
    assert hold_bundle(chain, RUN, HASHES) == 2
    for hashes, check in ((HASHES[:3], "tail"), ([HASHES[0], HASHES[4], *HASHES[2:]], "chain")):
        with pytest.raises(DoesNotHold) as refused:
            hold_bundle(chain, RUN, hashes)
        assert refused.value.check == check
    with pytest.raises(DoesNotHold, match="no checkpoint names run"):
        hold_bundle(chain, APPROVER, HASHES)
