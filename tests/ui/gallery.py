"""A runbook that leaves one artifact of every kind, and the hostile twin of each."""

import base64
import io
import json
import struct
import tarfile
import zipfile
import zlib
from typing import Any

MARKDOWN = """# Upgraded

**well**, by [the book](https://example.org/book), see | a | table |

| module | state |
|---|---|
| sale | done |

<script>window.hacked = 1</script> [click](javascript:window.hacked=1) ![x](https://tracker.example/p.png)
"""
DIFF = """--- a/config.py
+++ b/config.py
@@ -1,4 +1,5 @@
 import os
-TIMEOUT = 30
+TIMEOUT = 60
+RETRIES = 3

 URL = "<b>x</b>"
"""
PAGE = """<!doctype html><title>Report</title><style>h1 { color: teal }</style><h1>All gates hold</h1>
<p id=told>untouched</p><img src="https://tracker.example/p.png">
<script>document.getElementById("told").textContent = "touched"; parent.hacked = 1; fetch("/api/whoami")</script>"""
SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="240" height="80"><rect width="240" height="80" fill="teal"/>
<script>window.hacked = 1; parent.hacked = 1</script></svg>"""
CSV = 'module,files,note\nsale,12,"<script>window.hacked=1</script>"\nstock,7,"=HYPERLINK(""http://x"")"\n'


def png(width: int = 120, height: int = 60) -> bytes:
    """A picture of one colour."""
    rows = b"".join(b"\x00" + b"\x20\x80\xd0" * width for _ in range(height))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def archives() -> dict[str, bytes]:
    """A zip and a tar with names that would lead out of their folder."""
    packed, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report/index.html", "x" * 5000)
        archive.writestr("../../etc/cron.d/evil", "* * * * *")
        archive.writestr("<img src=x onerror=window.hacked=1>", "y")
    with tarfile.open(fileobj=tarred, mode="w:gz") as archive:
        info = tarfile.TarInfo("logs/worker.log")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"line"))
        link = tarfile.TarInfo("current")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
        archive.addfile(link)
    return {"bundle.zip": packed.getvalue(), "logs.tgz": tarred.getvalue()}


FILES: dict[str, tuple[str, bytes]] = {
    "report.md": ("markdown", MARKDOWN.encode()),
    "result.json": (
        "json",
        json.dumps({"modules": [{"name": "sale", "files": 12}, {"name": "<script>window.hacked=1</script>"}]}).encode()[
            :-1
        ]
        + b', "id": 12345678901234567890}',
    ),
    "broken.json": ("json", b'{"a": }'),
    "config.diff": ("diff", DIFF.encode()),
    "chart.png": ("image", png()),
    "evil.svg": ("image", SVG.encode()),
    "not-a-picture.png": ("image", b"<html><script>parent.hacked = 1</script>"),
    "modules.csv": ("file", CSV.encode()),
    "report.html": ("html", PAGE.encode()),
    "empty.txt": ("file", b""),
    "core.bin": ("file", bytes(range(256)) * 4),
    **{name: ("archive", content) for name, content in archives().items()},
}
BIG_LINES = 120_000


def gallery() -> dict[str, Any]:
    """The template: writes FILES and a log of BIG_LINES lines."""
    writes = [f"echo {base64.b64encode(content).decode()} | base64 -d > {name}" for name, (_, content) in FILES.items()]
    script = "\n".join([*writes, f'seq -f "line %06.0f of a long log" {BIG_LINES} > long.log', "echo written"])
    kinds = [*((name, kind) for name, (kind, _) in FILES.items()), ("long.log", "file")]
    return {
        "slug": "gallery",
        "title": "Leave artifacts",
        "description": "One of every kind.",
        "params": {"type": "object", "properties": {}},
        "steps": [
            {
                "id": "leave",
                "title": "Leave artifacts",
                "kind": "shell",
                "with": {"script": script},
                "artifacts": [{"path": name, "kind": kind} for name, kind in kinds],
            }
        ],
    }


FAN_OUT: dict[str, Any] = {
    "slug": "fan-out",
    "title": "Fan out and join",
    "description": "A step, then two at once, then one that ends as it is told.",
    "params": {
        "type": "object",
        "properties": {
            "lines": {"type": "integer", "default": 40},
            "exit": {"type": "integer", "default": 0},
            "wait": {"type": "integer", "default": 0},
        },
    },
    "steps": [
        {
            "id": "check",
            "title": "Check the ground",
            "kind": "shell",
            "with": {"script": r"printf '\033[32m17 modules\033[0m installed\n'; printf '10 %%\r50 %%\r100 %%\n'"},
        },
        {
            "id": "snapshot",
            "title": "Snapshot the database",
            "kind": "shell",
            "needs": ["check"],
            "with": {"script": 'sleep 1; seq -f "row %.0f stored" "$PARAM_LINES"'},
        },
        {
            "id": "assets",
            "title": "Build the assets",
            "kind": "shell",
            "needs": ["check"],
            "with": {"script": 'echo "a slow bundle" >&2; sleep 2; echo "needle in the middle"'},
        },
        {
            "id": "upgrade",
            "title": "Upgrade the module",
            "kind": "shell",
            "needs": ["snapshot", "assets"],
            "with": {"script": 'echo "a needle at the end"; sleep "$PARAM_WAIT"; exit "$PARAM_EXIT"'},
        },
    ],
}
