"""A service as an operating-system process: how it starts, how it ends, what it outlives."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import httpx
import pika
import pytest
from helpers import EXAMPLES, free_port, process, wire
from serving import nowhere
from test_hostile import HOSTILE
from wiretap import Proxy, RawHeaders, publish

from ecom.bus import parameters
from ecom.contract import topology
from ecom.process import child
from ecom.process.databases import Files
from ecom.shop.provision import provision
from ecom.telemetry.logs import MOST
from ecom_lab.shop import SAGA, SERVICES

ORDER = {"customer": "lotte@example.com", "card": "4242", "lines": [{"sku": "TEA", "quantity": 1}]}


@pytest.fixture
def shop(bare):
    """The name of a shop of its own, whose queues and databases exist."""
    return bare


@pytest.fixture
def running(broker, shop, tmp_path, wait_for):
    """Starts a service, waits until it is ready, and sees that it is gone afterwards."""
    started = []

    def start(service, ready=True, **settings):
        note = tmp_path / f"{service}-1.json"
        note.unlink(missing_ok=True)
        url = settings.pop("url", broker)
        started.append(process(service, url, tmp_path, shop, **settings))
        if ready:
            wait_for(note.exists)
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.wait()


def depth(broker, queue):
    """How many messages wait in a queue."""
    with closing(pika.BlockingConnection(parameters(broker))) as connection:
        return connection.channel().queue_declare(queue, passive=True).method.message_count


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_says_when_it_is_ready_and_ends_well_when_asked(running, service, tmp_path):
    """Its note names its pid, and order's its address; SIGTERM ends it with status 0, no errors."""
    it = running(service)
    note = json.loads((tmp_path / f"{service}-1.json").read_text())
    assert (note["service"], note["pid"], "http" in note) == (service, it.pid, service == "order")
    it.terminate()
    assert it.wait(10) == 0
    log = (tmp_path / f"{service}-1.log").read_text()
    assert "ERROR" not in log
    assert "Traceback" not in log


@pytest.mark.parametrize("service", ["audit", "provisioner"])
def test_a_log_that_is_too_large_is_emptied_into_a_second_one(tmp_path, wait_for, service):
    """By the process itself; who started it goes on in the same file, and says how it ended."""
    provision(SAGA, tmp_path)
    log, older = tmp_path / f"{service}-1.log", tmp_path / f"{service}-1.log.1"
    told = {"ECOM_AMQP_URL": nowhere(), "ECOM_FOLDER": str(tmp_path), "ECOM_TALLY_SECONDS": "0.1"}
    with open(log, "ab") as file:
        file.truncate(MOST)
        options = {"name": service, "environment": os.environ | told}
        it = child.start("ecom.serve:serve", [service], log=file, **options)
    wait_for(older.exists)
    it.terminate()
    assert it.wait(10) == 0
    assert older.stat().st_size >= MOST
    wait_for(lambda: log.read_text().endswith(f"INFO {service} Ended with exit status 0\n"))
    assert "No connection" in (text := log.read_text()) or "Cannot declare" in text
    assert len(text) < MOST


def test_a_process_whose_database_is_of_another_version_ends_and_says_so(running, tmp_path):
    """In its last line, without a traceback, and before it takes any message."""
    with closing(sqlite3.connect(Files(tmp_path).path("audit"))) as db:
        db.execute("UPDATE schema_versions SET version = 1000, oldest_reader = 999")
        db.commit()
    assert running("audit", ready=False).wait(10) == 1
    log = (tmp_path / "audit-1.log").read_text()
    assert "newer release" in log.splitlines()[-1]
    assert "Traceback" not in log


def test_a_process_that_starts_again_is_scraped_where_it_was(running, tmp_path):
    """At the address that was set: else `up` would be 0 for ever."""
    port = free_port()
    for _ in range(2):
        it = running("order", ECOM_METRICS_PORT=str(port))
        note = json.loads((tmp_path / "order-1.json").read_text())
        assert note["metrics"] == f"http://127.0.0.1:{port}/metrics"
        assert "ecom_broker_connected" in httpx.get(note["metrics"], trust_env=False).text
        it.kill()
        it.wait()


def test_services_that_start_at_once_on_an_empty_folder_all_come_up(running, tmp_path, wait_for):
    """Nobody has made their databases: each makes its own."""
    for path in tmp_path.glob("*.db*"):
        path.unlink()
    started = [running(name, ready=False) for name in SERVICES]
    wait_for(lambda: all((tmp_path / f"{name}-1.json").exists() for name in SERVICES))
    assert [each.poll() for each in started] == [None] * len(SERVICES)


