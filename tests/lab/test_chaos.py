"""The faults of the scorecard, small: nothing lost, nothing done twice, the books balance."""

import json
import sqlite3
import subprocess
import threading
from contextlib import closing
from dataclasses import replace

import pytest
from click.testing import CliRunner

from ecom.cli.main import main
from ecom.sagas.orchestration import orchestration
from ecom_lab.chaos.environments import Cluster
from ecom_lab.chaos.fault import SHOP, Fault, Size, count
from ecom_lab.chaos.faults import brokers, databases
from ecom_lab.chaos.report import write
from ecom_lab.chaos.scorecard import FAULTS
from ecom_lab.chaos.testbed import attempt, play
from ecom_lab.chaos.verdict import FIELDS, HarnessFailed, Rows, Verdict
from ecom_lab.chaos.workload import Workload, customers
from examples.trip.trial import TRIPS

# Those of hosts are in tests/system/test_hosts.py.
IN_FILES = [
    it for it, fault in FAULTS.items() if fault.trial is SHOP and "files" not in fault.not_on
]
SEEDS = {
    "topology": 2,  # a queue came back and its consumer, subscribed in name only, was deaf
}


@pytest.mark.parametrize("name", IN_FILES)
def test_no_fault_loses_or_doubles_anything(broker, name):
    """Acknowledged orders end and their customers are told; each effect happens once."""
    fault = FAULTS[name]
    if fault.not_here:
        pytest.skip(fault.not_here)
    verdict = play(fault, fault.small, SEEDS.get(name, 1))
    assert verdict.violations == [], verdict
    assert verdict.injected >= min(fault.small.rounds, 1)
    assert verdict.acknowledged >= 0.9 * verdict.attempted > 0


@pytest.mark.parametrize("name", ["service-kills", "full-disks", "outages"])
def test_nor_does_one_with_two_replicas_of_every_service(broker, name):
    """A killed one has a sibling, which adopts its rows; on a full disk, and in an outage, none."""
    fault = FAULTS[name].on(replicas=2)
    verdict = play(fault, fault.small, 1)
    assert (verdict.fault, verdict.violations) == (f"{name}-x2", []), verdict
    assert verdict.acknowledged >= 0.9 * verdict.attempted > 0


@pytest.mark.parametrize("name", ["failpoints", "rolling-restarts"])
def test_nor_does_one_of_the_shop_with_a_coordinator(broker, name):
    """Which dies at each of its own crash points, too, and may be of another release."""
    fault = FAULTS[name].on(saga=orchestration)
    verdict = play(fault, fault.small, 1)
    assert (verdict.fault, verdict.violations) == (f"{name}-orchestrated", []), verdict
    assert verdict.acknowledged >= 0.9 * verdict.attempted > 0


def kill_and_freeze(bed):
    """The server is gone; then it is there, and says nothing."""
    yield databases.kill(bed)
    yield databases.freeze(bed)


def test_nor_does_one_of_a_shop_whose_server_is_killed_or_frozen(broker, cluster):
    """Its services wait for it, and stay at the broker and answer over HTTP meanwhile. (Of
    `cluster`, we need to know that there can be one.)"""
    fault = replace(FAULTS["database-kills"].on(database="postgres"), inject=kill_and_freeze)
    verdict = play(fault, Size(60, 2), 1)
    assert (verdict.fault, verdict.violations) == ("database-kills-postgres", []), verdict
    assert verdict.acknowledged == verdict.attempted == 60


def fall_silent_and_freeze(bed):
    """The server says nothing, while heartbeats find out that the lines to the broker do not."""
    yield brokers.half_open(bed)
    yield databases.freeze(bed)


def test_sessions_that_a_bad_line_has_ended_are_not_the_databases_fault(broker, cluster):
    """As in a soak, where one fault comes before another has been noticed."""
    fault = replace(FAULTS["bad-lines"].on(database="postgres"), inject=fall_silent_and_freeze)
    verdict = play(fault, Size(60, 2), 1)
    assert (verdict.injected, verdict.violations) == (2, []), verdict
    assert verdict.acknowledged == verdict.attempted == 60


