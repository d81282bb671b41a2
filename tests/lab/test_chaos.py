"""The faults of the scorecard, small: nothing lost, nothing done twice, the books balance."""

import json
import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner

from ecom.cli.main import main
from ecom_lab.chaos import measure
from ecom_lab.chaos.cluster import Cluster
from ecom_lab.chaos.fault import Fault, Size
from ecom_lab.chaos.runner import attempt, play
from ecom_lab.chaos.scorecard import FAULTS
from ecom_lab.chaos.verdict import FIELDS, HarnessFailed
from ecom_lab.chaos.workload import wishes

SEEDS = {
    "topology": 2,  # a queue came back and its consumer, subscribed in name only, was deaf
}


@pytest.mark.parametrize("name", FAULTS)
def test_no_fault_loses_or_doubles_anything(broker, name):
    """Acknowledged orders end and their customers are told; each effect happens once."""
    fault = FAULTS[name]
    verdict = play(fault, fault.small, SEEDS.get(name, 1))
    assert verdict.violations == []
    assert verdict.injected >= min(fault.small.rounds, 1)
    assert verdict.acknowledged >= 0.9 * verdict.attempted > 0


def edit(folder, database, statement):
    with closing(sqlite3.connect(folder / f"{database}.db")) as connection:
        connection.execute(statement)
        connection.commit()


TWICE = """INSERT INTO events SELECT id || 'x', n, type, order_id, time, producer, causation,
           correlation, body FROM events LIMIT 1"""


def test_the_counts_find_what_is_lost_unexpected_or_doubled(shop):
    """A harness that cannot see a loss proves nothing: here are some."""
    numbers = shop.place_many({"customer": f"{c}@example.com", "lines": {"KITE": 1}} for c in "abc")
    shop.settle()
    attempted = {"a@example.com", "b@example.com"}
    acknowledged = {number: f"{c}@example.com" for number, c in zip(numbers, "abc", strict=True)}
    good = measure.count(shop.folder, attempted | {"c@example.com"}, acknowledged)
    assert [good[name] for name in ("lost", "unexpected", "duplicate_effects")] == [0, 0, 0]
    edit(shop.folder, "mailbox", f"DELETE FROM mails WHERE order_id = '{numbers[0]}'")
    edit(shop.folder, "audit", TWICE)
    bad = measure.count(shop.folder, attempted, acknowledged | {"9999": "a@example.com"})
    assert [bad[name] for name in ("lost", "unexpected", "duplicate_effects")] == [2, 1, 1]


STOLEN = "DELETE FROM mails WHERE rowid = (SELECT min(rowid) FROM mails)"


def sabotage(stage):
    """A fault that does break something: it takes one customer's mail away."""
    stage.load.finish(30)
    stage.shop.settle()
    edit(
        stage.shop.folder,
        "mailbox",
        "DELETE FROM mails WHERE rowid = (SELECT min(rowid) FROM mails)",
    )
    yield "mail stolen"


def test_a_violation_is_told_and_fails_the_command(broker, monkeypatch, tmp_path):
    """Exit status 1, the fields of the scorecard as JSON, and the reason on stderr."""
    monkeypatch.setenv("ECOM_AMQP_URL", broker)
    monkeypatch.setenv("ECOM_HOME", str(tmp_path))
    theft = Fault("theft", "", sabotage, Size(20, 1), Size(20, 1), bites=False)
    monkeypatch.setitem(FAULTS, "theft", theft)
    result = CliRunner().invoke(
        main, ["chaos", "theft", "--json", "--seed", "7", "--report", str(tmp_path / "page")]
    )
    assert result.exit_code == 1, result.output
    scored = json.loads(result.stdout)
    assert tuple(scored) == FIELDS
    assert (scored["seed"], scored["injected"], scored["lost"]) == (7, 1, 1)
    assert scored["books"].startswith("off: ")
    assert "1 acknowledged orders were lost" in result.stderr
    assert "**Promises were broken**: theft" in (tmp_path / "page").read_text()
    assert list((tmp_path / "chaos").glob("theft-7/order.db")), "the evidence is gone"


def test_a_fault_that_hits_nothing_is_no_proof(broker):
    """Without duplicate deliveries, a fault that should cause them did not strike."""
    harmless = Fault("harmless", "", lambda _: iter(["nothing"] * 10), Size(20, 10), Size(20, 10))
    with pytest.raises(HarnessFailed, match="none hit"):
        attempt(harmless, harmless.small, 1, lambda: None)


def test_the_command_knows_its_faults(broker):
    """A name that there is not is answered with those that there are."""
    result = CliRunner().invoke(main, ["chaos", "earthquake"])
    assert result.exit_code == 2
    assert "service-kills" in result.stderr


def test_the_same_seed_makes_the_same_customers():
    """A plan can be repeated; another seed makes another one."""
    assert wishes(50, 1) == wishes(50, 1) != wishes(50, 2)
    assert len({wish.customer for wish in wishes(50, 1)}) == 50


def test_no_node_of_a_cluster_is_told_of_one_that_comes_later(tmp_path):
    """RabbitMQ 4 would wait for it, longer than a start may take."""
    nodes = Cluster(tmp_path).nodes
    told = [[node.name for node in nodes if f" = {node.name}@" in each.config] for each in nodes]
    assert told == [["one"], ["one", "two"], ["one", "two", "three"]]
