"""JSON, diffs, tables and archives as the viewer draws them, harmless and hostile."""

import gzip
import io
import json
import lzma
import tarfile
import time
import zipfile
from typing import Any

import pytest

from opsroom.control_plane.models import Artifact
from opsroom.room import archive_list
from opsroom.room.archive_list import NotListed, tar_list, zip_list
from opsroom.room.artifact_views import shape_of
from opsroom.room.diff_rows import diff_rows
from opsroom.room.json_rows import TooDeep, json_rows
from opsroom.room.table_rows import table_rows


def test_json_becomes_rows_that_fold() -> None:
    rows = json_rows('{"a": [1, {"b": null}], "c": "x", "c": true}')["rows"]
    assert rows == [
        [0, None, "object", 3, 7],
        [1, "a", "array", 2, 5],
        [2, 0, "number", "1", 3],
        [2, 1, "object", 1, 5],
        [3, "b", "null", "null", 5],
        [1, "c", "string", "x", 6],
        [1, "c", "boolean", "true", 7],
    ]


def test_numbers_keep_their_digits() -> None:
    rows = json_rows("[12345678901234567890123, 0.10, 1e400, -0]")["rows"]
    assert [row[3] for row in rows[1:]] == ["12345678901234567890123", "0.10", "1e400", "-0"]


def test_json_that_is_none_says_where() -> None:
    with pytest.raises(ValueError, match="line 2 column 2"):
        json_rows('{"a":\n }')
    with pytest.raises(ValueError, match="NaN"):
        json_rows("[NaN]")
    with pytest.raises(TooDeep):
        json_rows("[" * 100_000)


def test_a_huge_document_is_cut_and_says_so() -> None:
    answer = json_rows(json.dumps(list(range(300))), limit=100)
    assert (len(answer["rows"]), answer["cut"]) == (100, True)
    assert answer["rows"][0][4] == 100, "what was cut still folds"
    assert json_rows("[1]", limit=100)["cut"] is False


DIFF = """diff --git a/x.py b/x.py
index 1..2 100644
--- a/x.py
+++ b/x.py
@@ -1,4 +1,4 @@ def f():
 same
--- not a header
+++ not one either
 end
\\ No newline at end of file
--- a/gone
+++ /dev/null
@@ -1 +0,0 @@
-all of it
"""


def test_a_diff_is_read_by_the_lengths_of_its_hunks() -> None:
    answer = diff_rows(DIFF.replace("-1,4 +1,4", "-1,3 +1,3"))
    assert (answer["files"], answer["added"], answer["removed"]) == (2, 1, 2)
    kinds = [row[0] for row in answer["rows"]]
    assert kinds == [
        "head", "head", "file", "hunk", "context", "removed", "added", "context", "note", "file", "hunk",
        "removed",
    ]  # fmt: skip
    assert answer["rows"][5] == ["removed", 2, None, "-- not a header"]
    assert answer["rows"][6] == ["added", None, 2, "++ not one either"]
    assert answer["rows"][7][1:3] == [3, 3]
    assert [row[3] for row in answer["rows"] if row[0] == "file"] == ["x.py", "gone"]
    assert diff_rows(DIFF, limit=3)["cut"] is True


def test_a_table_keeps_its_cells_as_text() -> None:
    answer = table_rows('name;note\n"<b>ada</b>";"=HYPERLINK(""x"")\nsecond line"\n', whole=True)
    assert answer["head"] == ["name", "note"]
    assert answer["rows"] == [["<b>ada</b>", '=HYPERLINK("x")\nsecond line']]
    assert not any(answer["cut"].values())


def test_a_table_is_bounded_in_every_direction() -> None:
    wide = table_rows(",".join("x" * 600 for _ in range(200)) + "\n" + "y," * 199 + "y\n", whole=True)
    assert (len(wide["head"]), wide["cut"]["columns"], wide["cut"]["cells"]) == (60, 140, True)
    assert table_rows("a\n" * 5000, whole=True)["cut"]["rows"] is True
    part = table_rows("a,b\n1,2\n3,", whole=False)
    assert (part["rows"], part["cut"]["rows"]) == ([["1", "2"]], True)
    assert table_rows('a\n"never closed' + "x" * 200_000, whole=True)["cut"]["rows"] is True
    assert table_rows("", whole=True)["head"] == []


