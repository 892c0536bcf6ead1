"""The Chromium that tests and benchmarks of the room use."""

import os
import shutil

from playwright.async_api import Browser, Playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""As `tools/install-chromium` looks for them. The one without a window takes half of the processors' time."""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


async def open_chromium(playwright: Playwright) -> Browser:
    """The one that `OPSROOM_CHROMIUM` names, else the system's, or Playwright's own where there is none."""
    found = os.environ.get("OPSROOM_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    return await playwright.chromium.launch(executable_path=found, args=FLAGS)
