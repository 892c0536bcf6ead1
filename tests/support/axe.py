"""axe-core in a page. Its files come from npm with Bun, by the lock in `tests/ui/axe`; it is a tool of the tests only
(MPL-2.0), nothing of the product.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from opsroom.local.paths import REPOSITORY

LOCK = REPOSITORY / "tests" / "ui" / "axe"
FOLDER = REPOSITORY / ".opsroom" / "tests" / "axe"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@dataclass(frozen=True)
class Axe:
    """Finds what shuts people out of a page."""

    script: Path

    async def serious(self, page: Page) -> list[str]:
        """The findings that are serious or critical, in words, with the elements they are about."""
        await page.add_script_tag(path=self.script)
        # Contrast is judged as it will be, not in the middle of a fade.
        await page.add_style_tag(
            content="*, *::before, *::after { animation: none !important; transition: none !important; }"
        )
        found: dict[str, Any] = await page.evaluate(
            "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", RULES
        )
        return [
            f"{finding['id']}: {finding['help']}: {[node['html'][:160] for node in finding['nodes'][:4]]}"
            for finding in found["violations"]
            if finding["impact"] in ("serious", "critical")
        ]


async def install() -> Axe:
    """Get axe-core, once for a checkout."""
    script = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        for file in ("package.json", "bun.lock"):
            shutil.copy(LOCK / file, FOLDER / file)
        bun = Path(sys.executable).with_name("bun")
        process = await asyncio.create_subprocess_exec(
            bun, "install", "--frozen-lockfile", "--ignore-scripts", cwd=FOLDER
        )
        assert await process.wait() == 0
    return Axe(script)