def zipped(*names: str, content: bytes = b"x" * 1000) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def tarred(*names: str, link: str = "", mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 1000
            archive.addfile(info, io.BytesIO(b"x" * 1000))
        if link:
            info = tarfile.TarInfo("link")
            info.type, info.linkname = tarfile.SYMTYPE, link
            archive.addfile(info)
    return out.getvalue()


def test_a_zip_is_listed_from_its_end() -> None:
    whole = b"junk" * 10_000 + zipped("a/b.txt", "../../etc/passwd", "C:\\x")
    for tail in (whole, whole[-600:]):
        answer = zip_list(tail)
        assert [(e["name"], e["leaves"]) for e in answer["entries"]] == [
            ("a/b.txt", False), ("../../etc/passwd", True), ("C:\\x", True),
        ]  # fmt: skip
        assert (answer["count"], answer["unpacked"], answer["cut"]) == (3, 3000, False)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_listed_in_any_packing(mode: str) -> None:
    answer = tar_list(tarred("a.txt", "/etc/shadow", link="../../up", mode=mode), whole=True)
    assert [(e["name"], e["kind"], e["leaves"]) for e in answer["entries"]] == [
        ("a.txt", "file", False), ("/etc/shadow", "file", True), ("link", "link", True),
    ]  # fmt: skip
    assert answer["cut"] is False


def test_a_cut_tar_shows_what_was_read() -> None:
    whole = tarred(*(f"{i}.bin" for i in range(200)), mode="w")
    answer = tar_list(whole[:100_000], whole=False)
    assert 0 < answer["count"] < 200 and answer["cut"]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_bomb_costs_no_more_than_the_limit(pack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_list, "MAX_UNPACKED", 4 * 1024 * 1024)
    info = tarfile.TarInfo("zeros")
    info.size = 40 * 1024 * 1024
    bomb = pack(info.tobuf() + bytes(info.size))
    began = time.process_time()
    answer = tar_list(bomb, whole=True)
    assert answer["cut"] and [e["size"] for e in answer["entries"]] == [info.size]
    assert time.process_time() - began < 2


def test_many_entries_are_counted_and_not_all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_list, "MAX_ENTRIES", 10)
    answer = zip_list(zipped(*(f"{i}" for i in range(50)), content=b""))
    assert (len(answer["entries"]), answer["count"], answer["cut"]) == (10, 50, True)


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"<html>", b"\x1f\x8b\x08garbage", bytes(5000), b"PK" * 900])
def test_what_is_no_archive_is_refused(content: bytes) -> None:
    with pytest.raises(NotListed):
        zip_list(content)
    if any(content):
        with pytest.raises(NotListed):
            tar_list(content, whole=True)


@pytest.mark.parametrize(
    ("name", "kind", "media", "shape"),
    [
        ("report.md", "markdown", "text/html", "markdown"),
        ("rows.CSV", "file", "application/octet-stream", "table"),
        ("x.png", "file", "text/html", "text"),
        ("x.png", "image", "image/png", "image"),
        ("x.svg", "image", "image/svg+xml", "image"),
        ("x.png", "image", "text/html", "text"),
        ("page", "file", "text/html; charset=utf-8", "html"),
        ("out.tgz", "archive", "application/gzip", "tar"),
        ("out", "archive", "application/zip", "zip"),
        ("run.log", "file", "text/plain", "text"),
    ],
)
def test_a_shape_is_chosen_and_a_wrong_type_never_makes_a_picture(name: str, kind: str, media: str, shape: str) -> None:
    values = {"id": "1", "run_id": "r", "name": name, "kind": kind, "media_type": media, "object_path": "r/x"}
    assert shape_of(Artifact.model_validate({**values, "created_at": "2026-11-24T12:00:00Z"})) == shape
