"""Services whose rows are in PostgreSQL, as processes: what a server that is away does to them."""

import json
import signal
from contextlib import contextmanager

import httpx
import psutil
import pytest
from helpers import process

from ecom.process.databases import Server
from ecom_lab.shop import SAGA

# Of `cluster`, which has scope="module": tests that share one stay together.


@pytest.fixture
def server(cluster, bare):
    """Schemas for some services of a shop of its own, whose queues exist."""
    server = Server(cluster.url, bare)
    for service in "order", "audit":
        server.provision(SAGA.services[service])
    return server


@pytest.fixture
def running(broker, server, tmp_path, wait_for):
    """Starts services, waits until they are ready, and sees that they are gone afterwards."""
    started = []

    def start(*members, **settings):
        url = settings.pop("url", broker)
        told = {"ECOM_DATABASE_URL": server.url, **settings}
        begun = [
            process(service, url, tmp_path, server.shop, ECOM_REPLICA=replica, **told)
            for service, replica in members
        ]
        started.extend(begun)
        notes = [tmp_path / f"{service}-{replica}.json" for service, replica in members]
        wait_for(lambda: all(note.exists() for note in notes), 60.0)
        return begun

    yield start
    for each in started:
        each.kill()
        each.wait()


def address(folder):
    return json.loads((folder / "order-1.json").read_text())["http"]


def place(url, number):
    """Place so many orders; their numbers."""
    order = {"customer": "lotte@example.com", "card": "4242424242424242"}
    line = [{"sku": "TEA", "quantity": 1, "unit_price": 500}]
    answer = httpx.post(f"{url}/orders", json=[{**order, "lines": line}] * number, timeout=30)
    assert answer.status_code == 202, answer.text
    return [each["order_id"] for each in answer.json()]


@contextmanager
def stopped(cluster):
    """A server that answers nothing, and closes nothing either: as if the network were cut."""
    it = psutil.Process(cluster.pid)
    everything = [it, *it.children()]
    for each in everything:
        each.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for each in everything:
            each.send_signal(signal.SIGCONT)


def test_while_the_server_is_away_all_else_goes_on(
    running,
    cluster,
    broker,
    tmp_path,
    wait_for,
):
    """Requests are refused in time; the broker, which hears from us every second, keeps the
    connection; and when it is back, work goes on where it was."""
    (it,) = running(("order", "1"), url=f"{broker}?heartbeat=2")
    url = address(tmp_path)
    (number,) = place(url, 1)
    with stopped(cluster):
        for _ in range(4):  # four heartbeats, at the least
            assert httpx.get(f"{url}/health", timeout=10).status_code == 503
        assert httpx.get(f"{url}/orders/{number}", timeout=10).status_code == 503
        assert httpx.get(f"{url}/openapi.json", timeout=10).status_code == 200
    wait_for(
        lambda: httpx.get(f"{url}/health", timeout=10).json() == {"status": "ok", "broker": True}
    )
    assert httpx.get(f"{url}/orders/{number}").json()["state"] == "PENDING"
    place(url, 1)
    metrics = httpx.get(json.loads((tmp_path / "order-1.json").read_text())["metrics"]).text
    assert 'ecom_database_readable{service="order"} 1.0' in metrics
    it.terminate()
    assert it.wait(15) == 0
    log = (tmp_path / "order-1.log").read_text()
    assert log.count("Connected to the broker") == 1
    assert "The database is unavailable" in log
    assert "ecom:" not in log.replace("ecom:ecom", "")


def test_a_process_ends_in_time_while_the_server_is_away(running, cluster, tmp_path):
    """Whatever it waits for."""
    (it,) = running(("audit", "1"))
    with stopped(cluster):
        it.terminate()
        assert it.wait(20) == 0


def test_a_second_process_of_one_name_ends_and_says_so(running, broker, server, tmp_path):
    """Beside the first; once that one has gone, however it went, another may have its name."""
    (it,) = running(("audit", "1"))
    told = {"ECOM_DATABASE_URL": server.url}
    second = process("audit", broker, tmp_path, server.shop, **told)
    assert second.wait(20) == 1
    said = (tmp_path / "audit-1.log").read_text().splitlines()[-1]
    assert said.startswith(f"Another process is replica 1 of {server.shop}_audit: end that one")
    it.kill()
    it.wait()
    (tmp_path / "audit-1.json").unlink()
    running(("audit", "1"))


def test_a_service_without_its_tables_says_who_makes_them(broker, bare, cluster, tmp_path):
    """In its last line; a service has no right to."""
    server = Server(cluster.url, bare)
    server.provision(SAGA.services["audit"], "hunter2")
    url = f"postgresql://{bare}_audit:hunter2@{cluster.url.partition('@')[2]}"
    it = process("payment", broker, tmp_path, bare, ECOM_DATABASE_URL=url)
    assert it.wait(20) == 1
    log = (tmp_path / "payment-1.log").read_text()
    assert "provisioner" in log.splitlines()[-1]
    assert "hunter2" not in log
