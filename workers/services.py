"""What all runs of a worker share, and what all steps of a run share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from opsroom.domain.template import Template
from workers.clock import RunClock
from workers.config import Settings
from workers.evidence import Evidence
from workers.gates import Gates
from workers.lease import Lease
from workers.metrics import Metrics
from workers.process import Leash
from workers.secrets import Masker, Vault
from workers.store import Claim, Objects, Store


@dataclass(frozen=True)
class Services:
    """One per worker."""

    settings: Settings
    store: Store
    objects: Objects
    leash: Leash
    vault: Vault
    masker: Masker
    metrics: Metrics
    gates: Gates


@dataclass(frozen=True)
class RunScope:
    """One per run. `staging` makes a directory of the worker's own, beside the run's `workdir`."""

    services: Services
    lease: Lease[Claim]
    evidence: Evidence
    template: Template
    workdir: Path
    staging: Callable[[], Path]
    clock: RunClock
    grace: Callable[[], float]
    """Seconds that a command gets between TERM and KILL when it is stopped now; 0 once the run is lost."""
