"""The benchmarks themselves: what they compute, and that they run against the real database."""

import json

from bench import batches, engine
from bench.report import Row, percentile, summarize
from bench.room import open_database


def test_a_summary_is_the_median_of_the_rounds_and_the_worst_of_all() -> None:
    rounds = [[1.0, 2.0, 3.0], [10.0, 20.0, 30.0], [2.0, 4.0, 99.0]]
    summary = summarize(rounds)
    assert (summary.p50, summary.p95, summary.worst, summary.samples) == (4.0, 30.0, 99.0, 9)
    assert percentile(list(range(1, 101)), 0.95) == 95


def test_a_ratio_compares_each_round_with_its_own_reference() -> None:
    # The second round was slow on both sides: it does not move the ratio.
    row = Row("call", [[2.0], [200.0], [2.0]], "floor", [[1.0], [100.0], [1.0]])
    assert row.ratio == 2.0


def test_a_limit_is_kept_or_not_by_the_p95() -> None:
    assert Row("board", [[299.0] * 99 + [1000.0]], "listen", [[1.0]], limit_ms=300).kept
    missed = Row("board", [[100.0] * 90 + [301.0] * 10], "listen", [[1.0]], limit_ms=300)
    assert not missed.kept
    assert json.loads(json.dumps(missed.as_json()))["kept"] is False


def test_a_ratio_may_have_a_least_and_a_most() -> None:
    twice = [[2.0]], "floor", [[1.0]]
    assert Row("slower queue", *twice, least_ratio=2).kept
    assert not Row("slower queue", *twice, least_ratio=2.1).kept
    assert Row("deep table", *twice, most_ratio=2).kept
    row = Row("deep table", *twice, most_ratio=1.3)
    assert not row.kept
    assert row.limits == " (x ≤ 1.3: MISSED)"


async def test_batches_do_every_job_on_the_real_database() -> None:
    async with open_database() as database:
        rows = await batches.measure(database, rounds=1, one_by_one=8, batched=200)
    assert [row.what for row in rows][::2] == ["engine, one by one", "engine, in batches of 100"]


async def test_the_engine_benchmark_runs_on_the_real_database() -> None:
    rows = await engine.run(quick=True)
    assert [row.what for row in rows][:5] == list(engine.CALLS)
    assert all(row.ratio > 0 and len(row.measured) == 3 for row in rows)
