"""What a worker counts, for Prometheus. `docs/worker.md` explains each metric."""

import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE

__all__ = ["CONTENT_TYPE", "Metrics"]

LATENCY_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """One registry per worker."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.runs_finished = Counter(
            "opsroom_worker_runs_finished", "Runs this worker ended, by outcome.", ["outcome"], registry=registry
        )
        self.runs_active = Gauge("opsroom_worker_runs_active", "Runs in progress.", registry=registry)
        self.capacity = Gauge("opsroom_worker_capacity", "Runs at once, at most.", registry=registry)
        self.claims = Counter("opsroom_worker_claims", "Runs claimed.", registry=registry)
        self.claim_seconds = Histogram(
            "opsroom_worker_claim_seconds", "Duration of a claim call.", buckets=LATENCY_BUCKETS, registry=registry
        )
        self.run_seconds = Histogram(
            "opsroom_worker_run_seconds", "Claim to end of a run.", buckets=LATENCY_BUCKETS, registry=registry
        )
        self.heartbeats_failed = Counter(
            "opsroom_worker_heartbeats_failed", "Heartbeats without an answer.", registry=registry
        )
        self.event_batches = Counter("opsroom_worker_event_batches", "Batches of events written.", registry=registry)
        self.events = Counter("opsroom_worker_events", "Events written.", registry=registry)
        self.output_bytes_dropped = Counter(
            "opsroom_worker_output_bytes_dropped", "Output beyond a run's cap.", registry=registry
        )
        self.artifacts = Counter("opsroom_worker_artifacts", "Artifacts stored.", registry=registry)
        self.artifact_bytes = Counter("opsroom_worker_artifact_bytes", "Bytes of artifacts stored.", registry=registry)
        self.swept = Counter("opsroom_worker_swept", "Runs this worker's sweeps ended.", ["how"], registry=registry)
        self.sweep_held = Gauge(
            "opsroom_worker_sweep_held", "1 while the sweep's circuit breaker is open.", registry=registry
        )
        self.checkpoints = Counter("opsroom_worker_checkpoints", "Checkpoints published.", registry=registry)
        self.checkpoint_conflict = Gauge(
            "opsroom_worker_checkpoint_conflict",
            "1 while what is published does not fit the database.",
            registry=registry,
        )
        self.collected = Counter(
            "opsroom_worker_collected", "What this worker's collections took.", ["what"], registry=registry
        )
        self.attached = Gauge(
            "opsroom_worker_attached", "1 while the database would notice a loss at once.", registry=registry
        )
        self.draining = Gauge("opsroom_worker_draining", "1 while draining.", registry=registry)
        self._answered = time.monotonic()
        age = Gauge("opsroom_worker_heartbeat_age_seconds", "Since the last answered heartbeat.", registry=registry)
        age.set_function(lambda: time.monotonic() - self._answered)

    def heartbeat_answered(self, sent: float) -> None:
        """`sent`: when it was sent, on the monotonic clock."""
        self._answered = sent

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
