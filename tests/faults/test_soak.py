"""A short soak: the same campaign as `make soak`, scaled down."""

from __future__ import annotations

import re

import pytest

from tests.soak.campaign import Campaign, Plan


@pytest.mark.timeout(170)
async def test_a_minute_of_random_faults() -> None:
    report = await Campaign(Plan(seconds=40, workers=4, runs=800, seed=None, drain_seconds=60)).run()
    assert report.holds, report.text()
    assert sum(report.injected.values()) >= 15
    assert re.search(r"The history holds: 0 rules broken", report.text())
