"""A gateway, and the control plane as an admin, an operator and a viewer."""

from collections.abc import AsyncIterator

import pytest

from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import Session
from tests.support.gateway import Gateway, gateway
from tests.support.stack import stack

__all__ = ["gateway", "stack"]


@pytest.fixture(scope="package")
async def operator(gateway: Gateway) -> AsyncIterator[ControlPlane]:
    async with gateway.room(await gateway.person("operator")) as room:
        yield room


@pytest.fixture(scope="package")
async def admin(gateway: Gateway) -> AsyncIterator[ControlPlane]:
    async with gateway.room(await gateway.person("admin")) as room:
        yield room


@pytest.fixture(scope="package")
async def viewer(gateway: Gateway) -> AsyncIterator[ControlPlane]:
    async with gateway.room(await gateway.person("viewer")) as room:
        yield room


@pytest.fixture
async def session(operator: ControlPlane) -> Session:
    return await operator.create_session("Tests of the control plane client")
