"""The bus on a real RabbitMQ: connections lost, messages returned, and bytes nobody can read."""

import asyncio
import struct
import uuid
from contextlib import closing

import pika
import pytest
from helpers import EXAMPLES, wire
from pika.frame import Method
from wiretap import Proxy, RawHeaders, Tap, field, nested, publish, tapped

from ecom import topology
from ecom.bus import _Session, declare, parameters, remove_topology
from ecom.envelope import Refused, decode
from ecom.ports import Ack, Confirmed, Delivery, Publish, PublisherDown, PublisherUp, Unsent
from ecom.rows import Outbox

CREATED = EXAMPLES["order.created"]


@pytest.fixture
def shop(broker):
    """The name of a shop of its own, whose queues exist."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    declare(broker, name)
    yield name
    remove_topology(broker, name)


def good(broker, shop, id="event-1"):
    headers, body = wire(CREATED, id)
    return publish(broker, shop, CREATED.key, body, pika.BasicProperties(headers=headers))


def row(seq, exchange="events", id=None):
    headers, body = wire(CREATED, f"event-{seq}")
    id = f"event-{seq}" if id is None else id
    return Outbox(seq, id, CREATED.key, "1001", exchange, headers, body, 0.0, "1", None)


def test_declaring_again_changes_nothing(broker, shop):
    """Messages in the queues stay; also when many declare at once."""
    good(broker, shop)
    for _ in range(2):
        declare(broker, shop)
    with closing(pika.BlockingConnection(parameters(broker))) as connection:
        queue = connection.channel().queue_declare(topology.queue(shop, "inventory"), passive=True)
        assert queue.method.message_count == 1


def test_a_topology_of_another_shape_is_an_error_and_not_overwritten(broker, shop):
    with closing(pika.BlockingConnection(parameters(broker))) as connection:
        channel = connection.channel()
        channel.queue_delete(topology.queue(shop, "order"))
        channel.queue_declare(topology.queue(shop, "order"), durable=True)
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="PRECONDITION_FAILED"):
        declare(broker, shop)


def test_each_published_row_is_confirmed_once(broker, shop):
    async def scene():
        async with tapped(broker, shop) as tap:
            for seq in range(1, 1_001):
                tap.bus.publish(Publish(row(seq)))
            confirmed = lambda: [seq for each in tap.of(Confirmed) for seq in each.seqs]  # noqa: E731
            await tap.until(lambda: len(confirmed()) >= 1_000)
            assert sorted(confirmed()) == list(range(1, 1_001))

    asyncio.run(scene())


def test_confirms_may_overtake_each_other_and_speak_of_many():
    """One message or all up to it, acked or refused, in any order: each row hears its fate once."""

    async def scene():
        got = []
        session = _Session("shop", "order", 1, got.append)
        session._out = Swallow()
        for seq in range(11, 20):
            session.publish(row(seq))
        ack, nack = pika.spec.Basic.Ack, pika.spec.Basic.Nack
        for method in (ack(3), ack(5, multiple=True), nack(7), ack(6), nack(9, multiple=True)):
            session._on_confirm(Method(1, method))
        return got

    assert asyncio.run(scene()) == [
        Confirmed([13]), Confirmed([11, 12, 14, 15]), Unsent([17]), Confirmed([16]),
        Unsent([18, 19]),
    ]  # fmt: skip


class Swallow:
    """A channel that takes whatever is published."""

    def basic_publish(self, *_, **__):
        pass


def test_what_no_queue_takes_comes_back_as_unsent_and_only_that(broker, shop):
    """Though the broker confirms it; also for a dead letter whose message had no id at all."""

    async def scene():
        with closing(pika.BlockingConnection(parameters(broker))) as connection:
            async with tapped(broker, shop) as tap:
                connection.channel().queue_delete(topology.dead_queue(shop, "inventory"))
                for output in (row(1), row(2, "dead", ""), row(3), row(4, "dead", "")):
                    tap.bus.publish(Publish(output))
                await tap.until(lambda: fates(tap) == ([1, 3], [2, 4]))

    asyncio.run(scene())


def fates(tap):
    return tuple(sorted(seq for each in tap.of(kind) for seq in each.seqs)
                 for kind in (Confirmed, Unsent))  # fmt: skip


def test_a_cut_connection_is_made_anew_and_unacked_messages_come_again(broker, shop):
    """Publishing stops and starts; what was in hand arrives on a new channel; an ack for the old
    one is in vain."""

    async def scene():
        proxy = Proxy(broker)
        async with proxy as url, tapped(url, shop) as tap:
            good(broker, shop)
            await tap.until(lambda: tap.of(Delivery))
            proxy.cut()
            await tap.until(lambda: len(tap.of(Delivery)) == 2)
            first, second = tap.of(Delivery)
            assert (first.channel, second.channel) == (1, 2)
            assert first.body == second.body
            changes = [type(each) for each in tap.got if type(each) is not Delivery]
            assert changes == [PublisherUp, PublisherDown, PublisherUp]
            tap.bus.ack(Ack(first.channel, first.tag))
            proxy.cut()
            await tap.until(lambda: len(tap.of(Delivery)) == 3)
            third = tap.of(Delivery)[-1]
            tap.bus.ack(Ack(third.channel, third.tag))
            good(broker, shop, "event-2")
            await tap.until(lambda: len(tap.of(Delivery)) == 4)
        async with tapped(broker, shop) as tap:
            await tap.until(lambda: tap.of(Delivery))
            assert tap.of(Delivery)[0].headers["ce-id"] == "event-2"

    asyncio.run(scene())


def test_a_bus_without_a_broker_waits_for_one(broker, shop):
    """Nothing is published meanwhile, and nothing raised."""

    async def scene():
        async with Proxy(broker) as url:
            pass
        tap = Tap(url, shop, "order")
        running = asyncio.create_task(tap.bus.run())
        await tap.until(lambda: len(tap.of(PublisherDown)) == 2)
        tap.bus.publish(Publish(row(1)))
        assert not tap.bus.connected
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert {type(each) for each in tap.got} == {PublisherDown}

    asyncio.run(scene())


def test_after_a_crash_messages_are_taken_one_at_a_time_until_a_new_one_comes(broker, shop):
    """So that a message which kills the process is alone in hand when it does."""

    async def scene():
        for n in range(3):
            good(broker, shop, f"old-{n}")
        async with tapped(broker, shop) as tap:
            await tap.until(lambda: len(tap.of(Delivery)) == 3)
        good(broker, shop, "new-1")
        good(broker, shop, "new-2")
        async with tapped(broker, shop) as tap:
            for n in (1, 2, 3):
                await tap.until(lambda n=n: len(tap.of(Delivery)) >= n)
                await asyncio.sleep(0.05)  # nothing more may come: there is no condition to await
                assert len(tap.of(Delivery)) == n
                tap.bus.ack(Ack(1, tap.of(Delivery)[-1].tag))
            await tap.until(lambda: len(tap.of(Delivery)) == 5)

    asyncio.run(scene())


def long(kind, value):
    return field(kind, struct.pack(">Q", value))


HOSTILE = {  # header tables as bytes
    "the year 10000": long(b"T", 253_402_300_800),
    "the end of time": long(b"T", 2**64 - 1),
    "deep tables": nested(15_000),
    "a long long": long(b"L", 2**64 - 1),
    "a NaN": field(b"d", struct.pack(">d", float("nan"))),
    "infinity": field(b"d", struct.pack(">d", float("inf"))),
    "a small decimal": field(b"D", b"\xff" + struct.pack(">i", -(2**31))),
    "nothing": field(b"V", b""),
    "bytes": field(b"x", struct.pack(">I", 4) + b"\x00\xff\x00\xff"),
    "text not UTF-8": field(b"S", struct.pack(">I", 2) + b"\xc3\x28"),
    "a name not UTF-8": field(b"t", b"\x01", b"\xff\xfe"),
    "no name": field(b"t", b"\x01", b""),
    "one name twice": field(b"t", b"\x01") * 2,
    "deep arrays": field(b"A", struct.pack(">I", 5) + b"A\x00\x00\x00\x00"),
    "a crowd": b"".join(field(b"V", b"", b"%d" % n) for n in range(10_000)),
    "our own, but bytes": field(b"x", struct.pack(">I", 3) + b"1.0", b"ce-specversion"),
}


def test_headers_that_pika_cannot_read_do_not_stop_the_messages_behind_them(broker, shop):
    """Each hostile message arrives, is refused in words, and the connection lives on."""

    async def scene():
        taken = [name for name, table in HOSTILE.items()
                 if publish(broker, shop, "order.created", name.encode(), RawHeaders(table))]
        assert len(taken) > 10, "the broker itself refuses some, not most"
        assert {"the end of time", "deep tables"} <= set(taken)
        headers, body = wire(CREATED)
        publish(broker, shop, b"order.\xff", body, pika.BasicProperties(headers=headers))
        good(broker, shop, "the-last")
        async with tapped(broker, shop, "audit") as tap:
            await tap.until(lambda: len(tap.of(Delivery)) == len(taken) + 2)
            assert [each.body.decode() for each in tap.of(Delivery)[:-2]] == taken
            for each in tap.of(Delivery)[:-2]:
                with pytest.raises(Refused):
                    decode(each.headers, each.body)
            assert tap.of(Delivery)[-2].key == r"order.\xff"
            assert decode(tap.of(Delivery)[-1].headers, body)[1] == CREATED
            assert not tap.of(PublisherDown)

    asyncio.run(scene())
