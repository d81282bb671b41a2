"""One suite for two brokers: the simulated one must do what a real RabbitMQ does."""

import time
import uuid
from contextlib import suppress

import pika
import pytest

from ecom.bus import parameters
from ecom_lab.simulator import broker
from ecom_lab.simulator.broker import Held

LIMIT = 2  # times a message may come back
BINDINGS = (("work", "job"), ("work", "task"), ("log", "job"), ("log", "task"))


class Simulated:
    """The simulator's queues behind the suite's interface; one connection publishes."""

    def __init__(self):
        self.queues = {"work": (), "log": (), "dead": ()}

    def publish(self, key, body, exchange="events"):
        queues = (
            broker.route(key, BINDINGS) if exchange else [it for it in self.queues if it == key]
        )
        for queue in queues:
            self.queues[queue] = broker.publish(self.queues[queue], Held(body))
        return ["confirmed"] if queues else ["returned", "confirmed"]

    def channel(self):
        return SimulatedChannel(self.queues)

    def bodies(self, queue, count):
        assert len(self.queues[queue]) == count
        return [held.message for held in self.queues[queue]]


class SimulatedChannel:
    """A consumer of the queue `work`."""

    def __init__(self, queues):
        self._queues, self._unacked = queues, []

    def get(self):
        held = self._queues["work"][0]
        self._queues["work"] = broker.deliver(self._queues["work"], held)
        self._unacked.append(held)
        return len(self._unacked), held.message, held.returned

    def ack(self, tag):
        self._unacked[:tag] = [None] * tag

    def reject(self, tag):
        self._give_back(tag - 1)

    def lose(self):
        for at in reversed(range(len(self._unacked))):
            self._give_back(at)

    def _give_back(self, at):
        held, self._unacked[at] = self._unacked[at], None
        if held is None:
            return
        if broker.is_set_aside(held, LIMIT):
            self._queues["dead"] = broker.publish(self._queues["dead"], Held(held.message))
        else:
            self._queues["work"] = broker.give_back(self._queues["work"], held)


class Real:
    """A RabbitMQ behind the same interface; every name is this suite's own."""

    def __init__(self, url):
        self._url, self._name = url, f"test-{uuid.uuid4().hex[:8]}"
        self._connection = pika.BlockingConnection(parameters(url))
        self._channel = self._connection.channel()
        self._heard = []
        inner = self._channel._impl  # the blocking channel tells neither in what order they came
        inner.add_on_return_callback(lambda *_: self._heard.append("returned"))
        confirm = pika.spec.Basic.Ack
        inner.callbacks.add(inner.channel_number, confirm, self._confirmed, one_shot=False)
        self._channel.confirm_delivery()
        self._declare()

    def _declare(self):
        channel, quorum = self._channel, {"x-queue-type": "quorum"}
        channel.exchange_declare(self.named("events"), "topic")
        channel.queue_declare(self.named("dead"), durable=True, arguments=quorum)
        channel.queue_declare(self.named("log"), durable=True, arguments=quorum)
        limited = quorum | {
            "x-delivery-limit": LIMIT,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": self.named("dead"),
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
        channel.queue_declare(self.named("work"), durable=True, arguments=limited)
        for queue, key in BINDINGS:
            channel.queue_bind(self.named(queue), self.named("events"), key)

    def _confirmed(self, *_):
        self._heard.append("confirmed")

    def named(self, name):
        return f"{self._name}.{name}"

    def publish(self, key, body, exchange="events"):
        self._heard.clear()
        where = (self.named(exchange), key) if exchange else ("", self.named(key))
        with suppress(pika.exceptions.UnroutableError):
            self._channel.basic_publish(*where, body, mandatory=True)
        return list(self._heard)

    def channel(self):
        return RealChannel(self._url, self.named("work"))

    def bodies(self, queue, count):
        wait_until(lambda: self._depth(queue) == count)
        return [self._channel.basic_get(self.named(queue))[2] for _ in range(count)]

    def _depth(self, queue):
        return self._channel.queue_declare(self.named(queue), passive=True).method.message_count

    def close(self):
        for queue in ("work", "log", "dead"):
            self._channel.queue_delete(self.named(queue))
        self._channel.exchange_delete(self.named("events"))
        self._connection.close()


class RealChannel:
    def __init__(self, url, queue):
        self._connection = pika.BlockingConnection(parameters(url))
        self._channel, self._queue = self._connection.channel(), queue

    def get(self):
        got = wait_until(lambda: self._found(self._channel.basic_get(self._queue)))
        method, properties, body = got
        return method.delivery_tag, body, (properties.headers or {}).get("x-delivery-count", 0)

    def _found(self, got):
        return got if got[0] is not None else None

    def ack(self, tag):
        self._channel.basic_ack(tag, multiple=True)

    def reject(self, tag):
        self._channel.basic_reject(tag, requeue=True)

    def lose(self):
        self._connection.close()


def wait_until(condition, seconds=20.0):
    """What the condition returns, once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
    return found


@pytest.fixture(params=["simulated", "real"])
def bus(request):
    """Either broker, empty."""
    if request.param == "simulated":
        yield Simulated()
        return
    real = Real(request.getfixturevalue("broker"))
    yield real
    real.close()


def test_messages_come_in_the_order_in_which_they_were_published(bus):
    """Each is confirmed, and goes to every queue that is bound for its key."""
    assert [bus.publish("job", body) for body in (b"1", b"2", b"3")] == [["confirmed"]] * 3
    channel = bus.channel()
    assert [channel.get()[1:] for _ in range(3)] == [(b"1", 0), (b"2", 0), (b"3", 0)]
    channel.ack(3)
    channel.lose()
    assert bus.bodies("work", 0) == []
    assert bus.bodies("log", 3) == [b"1", b"2", b"3"]


def test_what_a_lost_channel_had_comes_again_first(bus):
    """In the same order, before what was never delivered, and marked; what it acked does not."""
    for body in (b"1", b"2", b"3", b"4"):
        bus.publish("job", body)
    channel = bus.channel()
    first, *_ = [channel.get()[0] for _ in range(3)]
    channel.ack(first)
    channel.lose()
    again = bus.channel()
    assert [again.get()[1:] for _ in range(3)] == [(b"2", 1), (b"3", 1), (b"4", 0)]
    again.ack(3)
    again.lose()


def test_an_unroutable_message_is_returned_and_then_confirmed(bus):
    """The return comes first: who waits for the confirm has heard it."""
    assert bus.publish("nobody.listens", b"1") == ["returned", "confirmed"]
    assert bus.publish("work", b"2", exchange="") == ["confirmed"]
    assert bus.publish("no-such-queue", b"3", exchange="") == ["returned", "confirmed"]


def test_what_comes_back_too_often_is_a_dead_letter(bus):
    """By lost channels and by rejects alike; its neighbours are spared."""
    bus.publish("job", b"poison")
    for returned in range(LIMIT + 1):
        channel = bus.channel()
        tag, body, count = channel.get()
        assert (body, count) == (b"poison", returned)
        channel.reject(tag) if returned % 2 else None
        channel.lose()
    assert bus.bodies("dead", 1) == [b"poison"]
    assert bus.bodies("work", 0) == []


def test_a_duplicate_after_a_reconnect_looks_like_new(bus):
    """A message published again, as its confirm was lost, comes twice, and unmarked."""
    bus.publish("task", b"1")
    bus.publish("task", b"1")
    channel = bus.channel()
    assert [channel.get()[1:] for _ in range(2)] == [(b"1", 0), (b"1", 0)]
    channel.lose()
