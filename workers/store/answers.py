"""What the worker functions answer, typed."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from opsroom.domain.lifecycle import Lane

StartVerdict = Literal["started", "cancel", "lost"]
ReleaseVerdict = Literal["released", "started", "lost"]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CarriedArtifact(_Answer):
    """A file that an earlier attempt left: `name` is its path in the working directory."""

    name: str
    sha256: str
    size_bytes: int
    object_path: str


class CarriedStep(_Answer):
    """A step that an earlier attempt has done; it counts as succeeded and is not run again."""

    step: str
    artifacts: tuple[CarriedArtifact, ...] = ()


class Hold(_Answer):
    """A run that is this worker's, and the token that proves it."""

    run_id: str
    claim_token: str
    lease_seconds: float


class Claim(Hold):
    """All that there is to know of one."""

    session_id: str
    lane: Lane
    attempt: int
    root_run_id: str
    title: str | None = None
    template_slug: str
    template_version: int
    template_digest: str
    spec: dict[str, Any]
    params: dict[str, Any]
    timeout_seconds: float
    carried: tuple[CarriedStep, ...] = ()
    started: bool = False
    """Whether it was started in the commit that claimed it."""


class Alike(_Answer):
    """Runs of one template that were started in the commit that claimed them, and differ in nothing but their ids."""

    template_digest: str
    spec: dict[str, Any]
    runs: tuple[Hold, ...]


class Claims(_Answer):
    """What one call has claimed."""

    alike: tuple[Alike, ...] = ()
    runs: tuple[Claim, ...] = ()


class Beat(_Answer):
    """What a heartbeat learned of one run."""

    run_id: str
    verdict: Literal["ok", "cancel", "lost"]
    lease_seconds: float | None = None


class Held(_Answer):
    """Whether the run was still in this worker's hands when it wrote."""

    verdict: Literal["ok", "lost"]


class GateState(_Answer):
    """How a gate stands; `message` says who decided."""

    verdict: Literal["ok", "lost"]
    status: Literal["waiting", "approved", "denied", "expired", "withdrawn"] = "waiting"
    message: str | None = None


class Ended(_Answer):
    """Those of some runs that had left this worker's hands when it ended them; the others have ended."""

    lost: frozenset[str]


class Started(_Answer):
    verdict: StartVerdict


class Released(_Answer):
    verdict: ReleaseVerdict


class Swept(_Answer):
    """Runs that a sweep ended or retried; `held` while a circuit breaker is open."""

    lost: int
    timed_out: int
    retried: int
    held: bool = False
    due_in: float | None = Field(default=None, ge=0)
    """Seconds after which another sweep has something to do, as far as the database knows."""


class StoredObject(_Answer):
    bucket: str
    name: str


class ExpiredLogs(_Answer):
    runs: int
    lines: int
    bytes: int


class ExpiredArtifacts(_Answer):
    count: int
    bytes: int


class Collected(_Answer):
    """What a collection came to, and the objects to delete from Storage."""

    logs: ExpiredLogs
    artifacts: ExpiredArtifacts
    orphans: int
    objects: tuple[StoredObject, ...]
    more: bool


BEATS: Final = TypeAdapter(list[Beat])
STARTED: Final = TypeAdapter(list[Started])
FINISHED: Final = TypeAdapter(list[Held])
RELEASED: Final = TypeAdapter(list[Released])
