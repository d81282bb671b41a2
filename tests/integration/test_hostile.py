"""Bytes nobody can read, on a real RabbitMQ: whatever is in a message's headers, it is refused."""

import asyncio
import struct
import uuid

import pika
import pytest
from helpers import EXAMPLES, wire
from wiretap import RawHeaders, field, nested, publish, tapped

from ecom.bus import declare, remove_topology
from ecom.contract.envelope import Refused, decode
from ecom.runtime.messages import Delivery, PublisherDown
from ecom_lab.shop import CONTRACT

CREATED = EXAMPLES["order.created"]


@pytest.fixture
def shop(broker):
    """The name of a shop of its own, whose queues exist."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    declare(CONTRACT, broker, name)
    yield name
    remove_topology(CONTRACT, broker, name)


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
        taken = [
            name
            for name, table in HOSTILE.items()
            if publish(broker, shop, "order.created", name.encode(), RawHeaders(table))
        ]
        assert len(taken) > 10, "the broker itself refuses some, not most"
        assert {"the end of time", "deep tables"} <= set(taken)
        headers, body = wire(CREATED)
        publish(broker, shop, b"order.\xff", body, pika.BasicProperties(headers=headers))
        publish(broker, shop, CREATED.key, body, pika.BasicProperties(headers=headers))
        async with tapped(broker, shop, "audit") as tap:
            await tap.until(lambda: len(tap.of(Delivery)) == len(taken) + 2)
            assert [each.body.decode() for each in tap.of(Delivery)[:-2]] == taken
            for each in tap.of(Delivery)[:-2]:
                with pytest.raises(Refused):
                    decode(CONTRACT, each.headers, each.body)
            assert tap.of(Delivery)[-2].key == r"order.\xff"
            assert decode(CONTRACT, tap.of(Delivery)[-1].headers, body)[1] == CREATED
            assert not tap.of(PublisherDown)

    asyncio.run(scene())
