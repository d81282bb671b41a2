"""What a service that was broken into can make the others do: nothing that is not its own."""

from contextlib import closing, nullcontext

import pika
import pytest
from helpers import EXAMPLES, broker_url, copies_are_checked, wire
from msgspec.structs import replace
from pika.exceptions import ChannelClosedByBroker

from ecom import Shop
from ecom.bus import parameters
from ecom.contract.topology import dead_exchange, exchange, queue, user
from ecom.errors import ShopError
from ecom.harness.processes import log_file
from ecom_lab.shop import SERVICES

TRIED = "OperationalError: database is locked"


@pytest.fixture(scope="module")
def shop(broker):
    """An open shop; one of its services turns against the others."""
    with Shop({"YOYO": 100}, amqp_url=broker, hold_seconds=600) as shop:
        yield shop


@pytest.fixture
def place(shop):
    """The shop's own vhost, for its operator."""
    return shop.amqp_url


class Attacker:
    """Whoever has a service's password, and nothing else."""

    def __init__(self, shop, name, line):
        self.shop, self.name, self._line = shop, name, line
        self._open()
        self.refused = 0
        self.sagas = {}  # order → the correlation of its events, which whoever hears one knows

    def forge(self, event, id):
        headers, body = wire(event, id)
        return headers | {"ce-correlationid": self.sagas[event.order_id]}, body

    def _open(self):
        self._channel = self._line.channel()
        self._channel.confirm_delivery()

    def publish(self, to, key, headers, body):
        """With its name on it, and without any; the broker may close the channel."""
        for who in (user(self.shop.name, self.name), None):
            properties = pika.BasicProperties(headers=headers, user_id=who, delivery_mode=2)
            try:
                self._channel.basic_publish(to, key, body, properties)
            except ChannelClosedByBroker:
                self._open()
                self.refused += 1


@pytest.fixture(params=SERVICES)
def attacker(shop, request):
    url = broker_url(shop, request.param)
    with closing(pika.BlockingConnection(parameters(url))) as line:
        yield Attacker(shop, request.param, line)


def by_every_key(attacker, event, number):
    """As an event: under its key, under a key of the attacker's, with copies to all others'."""
    headers, body = attacker.forge(event, f"{attacker.name}-{event.order_id}-{number}")
    to, mine = exchange(attacker.shop.name), f"{attacker.name}.x"
    attacker.publish(to, event.key, headers, body)
    for copies in ({"CC": [event.key]}, {"BCC": [event.key, "order.tally"]}, {"CC": event.key}):
        attacker.publish(to, mine, headers | copies, body)
    for name in SERVICES:
        attacker.publish("", f"{attacker.shop.name}.{name}", headers, body)


def by_every_letter(attacker, event, number):
    """As a dead letter in the others' queues: of theirs, of the broker's, of an effect."""
    shop, to = attacker.shop.name, dead_exchange(attacker.shop.name)
    headers, body = attacker.forge(event, f"{attacker.name}-{event.order_id}-{number}-letter")
    others = [name for name in SERVICES if name != attacker.name]
    came = {"dead-exchange": f"{shop}.events", "dead-key": event.key, "dead-letter": "1"}
    came |= {"dead-user": user(shop, event.producer), "dead-override": "please"}
    story = {"dead-reason": "failed", "dead-exception": TRIED, "dead-attempts": "6"}
    death = {"reason": "delivery_limit", "exchange": f"{shop}.events", "count": 6,
             "routing-keys": [event.key], "queue": f"{shop}.{others[0]}"}  # fmt: skip
    broke = {"x-first-death-reason": "delivery_limit", "x-first-death-exchange": "",
             "x-death": [death]}  # fmt: skip
    effect = {"ce-type": "Capture", "ecom-effect": "1", "dead-exchange": "effects",
              "dead-edited": "1"}  # fmt: skip
    for said in (story, broke, story | effect):
        attacker.publish(to, attacker.name, headers | came | said | {"BCC": others}, body)
    attacker.publish(to, others[0], headers | came | story, body)


def test_a_service_can_cause_no_transition_that_is_not_its_own(shop, attacker, put, wait_for):
    """By no key, header, exchange, queue or replay, of no order, whether paid or not; and it ends
    nobody's connection. An operator who replays all that lies there does nothing by that."""
    before = shop.books().confirmed
    done = shop.place("ada@example.com", {"YOYO": 1})
    shop.settle()
    shop.gateway(down=True)
    waiting = shop.place("bob@example.com", {"YOYO": 1})
    tries = lambda: shop.table("payment", "effects").set_index("subject").attempts  # noqa: E731
    wait_for(lambda: tries().get(waiting, 0) > 0)
    log = lambda: shop.table("audit", "events")  # noqa: E731
    wait_for(lambda: {done, waiting} <= set(log().order_id))
    attacker.sagas = dict(zip(log().order_id, log().correlation, strict=False))
    lost = _lost(shop)
    for order in (done, waiting):
        for number, (key, event) in enumerate(EXAMPLES.items()):
            if not key.startswith(f"{attacker.name}."):
                by_every_key(attacker, replace(event, order_id=order), number)
                by_every_letter(attacker, replace(event, order_id=order), number)
    assert attacker.refused > 100
    letters = _all_handled(shop, put, wait_for, f"{attacker.name}-1")
    others = letters[letters.service != attacker.name]
    forged = others[others.reason == "forged"]
    assert set(forged.service) == (set() if copies_are_checked() else {*SERVICES} - {attacker.name})
    # What it writes into its own queue makes nobody do anything but itself.
    shop.dead.drop(letters[letters.service == attacker.name], "its own")
    for reason in {"forged", "malformed"} & {*others.reason}:
        first = others[others.reason == reason].id.iloc[0]
        assert not shop.dead.dry_run(first).is_good
    stay = pytest.raises(ShopError, match=f"{len(forged)} of them stay")
    with stay if len(forged) else nullcontext():
        shop.dead.replay(others)
    left = _all_handled(shop, put, wait_for, f"{attacker.name}-2")
    assert set(left[left.reason == "forged"].id) == set(forged.id)
    shop.dead.drop(left, "a test")
    shop.gateway()
    shop.settle()
    assert shop.orders().set_index("order_id").state[[done, waiting]].tolist() == ["CONFIRMED"] * 2
    books = shop.books()
    assert books.balanced, books
    assert books.confirmed == before + 2
    assert set(shop.ledger().outcome) == {"captured"}
    assert _lost(shop) == lost


def _all_handled(shop, put, wait_for, mark):
    """The dead letters, once every service has set aside a message that an operator sends last."""
    for name in SERVICES:
        put(queue(shop.name, name), {"ce-id": mark}, b"")
    wait_for(lambda: all(mark in shop.dead.event_ids(name) for name in SERVICES), 60)
    return shop.dead.list()


def _lost(shop):
    """How often the services have lost their connections."""
    logs = [log_file(shop.folder, (name, "1")).read_text() for name in SERVICES]
    return sum(log.count("No connection to the broker") for log in logs)
