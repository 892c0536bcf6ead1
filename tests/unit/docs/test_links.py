import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

from tests.unit.docs.repository import ROOT, markdown_files, name_of, tracked_files

PARSER = MarkdownIt("commonmark").enable("table")


def links(path: Path) -> Iterator[str]:
    for block in PARSER.parse(path.read_text()):
        for token in block.children or []:
            if target := token.attrs.get("href") or token.attrs.get("src"):
                yield str(target)


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    tokens = PARSER.parse(path.read_text())
    titles = [tokens[n + 1].content for n, token in enumerate(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", markdown_files(), ids=name_of)
def test_links_within_the_repository_resolve(page: Path) -> None:
    broken: list[str] = []
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme in ("https", "mailto"):
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        inside = target.is_relative_to(ROOT)
        anchored = not parts.fragment or (target.suffix == ".md" and parts.fragment in anchors(target))
        if parts.scheme or not inside or not target.exists() or not anchored:
            broken.append(link)
    assert not broken


def test_every_page_can_be_found_from_the_index() -> None:
    linked = {(ROOT / "docs" / urlsplit(link).path).resolve() for link in links(ROOT / "docs/README.md")}
    pages = {path for path in markdown_files() if path.parent == ROOT / "docs" and path.name != "README.md"}
    assert pages <= linked


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs/decisions"
    linked = {urlsplit(link).path for link in links(folder / "README.md")}
    assert {path.name for path in folder.glob("0*.md")} == linked


@pytest.mark.parametrize("picture", [p for p in tracked_files() if p.suffix == ".svg"], ids=name_of)
def test_pictures_are_well_formed_and_load_nothing(picture: Path) -> None:
    root = ElementTree.parse(picture).getroot()
    assert root.tag.endswith("svg")
    assert not re.search(r"<script|href\s*=|url\((?!#)|@import", picture.read_text())


def test_the_architecture_is_described_for_those_who_cannot_see_it_and_has_both_themes() -> None:
    text = (ROOT / "docs/architecture.svg").read_text()
    assert "<title" in text and "<desc" in text and "prefers-color-scheme: dark" in text


@pytest.mark.parametrize("page", markdown_files(), ids=name_of)
def test_diagrams_have_no_semicolon_which_ends_a_statement_of_mermaid(page: Path) -> None:
    for token in PARSER.parse(page.read_text()):
        if token.type == "fence" and token.info == "mermaid":
            assert ";" not in token.content
