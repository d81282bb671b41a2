"""The bus on a real RabbitMQ: connections lost, messages returned, confirms in any order."""

import asyncio
import itertools
import re
import socket
import uuid
from contextlib import closing
from functools import partial
from types import SimpleNamespace

import pika
import pytest
from helpers import EXAMPLES, wire
from msgspec.structs import replace
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ConnectionClosedByBroker
from pika.frame import Method
from wiretap import Proxy, Tap, publish, tapped

from ecom import bus
from ecom.amqp import address, session
from ecom.amqp.blocking import operator
from ecom.amqp.connection import TROUBLE
from ecom.amqp.session import Session
from ecom.broker.lease import private_node
from ecom.bus import declare, parameters, remove_topology
from ecom.contract import topology
from ecom.errors import ShopError
from ecom.runtime.messages import (
    Ack,
    Confirmed,
    Delivery,
    Publish,
    PublisherDown,
    PublisherUp,
    Rejected,
)
from ecom.runtime.tables import Outbox
from ecom_lab.shop import CONTRACT

CREATED = EXAMPLES["order.created"]


@pytest.fixture
def shop(broker):
    """The name of a shop of its own, whose queues exist."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    declare(CONTRACT, broker, name)
    yield name
    remove_topology(CONTRACT, broker, name)


def good(broker, shop, id="event-1"):
    headers, body = wire(CREATED, id)
    return publish(broker, shop, CREATED.key, body, pika.BasicProperties(headers=headers))


def row(seq, exchange="events", id=None):
    headers, body = wire(CREATED, f"event-{seq}")
    id = f"event-{seq}" if id is None else id
    return Outbox(seq, id, CREATED.key, "1001", exchange, headers, body, 0.0, "1")


def test_declaring_again_changes_nothing(broker, shop, wait_for):
    """Messages in the queues stay; also when many declare at once."""
    good(broker, shop)
    for _ in range(2):
        declare(CONTRACT, broker, shop)
    with closing(pika.BlockingConnection(parameters(broker))) as connection:
        queue = partial(connection.channel().queue_declare, topology.queue(shop, "inventory"))
        wait_for(lambda: queue(passive=True).method.message_count == 1)  # 0 of one that is slow


def test_a_broker_that_cannot_make_a_queue_just_now_is_asked_again(broker, shop, monkeypatch):
    """As one on a busy machine, whose queue has not elected its leader in time."""
    replies, declare_queue = [541, 541], BlockingChannel.queue_declare

    def failing(channel, *about, **more):
        if replies:
            raise ConnectionClosedByBroker(replies.pop(), "not just now")
        return declare_queue(channel, *about, **more)

    monkeypatch.setattr(BlockingChannel, "queue_declare", failing)
    declare(CONTRACT, broker, shop)
    assert not replies
    replies += [504]  # which would come again
    with pytest.raises(ConnectionClosedByBroker, match="504"):
        declare(CONTRACT, broker, shop)
    clock = SimpleNamespace(monotonic=itertools.count(0, 5).__next__, sleep=lambda _: None)
    monkeypatch.setattr(bus, "time", clock)  # each look at it takes five seconds
    replies += [541] * 1_000
    with pytest.raises(ConnectionClosedByBroker, match="541"):
        declare(CONTRACT, broker, shop)


def test_a_topology_of_another_shape_is_an_error_and_not_overwritten(broker, shop):
    with closing(pika.BlockingConnection(parameters(broker))) as connection:
        channel = connection.channel()
        channel.queue_delete(topology.queue(shop, "order"))
        channel.queue_declare(topology.queue(shop, "order"), durable=True)
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="PRECONDITION_FAILED"):
        declare(CONTRACT, broker, shop)


def test_a_broker_that_does_not_answer_is_trouble_as_any_other(monkeypatch):
    """It takes the connection, as a frozen one does, and says nothing: the provisioner waits for
    it, and an operator is told."""
    monkeypatch.setattr(address, "CONNECT_SECONDS", 0.1)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"amqp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TROUBLE):
            declare(CONTRACT, url, "shop")
        with pytest.raises(ShopError, match="cannot be reached"), operator(url, "lock"):
            pass


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
        session = Session("shop", "order", 1, got.append)
        session._out = Swallow()
        for seq in range(11, 20):
            session.publish(row(seq))
        ack, nack = pika.spec.Basic.Ack, pika.spec.Basic.Nack
        for method in (ack(3), ack(5, multiple=True), nack(7), ack(6), nack(9, multiple=True)):
            session._on_confirm(Method(1, method))
        return got

    assert asyncio.run(scene()) == [
        Confirmed([13]),
        Confirmed([11, 12, 14, 15]),
        Rejected([17]),
        Confirmed([16]),
        Rejected([18, 19]),
    ]


def test_messages_of_ours_go_past_pikas_codec(broker, shop, monkeypatch):
    """But for the first, which is taken with care, and one that comes in two pieces."""
    read, decode = [], pika.spec.BasicProperties.decode
    monkeypatch.setattr(
        pika.spec.BasicProperties,
        "decode",
        lambda *it, **more: read.append(1) or decode(*it, **more),
    )

    async def scene():
        async with tapped(broker, shop, "order") as tap:
            for seq in range(1, 101):
                tap.bus.publish(Publish(row(seq)))
            await tap.until(lambda: len(fates(tap)[0]) == 100)
        async with tapped(broker, shop) as tap:
            await tap.until(lambda: tap.of(Delivery))
            tap.bus.ack(Ack(1, tap.of(Delivery)[-1].tag))
            await tap.until(lambda: len(tap.of(Delivery)) == 100)
            assert [it.headers["ce-id"] for it in tap.of(Delivery)] == [
                f"event-{seq}" for seq in range(1, 101)
            ]

    asyncio.run(scene())
    assert len(read) < 10


class Swallow:
    """A channel, and its connection, that takes whatever is published, and remembers its id."""

    def __init__(self):
        self.properties, self.connection = [], self

    def publish(self, _channel, _exchange, _key, _headers, _body, id):
        self.properties.append(pika.BasicProperties(message_id=id))


def test_a_return_is_about_one_row_also_among_messages_without_an_id():
    """Dead letters of what had no id of its own: one comes back, the other is safe."""

    async def scene():
        got = []
        session = Session("shop", "order", 1, got.append)
        session._out = channel = Swallow()
        session.publish(row(1, "dead", ""))
        session.publish(row(2, "dead", ""))
        session._on_return(channel, pika.spec.Basic.Return(), channel.properties[1], b"")
        session._on_confirm(Method(1, pika.spec.Basic.Ack(2, multiple=True)))
        return got

    assert asyncio.run(scene()) == [Confirmed([1]), Rejected([2])]


def test_what_no_queue_takes_comes_back_as_unsent_and_only_that(broker, shop):
    """Though the broker confirms it; also for a dead letter whose message had no id at all."""

    async def scene():
        with closing(pika.BlockingConnection(parameters(broker))) as connection:
            async with tapped(broker, shop) as tap:
                connection.channel().queue_delete(topology.dead_queue(shop, "inventory"))
                for output in (row(1), row(2, "dead", ""), row(3), row(4, id="")):
                    tap.bus.publish(Publish(output))
                await tap.until(lambda: fates(tap) == ([1, 3, 4], [2]))

    asyncio.run(scene())


def fates(tap):
    return tuple(
        sorted(seq for each in tap.of(kind) for seq in each.seqs) for kind in (Confirmed, Rejected)
    )


async def fates_of(rows, url, shop):
    """Publish these, and after each reconnect what is not settled yet, as the runtime does; what
    was confirmed, what was rejected with which error, and how often it was connected."""

    def settled(tap, kind):
        return {seq: each for each in tap.of(kind) for seq in each.seqs}

    async with tapped(url, shop, "order") as tap:
        connected = 0
        while True:
            ups = len(tap.of(PublisherUp))
            done = settled(tap, Confirmed), settled(tap, Rejected)
            if len(done[0]) + len(done[1]) == len(rows):
                return sorted(done[0]), {seq: it.error for seq, it in done[1].items()}, ups
            if ups > connected:
                connected = ups
                for each in rows:
                    if each.seq not in done[0] and each.seq not in done[1]:
                        tap.bus.publish(Publish(each))
            await asyncio.sleep(0.005)


def with_headers(seq, **headers):
    good = row(seq)
    return replace(good, headers=good.headers | headers)


def test_a_row_for_which_the_broker_ends_the_session_is_rejected_alone(broker, shop):
    """All others leave, in two reconnects; the text says what the broker said."""
    bad = with_headers(50, CC="order.cancelled")  # a list, the broker says, and closes the channel
    rows = [bad if seq == 50 else row(seq) for seq in range(1, 101)]
    confirmed, rejected, ups = asyncio.run(asyncio.wait_for(fates_of(rows, broker, shop), 20))
    assert confirmed == [seq for seq in range(1, 101) if seq != 50]
    assert list(rejected) == [50]
    assert "PRECONDITION_FAILED" in rejected[50]
    assert ups == 3


@pytest.mark.parametrize("headers", [{"x": "y" * 8_000}, {"x": ["y" * 8_000]}, {"x" * 300: "y"}])
def test_what_fits_no_frame_is_rejected_before_it_is_sent(broker, shop, headers):
    """Text, or what pika encodes, or what nobody can encode: nothing ends the session for it."""
    url = f"{broker}?frame_max=8192"
    rows = [row(1), with_headers(2, **headers), row(3)]
    confirmed, rejected, ups = asyncio.run(asyncio.wait_for(fates_of(rows, url, shop), 20))
    assert (confirmed, list(rejected), ups) == ([1, 3], [2], 1)
    assert rejected[2]


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
            tap.bus.publish(Publish(row(1, "dead")))
            await tap.until(lambda: tap.of(Confirmed))  # so the broker has had the ack, too
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


def test_a_channel_that_hangs_within_the_broker_is_given_up(broker, shop, monkeypatch):
    """Nothing is confirmed and nothing answered any more, while the connection lives: a session
    that waited would publish nothing until somebody restarts the service."""
    if (node := private_node(broker)) is None:
        pytest.skip("needs the private broker, as its operator")
    hang = """[sys:suspend(It) || It <- rabbit_channel:list(),
        rabbit_networking:connection_info(
            proplists:get_value(connection, rabbit_channel:info(It, [connection])), [peer_port]
        ) == [{peer_port, %d}]]."""
    monkeypatch.setattr(session, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(session, "GOODBYE_SECONDS", 0.1)

    async def scene():
        async with tapped(broker, shop, "order") as tap:
            out = tap.bus._session._out
            port = out.connection._transport._sock.getsockname()[1]
            assert "ok" in await asyncio.to_thread(node.control, "eval", hang % port)
            tap.bus.publish(Publish(row(1)))
            await tap.bus.check_queue()
            await tap.until(lambda: len(tap.of(PublisherUp)) == 2)
            assert out.connection.is_closed
            tap.bus.publish(Publish(row(1)))
            await tap.until(lambda: fates(tap)[0] == [1])

    asyncio.run(scene())


def test_a_session_ends_if_its_oldest_message_is_not_confirmed_in_time(monkeypatch):
    """Though the broker answers all else, and confirms what is younger; but not while it blocks us,
    and not for what became the oldest a moment ago."""
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr(session, "time", clock)
    now = 0.0

    async def scene():
        nonlocal now
        it = Session("shop", "order", 1, lambda _: None)
        it._out = Swallow()
        it._count = lambda: asyncio.sleep(0, 1)
        it.announce = lambda _: setattr(it, "_delivered", it._delivered + 1)
        late = session.ANSWER_SECONDS + 1
        for tag in (1, 2, 3):
            it.publish(row(tag))
        await it.check_queue()
        for happens in (
            lambda: it._on_confirm(Method(1, pika.spec.Basic.Ack(1))),
            lambda: it._block(True),
            lambda: it._block(False),
        ):
            now += late
            happens()
            await it.check_queue()
            assert not it.ended.done()
        it._on_confirm(Method(1, pika.spec.Basic.Ack(3)))
        now += late
        await it.check_queue()
        return it.ended.result()

    assert "confirms nothing" in str(asyncio.run(scene()))


def test_only_a_confirm_ends_the_pauses_between_connections(broker, shop, caplog):
    """What ends each session at once, such as a row that the broker does not take, does not make us
    reconnect without a pause, though each time there is a connection."""

    async def scene():
        proxy, ups = Proxy(broker), 0
        async with proxy as url, tapped(url, shop) as tap:
            for confirmed in (False, False, True, False):
                ups += 1
                await tap.until(lambda n=ups: len(tap.of(PublisherUp)) == n)
                if confirmed:
                    tap.bus.publish(Publish(row(1)))
                    await tap.until(lambda: tap.of(Confirmed))
                proxy.cut()
                await tap.until(lambda n=ups: len(tap.of(PublisherDown)) == n)

    asyncio.run(scene())
    assert re.findall(r"next attempt in (\S+) s", caplog.text) == ["0.1", "0.2", "0.1", "0.2"]


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


def test_another_node_of_the_cluster_is_found_and_found_again(broker, shop):
    """Of those in the URL the first that answers, and when that is lost, the next one; whoever
    declares the topology finds one, too."""

    async def scene():
        first, second = Proxy(broker), Proxy(broker)
        async with first as url, second as other:
            login, _, place = url.removesuffix("/%2F").rpartition("@")
            nobody = "127.0.0.1:1"
            several = f"{login}@{nobody},{place},{other.rpartition('@')[2]}"
            await asyncio.to_thread(declare, CONTRACT, several, shop)
            first.found = second.found = 0
            async with tapped(several, shop) as tap:
                assert (first.found, second.found) == (2, 0)
                first.close()
                await tap.until(lambda: len(tap.of(PublisherUp)) == 2)
                assert second.found == 2

    asyncio.run(scene())


def test_after_two_crashes_messages_are_taken_one_at_a_time_until_a_new_one_comes(broker, shop):
    """So that a message which kills the process is alone in hand when it does; after one, all come
    at once. (While another message goes to the broker and its confirm comes back, no second one is
    delivered.)"""

    async def scene():
        for n in range(3):
            good(broker, shop, f"old-{n}")
        for _ in range(2):
            async with tapped(broker, shop) as tap:
                await tap.until(lambda: len(tap.of(Delivery)) == 3)
        good(broker, shop, "new-1")
        good(broker, shop, "new-2")
        async with tapped(broker, shop) as tap:
            for n in (1, 2, 3):
                await tap.until(lambda n=n: len(tap.of(Delivery)) >= n)
                tap.bus.publish(Publish(row(n, "dead")))
                await tap.until(lambda n=n: fates(tap)[0] == list(range(1, n + 1)))
                assert len(tap.of(Delivery)) == n
                tap.bus.ack(Ack(1, tap.of(Delivery)[-1].tag))
            await tap.until(lambda: len(tap.of(Delivery)) == 5)

    asyncio.run(scene())


def test_among_siblings_messages_are_taken_one_at_a_time_after_one_crash(broker, shop):
    """What kills one goes to another, with all that was in hand: they count as one, then."""

    async def scene():
        for n in range(3):
            good(broker, shop, f"old-{n}")
        first = tapped(broker, shop)
        dying = await first.__aenter__()
        await dying.until(lambda: len(dying.of(Delivery)) == 3)
        async with tapped(broker, shop) as tap:
            await first.__aexit__(None, None, None)
            await tap.until(lambda: tap.of(Delivery))
            tap.bus.publish(Publish(row(1, "dead")))
            await tap.until(lambda: fates(tap)[0] == [1])
            assert len(tap.of(Delivery)) == 1

    asyncio.run(scene())


def test_what_is_confirmed_is_forgotten_also_when_each_confirm_comes_alone():
    """A quiet service may run for years."""

    async def scene():
        session = Session("shop", "order", 1, lambda _: None)
        session._out = Swallow()
        for tag in range(1, 1_001):
            session.publish(row(tag))
            session._on_confirm(Method(1, pika.spec.Basic.Ack(tag)))
        kept = [it for it in vars(session).values() if isinstance(it, dict | list | set | tuple)]
        assert not any(kept)

    asyncio.run(scene())


@pytest.mark.parametrize("returned", [(1,), (2,), (1, 2)])
def test_of_two_dead_letters_of_one_event_those_returned_are_unsent(returned):
    """One confirm speaks of both, whichever came back."""

    async def scene():
        got = []
        session = Session("shop", "order", 1, got.append)
        session._out = channel = Swallow()
        for seq in (1, 2):
            session.publish(row(seq, "dead", "event-1"))
        for seq in returned:
            session._on_return(channel, pika.spec.Basic.Return(), channel.properties[seq - 1], b"")
        session._on_confirm(Method(1, pika.spec.Basic.Ack(2, multiple=True)))
        return [seq for each in got if type(each) is Rejected for seq in each.seqs]

    assert asyncio.run(scene()) == list(returned)


def test_an_event_that_is_returned_twice_is_unsent_twice():
    """Two rows of one event, by a handler that emits it twice."""

    async def scene():
        got = []
        session = Session("shop", "order", 1, got.append)
        session._out = channel = Swallow()
        for seq in (1, 2):
            session.publish(row(seq, id="event-1"))
        for properties in channel.properties:
            session._on_return(channel, pika.spec.Basic.Return(), properties, b"")
        session._on_confirm(Method(1, pika.spec.Basic.Ack(2, multiple=True)))
        return got, session._returned

    assert asyncio.run(scene()) == ([Rejected([1, 2])], {})


def test_a_deaf_consumer_connects_again_whatever_its_siblings_hear(broker, shop):
    """Of three replicas the queue has forgotten one: that one is replaced, and receives again."""

    def ack(tap):
        """Acknowledge all that it has; whether nothing of it is in hand any more."""
        session, last = tap.bus._session, tap.of(Delivery)[-1].tag
        if session._to_ack is None and session._acked < last:
            tap.bus.ack(Ack(1, last))
        return session._acked == last

    async def scene():
        async with tapped(broker, shop) as a, tapped(broker, shop) as b, tapped(broker, shop) as c:
            for n in range(3):
                good(broker, shop, f"first-{n}")
            await a.until(lambda: all(tap.of(Delivery) and ack(tap) for tap in (a, b, c)))
            session = c.bus._session
            await session._call(session._in.basic_cancel, consumer_tag=session._consumer)
            while c.bus._session is session:
                echoes = len(a.of(Delivery)) + len(b.of(Delivery)) + 6  # of three, for two
                for tap in (a, b, c):
                    await tap.bus.check_queue()
                # Once it is replaced, it takes its share of them.
                await a.until(
                    lambda n=echoes: (
                        c.bus._session is not session
                        or len(a.of(Delivery)) + len(b.of(Delivery)) >= n
                    )
                )
                await a.until(lambda: ack(a) and ack(b))
            await c.until(lambda: c.bus.connected)
            numbers = itertools.count()

            def receives():  # its siblings may have had what came before it was subscribed
                good(broker, shop, f"then-{next(numbers)}")
                return c.of(Delivery)[-1].channel == 2

            await c.until(receives)
            assert (a.bus.epoch, b.bus.epoch) == (1, 1)

    asyncio.run(scene())


def test_a_consumer_among_others_that_receives_nothing_is_replaced():
    """However many the broker counts: none of them is this one. Not before it was sent two messages
    of its own."""

    async def scene(consumers):
        session = Session("shop", "order", 1, lambda _: None)
        session._count = lambda: asyncio.sleep(0, consumers)
        session.announce = lambda _: None
        ended = []
        for _ in range(3):
            await session.check_queue()
            ended.append(session.ended.done())
        return ended

    for consumers in (0, 1, 2, 5):
        assert asyncio.run(scene(consumers)) == [False, False, True]


SLOW = """{ok, Queue} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"%s">>)),
    {Leader, _} = amqqueue:get_pid(Queue), sys:%s(Leader)."""


@pytest.fixture
def slow(broker, shop):
    """Has a queue of the shop answer nobody, until it is told to `resume`."""
    if (node := private_node(broker)) is None:
        pytest.skip("needs the private broker, as its operator")
    told = []

    def tell(queue, what="suspend"):
        told.append(queue)
        assert "ok" in node.control("eval", SLOW % (queue, what))

    yield tell
    for queue in {*told}:
        tell(queue, "resume")


def test_a_queue_that_is_slow_to_answer_does_not_end_a_session(broker, shop, slow):
    """Of such a queue RabbitMQ says that it has no consumers; ours receives all the same."""
    queue = topology.queue(shop, "order")

    async def scene():
        async with tapped(broker, shop, "order") as tap:
            await asyncio.to_thread(slow, queue)
            assert await tap.bus._session._count() == 0
            await tap.bus.check_queue()
            await asyncio.to_thread(slow, queue, "resume")
            await tap.until(lambda: tap.of(Delivery))
            assert (tap.bus.epoch, tap.of(PublisherDown)) == (1, [])

    asyncio.run(scene())


def test_a_queue_that_is_slow_to_answer_is_not_taken_for_an_empty_one(
    broker, shop, slow, monkeypatch
):
    """RabbitMQ says that there is nothing in it, and so would a list of its dead letters."""
    queue = topology.dead_queue(shop, "order")
    with operator(broker, f"{shop}.looking") as at:
        at.send(queue, {}, b"letter")
        slow(queue)
        declare, said = at._control.queue_declare, []

        def declared(*arguments, **options):
            found = declare(*arguments, **options)
            if not said:
                slow(queue, "resume")
            said.append(found.method.message_count)
            return found

        monkeypatch.setattr(at._control, "queue_declare", declared)
        assert [message.body for message, _ in at.look(queue)] == [b"letter"]
        assert said[0] == 0
