"""A message that kills the process before any code can catch it: set aside alone, by the broker."""

import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from contextlib import closing
from pathlib import Path

import pika
import pytest
from helpers import EXAMPLES, wire
from msgspec.structs import replace

from ecom.bus import PREFETCH, declare, parameters, remove_topology
from ecom.process import provision
from ecom.reading import rows
from ecom.topology import DELIVERY_LIMIT, exchange
from ecom.workbench import Workbench

MORTAL = Path(__file__).with_name("mortal.py")


@pytest.fixture
def shop(broker, tmp_path):
    """The name of a shop of its own, whose queues and databases exist."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    provision(tmp_path)
    declare(broker, name)
    yield name
    remove_topology(broker, name)


@pytest.fixture
def mortal(broker, shop, tmp_path):
    """The service that dies and is started again."""
    settings = {"ECOM_AMQP_URL": broker, "ECOM_FOLDER": str(tmp_path), "ECOM_SHOP": shop}
    with open(tmp_path / "mortal.log", "wb") as log:
        service = subprocess.Popen([sys.executable, MORTAL], env={**os.environ, **settings},
                                   stdout=log, stderr=log, start_new_session=True)  # fmt: skip
    yield service
    os.killpg(service.pid, signal.SIGKILL)
    service.wait()


def publish(broker, shop, orders):
    """One `order.created` for each order number."""
    with closing(pika.BlockingConnection(parameters(broker))) as connection:
        channel = connection.channel()
        for order in orders:
            headers, body = wire(replace(EXAMPLES["order.created"], order_id=order), f"id-{order}")
            properties = pika.BasicProperties(headers=headers, delivery_mode=2)
            channel.basic_publish(exchange(shop), "order.created", body, properties)


def test_a_message_that_kills_is_set_aside_alone(broker, shop, mortal, tmp_path, wait_for):
    """However many were in hand with it: all neighbours are handled, once, and only it is buried,
    after no more deaths than the limit allows, with the reason in plain words."""
    poison = [f"poison-{n}" for n in range(3)]
    orders = [str(n) for n in range(2 * PREFETCH)]
    for place, order in zip((120, 121, 700), poison, strict=True):
        orders.insert(place, order)
    publish(broker, shop, orders)

    def handled():
        return {row[0] for row in rows(tmp_path, "audit", "SELECT order_id FROM events")}

    wait_for(lambda: len(handled()) == 2 * PREFETCH, 60)
    bench = Workbench(broker, shop, tmp_path)
    wait_for(lambda: len(bench.list("audit")) == 3, 60)
    letters = bench.list("audit")
    assert handled() == set(orders) - set(poison)
    assert sorted(letters.order_id) == poison
    deaths = Counter((tmp_path / "deaths").read_text().split())
    assert all(1 < deaths[order] <= DELIVERY_LIMIT + 1 for order in poison)
    assert set(letters.reason) == {"killed the process"}
    assert set(letters.exception) == {"6 times the process ended with this in hand"}
