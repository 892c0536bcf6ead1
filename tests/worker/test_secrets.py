"""Masking, without a worker: pieces of any size give what the whole gives, whatever form a secret has."""

from __future__ import annotations

import base64
import html
import itertools
import json
import random
import re
import textwrap
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.encodings import forms
from workers.secrets import MASK, Masker, StreamMasker

PEM = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n-----END KEY-----\n"
SECRETS = [
    "h@rd-to-guess",
    "sb_secret_abc",
    "password",
    "password-and-more",
    "ends-with-pass",
    PEM,
    " sp ced.*[a-z]+$ ",
]
ODD = 'ü-ñ "quoted" \\ back/slash & <tag> 100% a+b it\'s 🔑'
TEXT = f"a h@rd-to-guess b sb_secret_abc password-and-more passwor ends-with-password. h%40rd-to-guess {PEM} pass\r\n  word"


def split(masker: Masker, text: str, cuts: list[int]) -> str:
    stream = StreamMasker(masker)
    places = [0, *sorted(cuts), len(text)]
    return "".join(stream.feed(text[a:b]) for a, b in itertools.pairwise(places)) + stream.finish()


@given(st.lists(st.integers(0, len(TEXT)), max_size=12))
def test_a_text_cut_anywhere_is_masked_like_the_whole(cuts: list[int]) -> None:
    masker = Masker(SECRETS)
    shown = split(masker, TEXT, cuts)
    assert shown == masker.mask(TEXT)
    assert shown.startswith(f"a {MASK} b {MASK} {MASK} passwor {MASK}. {MASK} {MASK}")
    assert shown.endswith(MASK)


@given(
    st.lists(st.sampled_from(["ab", "cd", "abcd", "abab", "dabc", "\n", "\r", "\r\n  ", "x", " " * 70]), max_size=30),
    st.lists(st.integers(0, 200), max_size=10),
)
def test_secrets_that_overlap_and_text_that_almost_is_one_are_cut_anywhere(parts: list[str], cuts: list[int]) -> None:
    text = "".join(parts)
    masker = Masker(["abcd", "cdab", "abcdabcdx", "dabcx"])
    assert split(masker, text, [min(cut, len(text)) for cut in cuts]) == masker.mask(text)


@given(st.text(alphabet="abs_h@rd-to\n", max_size=60), st.integers(0, 60))
def test_no_secret_is_ever_shown_whatever_surrounds_it(around: str, at: int) -> None:
    text = around[:at] + "h@rd-to-guess" + around[at:]
    shown = split(Masker(SECRETS), text, list(range(len(text))))
    assert "h@rd-to-guess" not in shown
    assert MASK in shown


ENCODERS: dict[str, Callable[[str], str]] = {
    "plain": lambda s: s,
    "percent": lambda s: quote(s, safe=""),
    "percent of a path": quote,
    "percent in lower case": lambda s: re.sub("%..", lambda found: found[0].lower(), quote(s, safe="")),
    "form": quote_plus,
    "JavaScript": lambda s: quote(s, safe="!'()*"),
    "every byte": lambda s: "".join(f"%{byte:02x}" for byte in s.encode()),
    "JSON": json.dumps,
    "JSON, not only ASCII": lambda s: json.dumps({"x": s}, ensure_ascii=False),
    "JSON with escaped slashes": lambda s: json.dumps(s).replace("/", "\\/"),
    "JSON for HTML": lambda s: (
        json.dumps(s, ensure_ascii=False).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    ),
    "JSON in JSON": lambda s: json.dumps({"line": json.dumps({"x": s})}),
    "HTML": html.escape,
    "HTML of templates": lambda s: html.escape(s).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "shell": lambda s: "'" + s.replace("'", "'\\''") + "'",
    "hexadecimal": lambda s: s.encode().hex(),
    "HEXADECIMAL": lambda s: s.encode().hex().upper(),
    "Base64": lambda s: base64.b64encode(s.encode()).decode(),
    "Base64 for URLs": lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
}


@pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("secret", [ODD, "a-token-of-letters", "x.*(y]+$^|{2}", "tab\tand\nnew line"])
def test_known_forms_are_masked_wherever_they_are_cut(encode: Callable[[str], str], secret: str) -> None:
    masker, text = Masker([secret]), f"before {encode(secret)} after"
    for at in range(len(text)):
        shown = split(masker, text, [at])
        assert encode(secret) not in shown
        assert shown == masker.mask(text)
    assert len(masker.mask(text).replace(MASK, "")) <= len("before  after") + 26, "no more than a frame is left"


@given(st.binary(min_size=4, max_size=40), st.binary(max_size=9), st.binary(max_size=9), st.sampled_from("+-"))
def test_base64_of_a_longer_text_shows_at_most_the_bits_it_shares(
    secret: bytes, before: bytes, after: bytes, kind: str
) -> None:
    token = "T0-" + secret.hex()
    encode = base64.b64encode if kind == "+" else base64.urlsafe_b64encode
    text = encode(before + token.encode() + after).decode()
    shown = Masker([token]).mask(text)
    assert shown.count(MASK) == 1
    left = len(shown.replace(MASK, "").rstrip("="))
    assert left <= -(-8 * (len(before) + len(after)) // 6) + 2, "two characters, of mixed bits, may stay"


@pytest.mark.parametrize("width", [1, 5, 64, 76])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\n    "])
def test_a_form_broken_over_lines_is_masked(width: int, newline: str) -> None:
    secret = "a-token-of-some-length-that-is-broken-over-lines-by-base64"
    encoded = base64.b64encode(f"user:{secret}".encode() * 3).decode()
    text = newline.join(textwrap.wrap(encoded, width))
    masker = Masker([secret])
    for cuts in ([], [len(text) // 3], list(range(len(text)))):
        shown = split(masker, text, cuts)
        assert shown.count(MASK) == 3
        assert shown == masker.mask(text)


def test_the_lines_of_a_secret_are_masked_one_by_one_too() -> None:
    shown = Masker([PEM]).mask("log: MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nlog: -----END KEY-----")
    assert shown == f"log: {MASK}\nlog: {MASK}"


def test_the_password_of_an_address_is_masked_alone_too() -> None:
    masker = Masker(["postgresql://u:h%40rd-to-guess@db/x"])
    assert masker.mask("h@rd-to-guess h%40rd-to-guess u@db") == f"{MASK} {MASK} u@db"
    assert Masker(["http://[bad"]).mask("http://[bad") == MASK


def test_values_too_short_to_be_told_from_ordinary_text_are_left_alone() -> None:
    assert Masker(["abc", "", "  a "]).mask("abc def") == "abc def"


def test_lines_that_may_go_on_are_held_until_they_are_released() -> None:
    stream = StreamMasker(Masker(["password"]))
    assert stream.feed("my pass\n") == "my "
    assert stream.holds_lines
    assert stream.release_lines() == "pass\n"
    assert not stream.holds_lines
    assert stream.feed("word") + stream.finish() == "word"


def test_no_more_is_held_than_may_become_a_secret() -> None:
    secret = "-".join(f"part{n}" for n in range(60))
    masker = Masker([secret])
    most = max(map(len, forms(secret))) * 66
    for filler in ("\n", " ", "\r\n", "\n" + " " * 64, "p", secret[:-1]):
        stream, shown = StreamMasker(masker), 0
        fed = secret[:-1] + filler * (200_000 // len(filler))
        for at in range(0, len(fed), 4096):
            shown += len(stream.feed(fed[at : at + 4096]))
            assert min(at + 4096, len(fed)) - shown <= most


def test_time_grows_with_the_text_and_hardly_with_the_secrets() -> None:
    """Hostile text: beginnings of secrets all over. Four times the text may take four times as long, and some."""
    rng = random.Random(5)
    secrets = ["".join(rng.choices("abcdefgh+/=", k=40)) for _ in range(40)]
    masker = Masker(secrets)

    def seconds(parts: int) -> float:
        text = "".join(rng.choice(secrets)[: rng.randrange(1, 39)] for _ in range(parts))
        began = time.process_time()
        split(masker, text, list(range(0, len(text), 5000)))
        return time.process_time() - began

    seconds(1000)
    short, long = min(seconds(4000) for _ in range(3)), min(seconds(16000) for _ in range(3))
    assert long < short * 8 + 0.05
