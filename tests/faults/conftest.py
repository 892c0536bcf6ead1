"""A ward for faults: a database and a gateway of its own, which tests may stop, fill up and cut off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.ward import Ward
from tests.support.private_stack import private_stack
from tests.support.stack import Stack
from tests.support.wire import Wire
from tests.worker.conftest import person

__all__ = ["person"]


@pytest.fixture(scope="package")
async def stack() -> AsyncIterator[Stack]:
    """Replaces everybody's stack for the tests of this folder: theirs must not be broken."""
    async with private_stack() as stack:
        yield stack


@pytest.fixture
async def ward(stack: Stack, person: str, tmp_path: Path) -> AsyncIterator[Ward]:
    ward = await Ward.open(stack, tmp_path, person)
    yield ward
    await ward.clear()


@pytest.fixture
async def wire(stack: Stack) -> AsyncIterator[Wire]:
    async with Wire(stack) as wire:
        yield wire
