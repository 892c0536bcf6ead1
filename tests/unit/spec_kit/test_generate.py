import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from opsroom.domain.errors import InvalidArgument
from opsroom.domain.spec_kit import (
    FILES,
    BundleExistsError,
    SpecInputError,
    generate_bundle,
    validate_bundle,
    write_bundle,
)

GOALS = ["Export every invoice of the day", "Mail a report"]


def test_a_generated_bundle_has_the_four_files_and_validates(tmp_path: Path) -> None:
    bundle = generate_bundle("Nightly Export", "Exports invoices.", GOALS)
    assert tuple(bundle) == FILES and bundle.slug == "nightly-export"
    paths = write_bundle(tmp_path, bundle)
    assert [p.relative_to(tmp_path).as_posix() for p in paths] == [f"spec/nightly-export/{name}" for name in FILES]
    report = validate_bundle(tmp_path, bundle.slug)
    assert report.findings == () and report.counts.requirements == len(GOALS) + 3


def test_the_same_input_gives_the_same_bytes() -> None:
    assert generate_bundle("A", "b", GOALS) == generate_bundle("A", "b", GOALS)


def test_spaces_and_accents_do_not_reach_the_slug() -> None:
    assert generate_bundle("  Árvíztűrő\tÜber/tool  ", "b", GOALS).slug == "arvizturo-uber-tool"


# Mostly text that is accepted, so that the validation is what gets tested; now and then anything at all.
VISIBLE = st.characters(exclude_categories=("Cc", "Cf", "Cs"))
TEXT = st.one_of(
    st.text(VISIBLE, min_size=1, max_size=60), st.from_regex(r"[#>*-]? ?(FR-00\d|T00\d|depends:|\[x\]) .+")
)


@settings(max_examples=150, deadline=None)
@given(name=TEXT, description=TEXT | st.text(), goals=st.lists(TEXT, min_size=1, max_size=6))
@example("FR-001", "- **FR-001**: x", ["depends: T999", "FR-999", "[ ] T001 x", "- [x] T002"])
@example("a\\", "\\", ["a`", "`b", "``", "a|b"])
@example("a", "# b", ["# c", "1. d", "1) e", "+ f", "=== g", "> h"])
@example("a", "&lt;TBA&gt;", ["<name>", "[a b]: c", "[^1]: d", "<!-- e"])
@example("a", "[FEATURE NAME]", ["$goal ${goal} $$", "@each-goal x", "%s {0} {{ x }}"])
@example("\u05e9\u05dc\u05d5\u05dd", "\u0645\u0631\u062d\u0628\u0627", ["\u05e9", "\U0001f468\u200d\U0001f469"])
def test_any_text_gives_a_valid_bundle_or_a_clear_error(name: str, description: str, goals: list[str]) -> None:
    try:
        bundle = generate_bundle(name, description, goals, slug="any")
    except SpecInputError as error:
        assert error.message.isprintable() and len(error.message) < 300
        return
    with tempfile.TemporaryDirectory() as folder:
        write_bundle(Path(folder), bundle)
        assert validate_bundle(Path(folder), "any").findings == ()


@settings(max_examples=150, deadline=None)
@given(text=st.text(alphabet="ab<>[]()!*_`~|#&\\\"'/:.=-+1 ", min_size=1, max_size=60))
@example("<script>alert(1)</script>")
@example("![x](javascript:alert(1)) **b** `c` [l](http://x) <https://x>")
def test_no_markup_of_the_input_stays_alive(text: str) -> None:
    try:
        bundle = generate_bundle(text, text, [text], slug="any")
    except SpecInputError:
        return
    plain = generate_bundle("a", "a", ["a"], slug="any")
    markdown = MarkdownIt("commonmark").enable("table").enable("strikethrough")

    def shape(source: str) -> list[str]:
        return [
            t.type
            for block in markdown.parse(source)
            for t in (block, *(block.children or []))
            if t.type != "text_special"
        ]

    shown = " ".join(text.split())
    for name in FILES:
        assert shape(bundle[name]) == shape(plain[name])
    heading = next(t for t in markdown.parse(bundle["prd.md"]) if t.type == "inline")
    assert "".join(t.content for t in heading.children or []) == f"Product requirements: {shown}"


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", "", "name is empty"),
        ("name", " \t ", "name is empty"),
        ("name", "x" * 10_240, "10240 characters"),
        ("name", "a\0b", "U+0000"),
        ("name", "a\u202eb", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("name", "a\udc80b", "U+DC80"),
        ("name", "\u65e5\u672c", "no slug"),
        ("name", "TODO list", "placeholder 'TODO'"),
        ("description", "x" * 4001, "description is 4001"),
        ("description", "soon: TBD", "placeholder"),
        ("goals", [], "0 goals"),
        ("goals", ["a"] * 51, "51 goals"),
        ("goals", ["a", "A"], "same"),
        ("goals", ["a", "..."], "goal 2 is empty"),
        ("goals", ["[NEEDS CLARIFICATION: x]"], "goal 1 has the placeholder"),
        ("goals", "one text", "list"),
        ("slug", "../up", "slug"),
        ("slug", "", "slug"),
        ("slug", "a" * 65, "slug"),
    ],
)
def test_unfit_input_is_refused_with_its_field(field: str, value: object, says: str) -> None:
    fields: dict[str, object] = {"name": "Export", "description": "Exports.", "goals": GOALS, "slug": None}
    with pytest.raises(SpecInputError) as caught:
        generate_bundle(**(fields | {field: value}))  # pyright: ignore[reportArgumentType]
    assert says in caught.value.message and isinstance(caught.value, InvalidArgument | ValueError)


def test_an_existing_bundle_is_replaced_only_on_request(tmp_path: Path) -> None:
    first, second = generate_bundle("A", "one", GOALS), generate_bundle("A", "two", GOALS)
    write_bundle(tmp_path, first)
    (tmp_path / "spec/a/plan.md").unlink()
    with pytest.raises(BundleExistsError, match="overwritten"):
        write_bundle(tmp_path, second)
    assert "two" not in (tmp_path / "spec/a/prd.md").read_text() and not (tmp_path / "spec/a/plan.md").exists()
    write_bundle(tmp_path, second, overwrite=True)
    assert {p.name: p.read_text() for p in (tmp_path / "spec/a").iterdir()} == dict(second)


def test_writing_never_leaves_the_repository(tmp_path: Path) -> None:
    outside, repository = tmp_path / "outside", tmp_path / "repository"
    outside.mkdir()
    repository.mkdir()
    (repository / "spec").symlink_to(outside)
    with pytest.raises(SpecInputError, match="outside"):
        write_bundle(repository, generate_bundle("A", "one", GOALS))
    assert list(outside.iterdir()) == []


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / "spec/a").mkdir(parents=True)
    (tmp_path / "spec/a/prd.md").symlink_to(victim)
    write_bundle(tmp_path, generate_bundle("A", "one", GOALS), overwrite=True)
    assert victim.read_text() == "kept" and not (tmp_path / "spec/a/prd.md").is_symlink()


def test_a_strange_file_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecInputError, match="none of them"):
        write_bundle(tmp_path, {"../x.md": "x"}, slug="a")
