"""What the page of all runs draws: frozen values with every text ready."""

from dataclasses import dataclass, field

TIMES = (("1h", "Last hour"), ("24h", "Last 24 hours"), ("7d", "Last 7 days"), ("30d", "Last 30 days"))


@dataclass(frozen=True)
class RunRow:
    """One run as a line of the table."""

    id: str = ""
    href: str = ""
    title: str = ""
    template: str = ""
    version: str = ""
    lane: str = ""
    session: str = ""
    session_href: str = ""
    person: str = ""
    status: str = "queued"
    word: str = ""
    reason: str = ""
    live: bool = False
    cancelling: bool = False
    attempt: int = 1
    dead: bool = False
    step: str = ""
    queued_at: str = ""
    started_at: str = ""
    took: str = ""


@dataclass(frozen=True)
class RunsQuery:
    """The filter as the page's address says it. `span` is the value of the choice of times: `custom` shows two days."""

    status: list[str] = field(default_factory=list)
    lane: str = ""
    template: str = ""
    session: str = ""
    person: str = ""
    text: str = ""
    since: str = ""
    until: str = ""
    span: str = ""
    dead: bool = False
    before: str = ""
    narrowed: bool = False


@dataclass(frozen=True)
class Choice:
    """One entry of a select."""

    value: str = ""
    label: str = ""


@dataclass(frozen=True)
class Outcomes:
    """What a bulk command did: a sentence, and one line for each run that was refused."""

    title: str = ""
    state: str = "succeeded"
    refused: list[tuple[str, str, str]] = field(default_factory=list)
