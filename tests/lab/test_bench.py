"""The benchmark works. How fast anything is, no test asks: a busy machine must not turn it red."""

import json
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from benchmarks.contender import Bench, Run
from benchmarks.statements import recorded
from benchmarks.stats import percentiles, summary
from ecom.cli.main import main


@pytest.fixture
def bench(broker, monkeypatch):
    """Run `ecom bench` on the session's broker, as small as can be; what it measured."""
    monkeypatch.setenv("ECOM_AMQP_URL", broker)

    def run(*arguments: str) -> dict:
        small = ["bench", "--orders", "20", "--runs", "1", "--samples", "4", "--json"]
        done = CliRunner().invoke(main, [*small, *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return run


def test_throughput_is_told_beside_the_floor_and_the_peers(bench, tmp_path):
    """One JSON object: orders per second, the ratios, and each contender's runs. And a report."""
    found = bench("--only", "throughput", "--report", str(tmp_path))
    assert found["orders_per_second"] > 0
    assert found["floor_ratio"] > 0
    assert found["peer_ratios"]["pika"] > 0
    assert len(found["contenders"]["ecom"]["runs"]) == 1
    assert found["contenders"]["with a coordinator"]["median"] > 0
    report = (tmp_path / "PERFORMANCE.md").read_text()
    assert "| ecom " in report
    assert (tmp_path / "performance-throughput.svg").exists()


def test_the_floor_on_postgresql_executes_what_the_shop_did(broker, cluster, monkeypatch):
    """The same rows are there afterwards, part by part."""
    monkeypatch.setenv("ECOM_AMQP_URL", broker)

    def rows(run):
        with psycopg.connect(cluster.url) as db:
            places = f'"{run.shop}-order".orders', f'"{run.shop}-audit".events'
            return [db.execute(f"SELECT count(*) FROM {it}").fetchone()[0] for it in places]

    with (
        recorded(Bench(broker, 20, 1, 4), cluster, 5, 20) as floor,
        Run(floor, broker) as run,
    ):
        assert rows(run) == [0, 0]
        assert run.orders(5) > 0
        assert rows(run) == [5, 25]
        assert run.orders(20) > 0
        assert rows(run) == [25, 125]


def test_latency_is_told_in_percentiles(bench):
    """Milliseconds of one order on an idle system, ours and plain pika's."""
    found = bench("--only", "latency")["latency_ms"]
    for name in ("ecom", "pika"):
        assert 0 < found[name]["p50"] <= found[name]["p95"] <= found[name]["p99"]


def test_intake_the_explorer_and_stages_are_told(bench):
    """Every point is there, and has been measured."""
    found = bench("--only", "intake", "--only", "explorer", "--only", "stages")
    intake = found["intake"]
    assert [it["in_one_request"] for it in intake["lists"]] == [10, 100, 1_000]
    assert [it["callers"] for it in intake["requests"]] == [1, 16, 64, 1, 16, 1, 16]
    assert all(it["floor_ratio"] > 0 for it in intake["requests"])
    assert all(it["exhaustive"] and it["peak_mib"] > 0 for it in found["explorer"])
    assert found["machine"]["commit"]
    assert all("store" in stages for stages in found["stages"].values())


def test_starts_are_told_in_seconds(bench):
    """Importing, and opening a shop; a cold start only where a broker of our own is started."""
    found = bench("--only", "start")["start_seconds"]
    assert found["import_ecom"]["median"] >= 0
    assert found["warm"]["median"] > 0
    assert found["cpu"]["median"] > 0
    assert "cold" not in found


def test_another_checkout_is_measured_in_turns_with_this_one(bench):
    """Whatever may have become slower or dearer is told of both, with their ratio."""
    found = bench("--against", str(Path(__file__).parents[2]))["against"]
    assert len(found) == 7
    for each in found.values():
        assert each["ecom"]["median"] > 0
        assert each["other"]["median"] > 0
        assert each["ratio"] > 0


def test_a_summary_tells_the_median_and_half_the_range():
    """The spread is a share of the median."""
    assert summary([90.0, 100.0, 120.0]) == {
        "median": 100.0,
        "spread": 0.15,
        "runs": [90.0, 100.0, 120.0],
    }


def test_percentiles_are_values_that_occurred():
    """By the nearest rank; one value is all of them."""
    assert percentiles([float(n) for n in range(100)]) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert percentiles([7.0]) == {"p50": 7.0, "p95": 7.0, "p99": 7.0}
