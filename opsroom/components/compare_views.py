"""What the comparison of two runs, and a replay's verdict, draw: frozen values with every text ready."""

from dataclasses import dataclass, field

from opsroom.components.library_views import Diff


@dataclass(frozen=True)
class SideView:
    """One of the two runs, or one to choose."""

    id: str = ""
    short: str = ""
    href: str = ""
    title: str = ""
    template: str = ""
    lane: str = ""
    status: str = "queued"
    word: str = ""
    reason: str = ""
    took: str = ""
    at: str = ""
    by: str = ""
    live: bool = False


@dataclass(frozen=True)
class CellView:
    """What one run has of a row; `state` is empty where it is no state."""

    text: str = ""
    state: str = ""
    sub: str = ""


@dataclass(frozen=True)
class PairView:
    """A row of a table of pairs. `word` says what differs, and is empty where nothing does."""

    name: str = ""
    sub: str = ""
    word: str = ""
    left: CellView = field(default_factory=CellView)
    right: CellView = field(default_factory=CellView)


@dataclass(frozen=True)
class TextView:
    """Two texts and what changed; `word` is empty where they are the same. `open`: shown without a press."""

    name: str = ""
    word: str = ""
    counts: str = ""
    diff: Diff = field(default_factory=Diff)
    open: bool = False


@dataclass(frozen=True)
class SectionView:
    """A line of the summary, and where it leads."""

    name: str = ""
    href: str = ""
    word: str = ""
    differs: bool = False


@dataclass(frozen=True)
class DifferenceView:
    """One thing that a replay has otherwise."""

    place: str = ""
    message: str = ""
    diff: str = ""


@dataclass(frozen=True)
class ReplayView:
    """A replay: of what, and the verdict, empty while it is not known."""

    of_href: str = ""
    of_short: str = ""
    compare: str = ""
    verdict: str = ""
    state: str = "pending"
    compared: str = ""
    differences: list[DifferenceView] = field(default_factory=list)
    more: str = ""
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ReplayRow:
    """A replay of the run at hand."""

    href: str = ""
    short: str = ""
    word: str = ""
    state: str = "pending"
    status: str = "queued"
    at: str = ""
