"""A message that kills the process before any code can catch it: set aside alone, by the broker."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from helpers import EXAMPLES, wire
from msgspec.structs import replace

from ecom.amqp.session import PREFETCH
from ecom.contract.topology import DELIVERY_LIMIT, exchange
from ecom.harness.dead_letters.dead_letters import DeadLetters
from ecom.services.audit import Entry
from ecom.stores.reader import Reader
from ecom_lab.shop import SAGA

MORTAL = Path(__file__).parents[1] / "support" / "mortal.py"


@pytest.fixture
def mortal(broker, bare, tmp_path):
    """The service that dies and is started again."""
    settings = {"ECOM_AMQP_URL": broker, "ECOM_FOLDER": str(tmp_path), "ECOM_SHOP": bare}
    with open(tmp_path / "mortal.log", "wb") as log:
        service = subprocess.Popen(
            [sys.executable, MORTAL],
            env={**os.environ, **settings},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    yield service
    os.killpg(service.pid, signal.SIGKILL)
    service.wait()


def test_a_message_that_kills_is_set_aside_alone(broker, bare, mortal, put, tmp_path, wait_for):
    """However many were in hand with it: neighbours are handled, once, and only it is set aside,
    after no more deaths than the limit allows, with the reason in plain words."""
    poison = [f"poison-{n}" for n in range(3)]
    orders = [str(n) for n in range(PREFETCH + 200)]
    for place, order in zip((120, 121, 600), poison, strict=True):
        orders.insert(place, order)
    for order in orders:
        headers, body = wire(replace(EXAMPLES["order.created"], order_id=order), f"id-{order}")
        put("order.created", headers, body, exchange(bare))

    def handled():
        with Reader(tmp_path) as read:
            return {id_ for (id_,) in read["audit"].values(Entry, "order_id")}

    wait_for(lambda: len(handled()) == PREFETCH + 200, 60)
    dead = DeadLetters(SAGA, broker, bare, tmp_path)
    wait_for(lambda: len(dead.list("audit")) == 3, 60)
    letters = dead.list("audit")
    assert handled() == set(orders) - set(poison)
    assert sorted(letters.order_id) == poison
    deaths = Counter((tmp_path / "deaths").read_text().split())
    assert all(1 < deaths[order] <= DELIVERY_LIMIT + 1 for order in poison)
    assert set(letters.reason) == {"killed the process"}
    assert set(letters.exception) == {"6 times the process ended with this in hand"}
