"""Text from the control plane on a person's terminal."""

from typing import Any

import typer


def clean(text: str) -> str:
    """`text` without control characters: a title or a log line must not steer the terminal it is shown on."""
    return "".join(c if c in "\n\t" or (ord(c) >= 32 and not 0x7F <= ord(c) < 0xA0) else "�" for c in text)


def say(text: str, **style: Any) -> None:
    """Print a line for people; `style` as for `typer.secho`."""
    typer.secho(clean(text), **style)
