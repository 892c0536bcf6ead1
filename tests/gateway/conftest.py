"""Where the contract suite runs: docs/embedded.md says how to point it at a real project."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.gateway.project import Address, Person, Project, named_by_environment
from tests.support.stack import Stack, stack

__all__ = ["stack"]


@pytest.fixture(scope="package")
def address(request: pytest.FixtureRequest) -> Address:
    """Where the project is; the embedded stack is only started when no other one is named."""
    named = named_by_environment()
    if named is not None:
        return named
    stack: Stack = request.getfixturevalue("stack")
    return Address(stack.api_url, stack.anon_key, stack.service_role_key, stack.database_url("postgres"))


@pytest.fixture(scope="package")
async def project(address: Address) -> AsyncIterator[Project]:
    async with httpx.AsyncClient(base_url=address.url, timeout=30) as http:
        project = Project(address, http)
        await project.prepare()
        yield project
        await project.clean_up()


@pytest.fixture(scope="package")
async def ada(project: Project) -> Person:
    return await project.person()


@pytest.fixture(scope="package")
async def bob(project: Project) -> Person:
    return await project.person()


@pytest.fixture(scope="package")
def embedded_only() -> None:
    """For what only our gateway does, or what a hosted project may be set up differently for."""
    if named_by_environment() is not None:
        pytest.skip("asks for the embedded stack")