def test_releases_overlap_on_one_server(broker, cluster):
    """N+1 has a column more, a step of the schema, and a field in an event, a timer and an effect:
    its provisioner comes first, then its processes amid orders, and then those of N again."""
    verdict = play(FAULTS["rolling-restarts"].on(database="postgres"), Size(40, 2), 1)
    assert (verdict.injected, verdict.violations) == (2, []), verdict
    assert verdict.acknowledged == verdict.attempted == 40


def test_nor_does_one_of_a_saga_of_another_trade(broker, cluster):
    """Two replicas of every service, on a server; and in files, each service's own crash points."""
    killed = FAULTS["service-kills"].on(TRIPS, replicas=2, database="postgres")
    crashed = FAULTS["failpoints"].on(TRIPS)
    for fault, size in (killed, Size(120, 6)), (crashed, Size(300, 8)):
        verdict = play(fault, size, 1)
        assert verdict.violations == [], verdict
        assert verdict.acknowledged == verdict.attempted == size.orders
        assert verdict.books == f"balanced: {size.orders} trips"


@pytest.mark.parametrize(
    "of", ["nowhere:TRIPS", "examples.trip.trial:NONE", "examples.trip.saga:trip"]
)
def test_what_is_no_saga_on_trial_is_refused_in_a_sentence(of):
    """And what is about a shop is not played on it."""
    result = CliRunner().invoke(main, ["chaos", "service-kills", "--of", of])
    assert (result.exit_code, "Invalid value for --of" in result.stderr) == (2, True)
    result = CliRunner().invoke(main, ["chaos", "outcomes", "--of", "examples.trip.trial:TRIPS"])
    assert (result.exit_code, "about orders in a shop" in result.stderr) == (1, True)


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
    good = count(shop.folder, attempted | {"c@example.com"}, acknowledged)
    assert [good[name] for name in ("lost", "unexpected", "duplicate_effects")] == [0, 0, 0]
    edit(shop.folder, "mailbox", f"DELETE FROM mails WHERE order_id = '{numbers[0]}'")
    edit(shop.folder, "audit", TWICE)
    bad = count(shop.folder, attempted, acknowledged | {"9999": "a@example.com"})
    assert [bad[name] for name in ("lost", "unexpected", "duplicate_effects")] == [2, 1, 1]


class Calls(Workload):
    """Customers who are events: each is answered once it is set."""

    def _ask(self, chunk):
        for each in chunk:
            each.wait()


def test_customers_who_are_not_answered_are_no_verdict():
    """However many there are, and however long all of them take: one waits for too long."""
    calls = [threading.Event() for _ in range(30)]
    for each in calls[:20]:
        each.set()
    with closing(Calls(calls)) as workload:
        with pytest.raises(HarnessFailed, match=r"customers were not answered within 0\.01 s"):
            workload.finish(0.01)
        for each in calls:
            each.set()
        workload.finish(30)


STOLEN = "DELETE FROM mails WHERE rowid = (SELECT min(rowid) FROM mails)"


