"""Health addresses, settings, and how a worker starts and ends."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from opsroom.local.paths import free_port
from tests.worker.room import Room, eventually
from workers.config import ConfigurationError, load

GOOD = {"SUPABASE_URL": "https://x.supabase.co/", "SUPABASE_SECRET_KEY": "k"}


async def test_health_readiness_and_metrics_tell_the_truth(room: Room) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    run_id = await room.launch_script("true")
    async with room.worker(OPSROOM_WORKER_PORT=str(port)) as worker, httpx.AsyncClient(base_url=url) as http:
        await room.until(run_id)

        async def ready() -> bool:
            return (await http.get("/readyz")).status_code == 200

        await eventually(ready, "the worker to be ready", 10)
        assert (await http.get("/healthz")).text == "alive\n"
        assert (await http.get("/other")).status_code == 404
        assert (await http.post("/healthz")).status_code == 405

        async def counted() -> bool:
            return 'opsroom_worker_runs_finished_total{outcome="succeeded"} 1.0' in (await http.get("/metrics")).text

        await eventually(counted, "the run to be counted", 5)
        text = (await http.get("/metrics")).text
        for name in (
            "runs_active 0.0",
            "capacity 4.0",
            "claims_total 1.0",
            "heartbeat_age_seconds",
            "event_batches_total",
        ):
            assert f"opsroom_worker_{name}" in text
        blocking = await room.launch_script("echo ready; sleep 30")
        await room.until_output(blocking, "ready")
        worker.send(signal.SIGTERM)
        await worker.until_said("draining")
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "not ready: draining\n")
        await room.call("select cancel_run(%s)", blocking)
        assert await worker.ended() == 0


async def test_a_worker_waits_for_a_database_that_is_not_there_yet_and_is_not_ready(room: Room) -> None:
    port = free_port()
    nowhere = "postgresql://x@127.0.0.1:9/x"
    async with room.worker(OPSROOM_WORKER_PORT=str(port), OPSROOM_DATABASE_URL=nowhere) as worker:
        await worker.until_said("a call will be repeated", seconds=30)
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code == 503
        worker.send(signal.SIGTERM)
        assert await worker.ended(seconds=30) == 0


async def test_a_busy_port_ends_the_start_with_one_sentence(room: Room) -> None:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    async with room.worker(OPSROOM_WORKER_PORT=port) as worker:
        assert await worker.ended() == 1
        assert "The worker can not start:" in worker.said and "address already in use" in worker.said
        assert "Traceback" not in worker.said
    server.close()


def test_everything_that_is_wrong_with_the_environment_is_said_at_once() -> None:
    env = {
        "PATH": "/usr/bin",
        "OPSROOM_WORKER_CONCURRENCY": "many",
        "OPSROOM_WORK_ROOT": "/no/such",
        "OPSROOM_LOG_LEVEL": "LOUD",
        "OPSROOM_WORKER_CONTROL_GROUPS": "v3",
    }
    done = subprocess.run([sys.executable, "-m", "workers"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    for name in (
        "SUPABASE_URL",
        "SUPABASE_SERVICE_ROLE_KEY",
        "OPSROOM_WORKER_CONCURRENCY",
        "OPSROOM_WORK_ROOT",
        "OPSROOM_LOG_LEVEL",
    ):
        assert name in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUPABASE_URL", "x.supabase.co"),
        ("OPSROOM_WORKER_CONCURRENCY", "0"),
        ("OPSROOM_WORKER_PORT", "70000"),
        ("OPSROOM_WORKER_GRACE_SECONDS", "-1"),
        ("OPSROOM_WORKER_GRACE_SECONDS", "nan"),
        ("OPSROOM_SECRET_PIN", "123"),
        ("OPSROOM_SECRET_BLANK", "        "),
        ("OPSROOM_SECRET_LONG", "ü" * (16 << 10) + "x"),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load({**GOOD, name: value})


def test_settings_come_from_the_environment_and_never_show_their_secrets() -> None:
    settings = load(
        {
            **GOOD,
            "OPSROOM_SECRET_TOKEN": "hidden",
            "OPSROOM_STEP_ENV": "A, B C",
            "OPSROOM_DATABASE_URL": "postgresql://hidden",
        }
    )
    assert settings.supabase_url == "https://x.supabase.co"
    assert settings.secrets == {"TOKEN": "hidden"}
    assert settings.step_environment == ("A", "B", "C")
    assert "hidden" not in repr(settings)


def test_every_environment_variable_is_in_the_docs() -> None:
    import re

    names = set(re.findall(r'"((?:OPSROOM|SUPABASE)_[A-Z_]+[A-Z])"', Path("workers/config.py").read_text()))
    docs = Path("docs/configuration.md").read_text()
    assert len(names) > 12
    assert not [name for name in names if name not in docs]


def test_every_metric_is_in_the_docs() -> None:
    from workers.metrics import Metrics

    docs = Path("docs/worker.md").read_text()
    assert not [family.name for family in Metrics().registry.collect() if family.name not in docs]


def test_every_key_of_a_template_is_in_the_docs() -> None:
    from opsroom.domain.params import FORMATS, KEYWORDS
    from opsroom.domain.template import ArtifactRule, Retry, StepDefinition, Template

    docs = Path("docs/templates.md").read_text()
    keys = {
        field.alias or name
        for model in (Template, StepDefinition, ArtifactRule, Retry)
        for name, field in model.model_fields.items()
    }
    assert not [key for key in (*keys, *KEYWORDS, *FORMATS) if f"`{key}" not in docs and f"{key}:" not in docs]
