"""The document is enough: a service written from it in another language takes its part."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers import EXAMPLES, broker_url, wire
from listening import listening, put

from ecom import Shop
from ecom.contract import topology
from ecom.settings import home
from ecom_lab.shop import CONTRACT

CLIENTS = Path(__file__).parents[1] / "clients"
ASYNCAPI = Path(__file__).parents[2] / "docs" / "asyncapi.json"


@pytest.fixture(scope="module")
def modules():
    """The folder of what the JavaScript clients need; fetched once, of the locked versions."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed: other languages are not tested")
    folder, lock = home() / "node", (CLIENTS / "package-lock.json").read_text()
    fetched = folder / "fetched.json"
    if not fetched.exists() or fetched.read_text() != lock:
        fetch(folder)
        fetched.write_text(lock)
    return folder / "node_modules"


def fetch(folder):
    """Skip if npm cannot have it, for want of a network perhaps; fail if we ask for nonsense."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(CLIENTS / name, folder)
    impatient = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=30000"]
    command = ["npm", "ci", "--prefix", folder, "--no-audit", "--no-fund", *impatient]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        assert not re.search("EUSAGE|EINTEGRITY|EJSONPARSE", done.stderr), done.stderr
        pytest.skip(f"npm could not fetch what the clients need: {done.stderr[:500]}")


@pytest.fixture
def javascript(modules, tmp_path):
    """Start the notification service of `shop` in JavaScript; killed at the end."""
    running = []

    def start(shop):
        told = {"NODE_PATH": str(modules), **environment_of(shop, "notification")}
        with open(tmp_path / "notification.log", "ab") as log:
            service = subprocess.Popen(
                ["node", CLIENTS / "notification.js", ASYNCAPI, tmp_path / "mails.jsonl"],
                env={**os.environ, **told},
                text=True,
                stderr=log,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        running.append(service)
        said = service.stdout.readline()
        assert said == "ready\n", (tmp_path / "notification.log").read_text()
        return service

    yield start
    for service in running:
        with service:
            service.kill()


def environment_of(shop, service):
    """What the shop tells this service: above all, as whom it may connect."""
    return {"ECOM_AMQP_URL": broker_url(shop, service), "ECOM_SHOP": shop.name}


def place_both(shop):
    """An order that is confirmed, and one that is out of stock; their numbers."""
    return [
        shop.place("ada@example.com", {"TEAPOT": 2}),
        shop.place("carol@example.com", {"TEAPOT": 100_000}),
    ]


def anonymous(mails, orders):
    """Mails in order, with A, B, … for the numbers of these orders."""
    names = dict(zip(orders, "ABCDEF", strict=False))
    return sorted(
        (mail["to"], mail["subject"].replace(order, names[order]), mail["body"])
        for mail in mails
        if (order := mail["order_id"]) in names
    )


def test_a_notification_service_in_javascript_says_what_ours_would(
    broker, javascript, tmp_path, wait_for
):
    """It tells each customer the same, once: through duplicates and a SIGKILL. It sets aside what
    is malformed, and what the order service has not said."""
    written = tmp_path / "mails.jsonl"

    def mails():
        return [json.loads(line) for line in written.read_text().splitlines()]

    with Shop(amqp_url=broker) as shop, listening(shop) as so_far:
        ours = place_both(shop)
        shop.settle()
        shop.kill("notification")
        theirs = place_both(shop)
        first = javascript(shop)
        wait_for(lambda: len(mails()) == 2)
        shop.wait_until(lambda: not (shop.orders().state == "PENDING").any())
        first.kill()
        javascript(shop)
        shop_name, queue = shop.name, topology.queue(shop.name, "notification")
        for key, properties, body in so_far():  # all again, as a broker may do after a crash
            if (
                key in CONTRACT.consumed_by("notification")
                and properties.headers["ce-subject"] in theirs
            ):
                put(shop, queue, properties.headers, body)
        headers, body = wire(EXAMPLES["order.confirmed"])
        put(shop, queue, headers, body.replace(b'"total"', b'"sum"'))
        put(shop, "order.confirmed", headers, body, topology.exchange(shop.name))
        last = shop.place("emil@example.com", {"YOYO": 1})  # what was there before is done then
        wait_for(lambda: last in {mail["order_id"] for mail in mails()})
        told = anonymous(shop.emails().to_dict("records"), ours)
        assert anonymous(mails(), theirs) == told
        assert len(told) == 2
        wait_for(lambda: len(shop.dead.list("notification")) == 2)
    log = (tmp_path / "notification.log").read_text()
    assert "payload must have required property 'total'" in log
    assert f"was said by undefined, not by {shop_name}.order" in log