def sabotage(bed):
    """A fault that does break something: it takes one customer's mail away."""
    bed.workload.finish(30)
    bed.runner.settle()
    edit(
        bed.runner.folder,
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
    words = ["chaos", "theft", "--json", "--seed", "7", "--report", str(tmp_path / "page")]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 1, result.output
    scored = json.loads(result.stdout)
    assert tuple(scored) == FIELDS
    assert (scored["seed"], scored["injected"], scored["lost"]) == (7, 1, 1)
    assert scored["books"].startswith("off: ")
    assert "1 acknowledged orders were lost" in result.stderr
    assert "**Promises were broken**: theft" in (tmp_path / "page").read_text()
    assert list((tmp_path / "chaos").glob("theft-7/order.db")), "the evidence is gone"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of our own, committed: what is played depends on one file of it."""
    root = tmp_path / "checkout"
    (root / "ecom").mkdir(parents=True)
    (root / "ecom/shop.py").write_text("")
    monkeypatch.setattr("ecom_lab.chaos.verdict.CHECKOUT", root)
    commit(root, "init", "-q")
    return root


def commit(root, *first):
    """Commit all there is, after another command of git's."""
    who = ["-c", "user.name=ada", "-c", "user.email=ada@example.com"]
    for words in (first, ["add", "."], [*who, "commit", "-qm", "as it is"]):
        subprocess.run(["git", *words], cwd=root, check=True)


def row_of(fault, seed=1):
    return Verdict(fault, seed, 1, 20, 20, 0, 0, 0, 0, "balanced: 20 orders")


def test_a_row_holds_for_its_code_its_size_and_its_seed(checkout, tmp_path):
    """It is found again as long as nothing it depends on has changed; of a change it says so."""
    path, size = tmp_path / "rows.jsonl", Size(20, 1)
    Rows(path).keep(row_of("theft"), size)
    (found,) = Rows(path)
    assert Rows(path).find("theft", 1, size) == found
    assert found.as_dict() == row_of("theft").as_dict()
    for other in (("theft", 2, size), ("theft", 1, Size(21, 1)), ("fire", 1, size)):
        assert Rows(path).find(*other) is None
    (checkout / "README.md").write_text("Nothing that is played.")
    commit(checkout, "status", "-s")
    assert Rows(path).find("theft", 1, size) == found
    (checkout / "ecom/shop.py").write_text("changed = True")
    assert Rows(path).find("theft", 1, size) is None
    Rows(path).keep(row_of("theft"), size)
    (found,) = Rows(path)
    assert found.commit.endswith("-dirty")
    assert Rows(path).find("theft", 1, size) is None


def test_an_interrupted_scorecard_goes_on_where_it_was(broker, checkout, monkeypatch, tmp_path):
    """What has been played is on the page at once, and is not played again."""
    monkeypatch.setenv("ECOM_AMQP_URL", broker)
    monkeypatch.setenv("ECOM_HOME", str(tmp_path))
    played = []

    def strike(name):
        def inject(bed):
            played.append(name)
            if played == ["calm", "cut"]:
                raise KeyboardInterrupt
            yield "nothing"

        return Fault(name, "", inject, Size(20, 1), Size(20, 1), bites=False)

    for name in ("calm", "cut"):
        monkeypatch.setitem(FAULTS, name, strike(name))
    page = tmp_path / "page.md"

    def chaos(*more):
        words = ["chaos", "calm", "cut", "--report", str(page), *more]
        return CliRunner().invoke(main, words, catch_exceptions=False)

    assert chaos("--resume").exit_code == 1
    assert [row.fault for row in Rows(page.with_suffix(".jsonl"))] == ["calm"]
    assert "| calm |" in page.read_text()
    assert chaos("--resume").stdout.count("ok ") == 2
    assert played == ["calm", "cut", "cut"]
    assert "| cut |" in page.read_text()


@pytest.mark.parametrize("setup", ["", "-x2", "-orchestrated-postgres", "-x2-postgres-of-trips"])
def test_the_page_has_a_row_of_each_setup_of_a_fault(tmp_path, setup):
    """With replicas, with a coordinator, on a server, of another saga; and none of a fault that
    there is no more."""
    known, gone = row_of(f"service-kills{setup}"), row_of(f"earthquake{setup}")
    write(tmp_path / "page.md", [gone, known])
    page = (tmp_path / "page.md").read_text()
    assert f"| service-kills{setup} |" in page
    assert f"**service-kills{setup}** ({FAULTS['service-kills'].what}" in page
    assert "earthquake" not in page


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
    assert customers(50, 1) == customers(50, 1) != customers(50, 2)
    assert len({each.address for each in customers(50, 1)}) == 50


def test_no_node_of_a_cluster_is_told_of_one_that_comes_later(tmp_path):
    """RabbitMQ 4 would wait for it, longer than a start may take."""
    nodes = Cluster(tmp_path).nodes
    told = [[node.name for node in nodes if f" = {node.name}@" in each.config] for each in nodes]
    assert told == [["one"], ["one", "two"], ["one", "two", "three"]]
