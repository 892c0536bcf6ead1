"""Results of steps that run inside of the worker: `<step>.json` in the working directory, for later steps."""

import asyncio
import json
from pathlib import Path
from typing import Any


async def write_result(workdir: Path, step_id: str, result: Any) -> None:
    """Write `result` as JSON; what JSON does not know (dates, decimals, UUIDs) is written as text."""
    text = json.dumps(result, ensure_ascii=False, indent=2, default=str) + "\n"
    await asyncio.to_thread((workdir / f"{step_id}.json").write_text, text, encoding="utf-8")
