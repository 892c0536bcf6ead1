"""Text for people: rough durations, and nothing that steers their terminal."""

import datetime as dt

import pytest

from opsroom.cli.output import console, print_table, span
from opsroom.cli.text import clean
from opsroom.cli.timing import parse_moment
from opsroom.domain.errors import InvalidArgument


def test_where_the_terminal_is_narrow_only_the_title_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "width", 40)
    with console.capture() as captured:
        print_table(("ID", "STATUS", "TITLE"), [("e10871cf", "succeeded", "A title that is much too long")], empty="")
    assert captured.get().splitlines()[1].split("  ") == ["e10871cf", "succeeded", "A title that is mu…"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (0.4, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_durations_are_rough(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert clean("a\x1b[31mb\x07\x9b31m\r\tc\n") == "a�[31mb��31m�\tc\n"


def test_a_moment_may_be_relative_or_absolute() -> None:
    before = dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=9) < parse_moment("+10m") - before < dt.timedelta(minutes=11)
    assert parse_moment("2026-11-24T18:00:00+01:00") == dt.datetime(2026, 11, 24, 17, tzinfo=dt.UTC)
    assert parse_moment("2026-11-24T18:00:00").tzinfo is not None


@pytest.mark.parametrize("text", ["", "soon", "+10", "10m", "+9999999d", "2026-13-01"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is no moment"):
        parse_moment(text)
