"""Artifacts are streamed, and their bytes checked against the record."""

import hashlib

import httpx
import pytest

from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.errors import ArtifactDamaged
from opsroom.control_plane.models import Artifact, Session
from tests.support.gateway import Gateway

URL = {"url": "https://example.org/health"}


@pytest.fixture
async def bucket(gateway: Gateway) -> httpx.AsyncClient:
    key = gateway.stack.secrets.service_role_key
    return httpx.AsyncClient(base_url=gateway.url, headers={"apikey": key, "Authorization": f"Bearer {key}"})


async def test_an_artifact_is_streamed_and_its_digest_checked(
    operator: ControlPlane, session: Session, bucket: httpx.AsyncClient
) -> None:
    content = b"evidence" * 100_000
    digest = hashlib.sha256(content).hexdigest()
    run = await operator.create_run(session.id, "http-healthcheck", URL)
    path = f"{run.id}/{digest}"
    async with bucket as http:
        stored = await http.post(f"/storage/v1/object/artifacts/{path}", content=content)
        assert stored.is_success, stored.text
    artifact = Artifact(
        id=run.id,
        run_id=run.id,
        name="evidence.txt",
        kind="file",
        media_type="text/plain",
        sha256=digest,
        size_bytes=len(content),
        object_path=path,
        created_at=run.queued_at,
    )
    async with operator.open_artifact(artifact) as chunks:
        assert b"".join([chunk async for chunk in chunks]) == content
    async with operator.open_artifact(artifact.model_copy(update={"sha256": "0" * 64})) as chunks:
        with pytest.raises(ArtifactDamaged):
            async for _ in chunks:
                pass
