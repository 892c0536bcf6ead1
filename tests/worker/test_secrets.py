"""Masking, without a worker: pieces of any size give what the whole gives."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from workers.secrets import MASK, Masker, StreamMasker

SECRETS = ["h@rd-to-guess", "sb_secret_abc", "password", "password-and-more", "line one of a key\nline two of a key"]
TEXT = "a h@rd-to-guess b sb_secret_abc password-and-more passwor passwords line two of a key. h%40rd-to-guess"


@given(st.lists(st.integers(0, len(TEXT)), max_size=12))
def test_a_text_cut_anywhere_is_masked_like_the_whole(cuts: list[int]) -> None:
    masker = Masker(SECRETS)
    stream = StreamMasker(masker)
    places = [0, *sorted(cuts), len(TEXT)]
    shown = "".join(stream.feed(TEXT[a:b]) for a, b in itertools.pairwise(places)) + stream.finish()
    assert shown == masker.mask(TEXT)


@given(st.text(alphabet="abs_h@rd-to\n", max_size=60), st.integers(0, 60))
def test_no_secret_is_ever_shown_whatever_surrounds_it(around: str, at: int) -> None:
    stream = StreamMasker(Masker(SECRETS))
    text = around[:at] + "h@rd-to-guess" + around[at:]
    shown = "".join(stream.feed(character) for character in text) + stream.finish()
    assert "h@rd-to-guess" not in shown
    assert MASK in shown


def test_values_too_short_to_be_told_from_ordinary_text_are_left_alone() -> None:
    assert Masker(["abc", ""]).mask("abc def") == "abc def"
