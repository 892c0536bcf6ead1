"""What the run page draws beside the run itself: frozen values with every text ready."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class EdgeView:
    """What waits for what: an SVG path, in the state of the step it comes from."""

    d: str = ""
    state: str = "pending"


@dataclass(frozen=True)
class GraphView:
    """The space that the graph of a run's steps takes, in pixels, and its edges."""

    width: int = 0
    height: int = 0
    edges: list[EdgeView] = field(default_factory=list)


@dataclass(frozen=True)
class AttemptView:
    """One run of a chain of retries. `how` says who or what began it."""

    href: str = ""
    number: int = 1
    status: str = "queued"
    word: str = ""
    reason: str = ""
    message: str = ""
    how: str = ""
    carried: str = ""
    took: str = ""
    since: str = ""
    current: bool = False


@dataclass(frozen=True)
class DeedView:
    """What somebody did to a run."""

    who: str = ""
    did: str = ""
    why: str = ""
    at: str = ""
    machine: bool = False


@dataclass(frozen=True)
class ProofView:
    """What a verifier expected and what it saw."""

    step: str = ""
    name: str = ""
    kind: str = ""
    state: str = "succeeded"
    word: str = "passed"
    expected: str = ""
    seen: str = ""
    message: str = ""


@dataclass(frozen=True)
class RunActs:
    """What else can be done about a run now: `resume` names the step to go on from, `next` is the attempt after it,
    `bundle` where its evidence is, with `signed` and `digest` of it; `compare` where it can be compared, with the
    attempt before it if there is one; `replay`: it can be replayed.
    """

    resume: str = ""
    next: str = ""
    bundle: str = ""
    signed: str = ""
    digest: str = ""
    size: str = ""
    compare: str = ""
    replay: bool = False
