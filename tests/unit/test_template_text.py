"""A template as text: what is wrong is said at its line; comparisons show what changed."""

from pathlib import Path

import pytest

from opsroom.domain.template import parse_yaml
from opsroom.room.diff import compare
from opsroom.room.template_text import MOST_CHARACTERS, as_yaml, read_text

GOOD = "slug: a\ntitle: A\nsteps:\n  - id: one\n    title: One\n    kind: noop\n"
BOMB = "a: &a [1,2,3,4,5,6,7,8,9]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)


@pytest.mark.parametrize("path", sorted(Path("templates").glob("*.yaml")), ids=lambda path: path.stem)
def test_what_is_saved_reads_back_as_the_same_template(path: Path) -> None:
    template = parse_yaml(path.read_text())
    assert read_text(as_yaml(template.spec())).template == template


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        (GOOD + "    needs: [two]\n", 7, 5, "does not exist: two"),
        (GOOD + "    needs: [one]\n", 7, 5, "in a circle"),
        (GOOD + "  - id: one\n    title: Two\n    kind: noop\n", 7, 9, "unique"),
        (GOOD.replace("kind: noop", "kind: none"), 6, 11, "Input should be"),
        (GOOD.replace("title: One\n    ", ""), 4, 5, "`title` is missing"),
        (GOOD + "more: 1\n", 7, 7, "`more` is not a key"),
        (GOOD + "params:\n  properties:\n    x: {type: string, typo: 1}\n", 9, 29, "outside of the subset"),
        (GOOD + "params: {properties: {x: {pattern: '['}}}\n", 7, 36, "regular expression"),
        (GOOD + "description: 2026-01-01\n", 7, 14, "reads as a timestamp"),
        (GOOD + "title: Again\n", 7, 1, "twice"),
        (GOOD + "risk: [\n", 8, 1, "Not YAML"),
        (GOOD + "1: x\n", 7, 1, "must be text"),
        (BOMB, 1, 1, "more than"),
        ("a: &a [*a]", 1, 1, "more than"),
        ("[" * 5000, 1, 1, "nested"),
        ("x" * (MOST_CHARACTERS + 1), 1, 1, "characters"),
        ("a: !!python/object/apply:os.system [true]", 1, 4, "reads as"),
        ("", 1, 1, "empty"),
        ("- a", 1, 1, "object"),
        ("\x00", 1, 1, "Not YAML"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(text: str, line: int, column: int, words: str) -> None:
    first, *_ = read_text(text).problems
    assert words in first.message
    assert (first.line, first.column) == (line, column)


def test_a_good_text_has_no_problems() -> None:
    reading = read_text(GOOD)
    assert reading.template and reading.template.slug == "a"
    assert reading.problems == ()


def test_a_comparison_folds_what_stayed_and_marks_what_differs() -> None:
    old = "\n".join(f"line {i}" for i in range(40))
    diff = compare(old, old.replace("line 20", "line twenty") + "\nmore")
    assert (diff.added, diff.removed) == (2, 1)
    assert [line.kind for line in diff.unified].count("fold") == 2
    (changed,) = [line for line in diff.split if line.kind == "changed"]
    assert (changed.old, changed.new) == (["line ", "20", ""], ["line ", "twenty", ""])
    assert (changed.left, changed.right) == ("21", "21")
    assert "".join(diff.split[-1].new) == "more"


def test_equal_texts_and_endless_ones_say_so() -> None:
    assert compare("a", "a").note == "There is no difference."
    assert "too long" in compare("a\n" * 5000, "b").note