@pytest.mark.parametrize(
    "how", ["< <(:)", "<<< x", "0<&-", "0<&- 1>&-", "< /dev/null", "< <(sleep 60)"]
)
def test_whatever_stdin_is_a_service_started_by_hand_runs_until_it_is_told_to_stop(
    how, broker, shop, tmp_path, wait_for
):
    """As under cron, over ssh, in a pipe; and its log says why it stopped. Its files are its own
    user's alone, whatever the umask is there."""
    told = {"ECOM_AMQP_URL": broker, "ECOM_FOLDER": str(tmp_path), "ECOM_SHOP": shop}
    start = f'umask 022; exec "$0" -m ecom.serve inventory {how}'
    command = ["bash", "-c", start, sys.executable]
    with open(tmp_path / "log", "wb") as log:
        it = subprocess.Popen(command, env={**os.environ, **told}, stderr=log)
    wait_for((tmp_path / "inventory-1.json").exists)
    it.terminate()
    assert it.wait(10) == 0
    assert "Stopping, as told by SIGTERM" in (tmp_path / "log").read_text()
    for name in ("inventory.db", "inventory-1.json"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_a_stop_in_the_midst_of_work_loses_nothing(running, broker, shop, tmp_path, wait_for):
    """What was in hand is handled by the next process, once."""
    with closing(pika.BlockingConnection(parameters(broker))) as connection:
        channel, ours = connection.channel(), parameters(broker)[0].credentials.username
        for n in range(3_000):
            headers, body = wire(EXAMPLES["order.confirmed"], f"id-{n}")
            properties = pika.BasicProperties(headers=headers, user_id=ours)
            channel.basic_publish(topology.exchange(shop), "order.confirmed", body, properties)
        # Without confirms, what is not in the queue yet goes with the channel.
        wait_for(lambda: depth(broker, topology.queue(shop, "audit")) == 3_000)
    it = running("audit")
    wait_for(lambda: kept(tmp_path)[0] > 0)
    it.terminate()
    assert it.wait(10) == 0
    assert kept(tmp_path)[0] < 3_000, "stopped too late to prove anything"
    running("audit")
    wait_for(lambda: kept(tmp_path)[0] == 3_000)
    assert kept(tmp_path) == (3_000, 3_000)


def kept(tmp_path):
    """How many events audit has, and the last one's number."""
    with closing(sqlite3.connect(Files(tmp_path).path("audit"))) as db:
        return db.execute("SELECT count(*), max(n) FROM events").fetchone()


def test_orders_are_accepted_without_a_broker_and_delivered_once_there_is_one(
    running, broker, shop, wait_for
):
    """The door opens before the broker is there; health says so; what was accepted follows."""
    port = free_port()
    queue = topology.queue(shop, "inventory")

    async def scene():
        proxy = Proxy(broker)
        async with proxy as url:
            proxy.close()
            running("order", ready=False, url=url, ECOM_HTTP_PORT=str(port))
            base, patient = f"http://127.0.0.1:{port}", httpx.AsyncHTTPTransport(retries=7)
            async with httpx.AsyncClient(base_url=base, transport=patient) as http:
                assert (await http.get("/health")).json()["broker"] is False
                assert (await http.post("/orders", json=[ORDER] * 20)).status_code == 202
                assert depth(broker, queue) == 0
                proxy.open()
                deadline = time.monotonic() + 20
                while depth(broker, queue) < 20 or not (await http.get("/health")).json()["broker"]:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.05)
                proxy.close()
                assert (await http.post("/orders", json=[ORDER] * 5)).status_code == 202
                proxy.open()
                while depth(broker, queue) < 25:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.05)
        assert depth(broker, queue) == 25

    asyncio.run(scene())


def test_hostile_headers_end_as_dead_letters_that_can_be_read(running, broker, shop, wait_for):
    """Each once, though nobody could read what came: and the service lives on, with one start."""
    taken = [
        name
        for name, table in HOSTILE.items()
        if publish(broker, shop, "order.cancelled", name.encode(), RawHeaders(table))
    ]
    it = running("payment")
    dead = topology.dead_queue(shop, "payment")
    wait_for(lambda: depth(broker, dead) == len(taken))
    with closing(pika.BlockingConnection(parameters(broker))) as connection:
        channel = connection.channel()
        letters = [channel.basic_get(dead) for _ in taken]
    assert sorted(body.decode() for _, _, body in letters) == sorted(taken)
    assert {properties.headers["dead-reason"] for _, properties, _ in letters} == {"malformed"}
    assert it.poll() is None
    assert depth(broker, topology.queue(shop, "payment")) == 0


def test_the_log_tells_the_story_in_the_words_of_the_trade(running, tmp_path, wait_for):
    """Failed to reserve stock; published; cancelled due to; out of stock."""
    for service in ("order", "inventory", "notification"):
        running(service)
    door = json.loads((tmp_path / "order-1.json").read_text())["http"]
    httpx.post(f"{door}/orders", json=ORDER).raise_for_status()
    log = lambda service: (tmp_path / f"{service}-1.log").read_text()  # noqa: E731
    wait_for(lambda: "Order #1001 Cancelled" in log("notification"))
    wait_for(lambda: "Order 1001 cancelled due to: unknown product" in log("order"))
    assert "Failed to reserve stock" in log("inventory")
    assert "Published inventory.failed event" in log("inventory")
