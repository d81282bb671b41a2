"""Malformed and hostile messages among the orders: set aside, each of them, and nobody falls."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pika

from ecom.contract import topology
from ecom.contract.envelope import MAX_BODY
from ecom_lab.chaos.testbed import Testbed, wait_for
from ecom_lab.shop import EVENTS

GROWTH = 50 * 2**20  # bytes a service may grow by
SALVO = 100  # messages a round
WARM_UP = 5  # rounds after which a service has grown to its usual size

Message = tuple[dict[str, Any] | None, bytes]  # headers, body


def bombard(bed: Testbed) -> Iterator[str]:
    """A salvo of garbage a round, under the keys of real events, amid the orders."""
    with bed.channel() as channel:
        expected, most = 0, dict[str, int]()
        for number in range(bed.rounds):
            bed.burst()
            if number == min(WARM_UP, bed.rounds - 1):
                before = {service: bed.memory(service) for service in bed.services}
            expected += sum(_throw(bed, channel) for _ in range(SALVO))
            yield f"salvos of {SALVO} malformed or hostile messages"
        wait_for(
            lambda: _set_aside(bed, channel, most) >= expected, 120 + expected / 500, "burials"
        )
        bed.runner.settle(60)
        if (found := _set_aside(bed, channel, most)) != expected:
            bed.problems.append(f"{expected} had to be set aside, {found} were")
    for service, least in before.items():
        if (growth := bed.memory(service) - least) > GROWTH:
            bed.problems.append(f"{service} grew by {growth / 2**20:.0f} MiB")


def _throw(bed: Testbed, channel: pika.channel.Channel) -> int:
    """One piece of garbage; how many services it goes to."""
    key = bed.random.choice(list(EVENTS))
    kinds = (_bad_body, _bad_headers, _noise, _strange_table, _huge_body)
    headers, body = bed.random.choices(kinds, (400, 400, 150, 49, 1))[0](key, bed.random)
    properties = pika.BasicProperties(headers=headers, delivery_mode=2)
    channel.basic_publish(topology.exchange(bed.runner.name), key, body, properties)
    return len(bed.contract.listeners(key)) + 1  # and audit


def _set_aside(bed: Testbed, channel: pika.channel.Channel, most: dict[str, int]) -> int:
    """How many dead letters there are: of each queue the most that it was ever said to have, as one
    that is slow to answer is said to have none."""
    for name in (topology.dead_queue(bed.runner.name, service) for service in bed.services):
        count = channel.queue_declare(name, passive=True).method.message_count
        most[name] = max(count, most.get(name, 0))
    return sum(most.values())


def _headers(key: str, random: Random) -> dict[str, Any]:
    """Headers with nothing wrong."""
    number = str(random.randrange(10**9))
    about = {"specversion": "1.0", "schemaversion": "1", "time": "2026-11-05T12:00:00.000Z"}
    who = {"type": key, "source": f"/ecom/{EVENTS[key].producer}", "subject": number}
    ids = {"id": f"garbage-{number}", "correlationid": "c", "causationid": "c"}
    return {f"ce-{name}": value for name, value in {**about, **who, **ids}.items()}


def _bad_body(key: str, random: Random) -> Message:
    headers = _headers(key, random)
    return headers, random.choice(_BODIES).replace(b"%", headers["ce-subject"].encode())


def _bad_headers(key: str, random: Random) -> Message:
    headers = _headers(key, random)
    name = random.choice(list(headers))
    if random.random() < 0.2:
        del headers[name]
    else:
        headers[name] = random.choice(_VALUES)
    subject = str(headers.get("ce-subject", "1")).encode()[:100]
    return headers, b'{"order_id":"%s","customer":"a@example.com"}' % subject


def _huge_body(key: str, random: Random) -> Message:
    return _headers(key, random), random.choice((b"[" * 100_000, b" " * (MAX_BODY + 1)))


def _noise(_: str, random: Random) -> Message:
    return None, random.randbytes(random.randrange(2_000))


def _strange_table(_: str, random: Random) -> Message:
    deep: Any = random.choice(_VALUES)
    for _ in range(random.randrange(1, 60)):
        deep = {"a": deep} if random.random() < 0.5 else [deep]
    if random.random() < 0.1:
        return {"ce-time": Doomsday(2026, 1, 1)}, b"{}"
    crowd = {f"h{n}": "x" for n in range(random.randrange(200))}
    return crowd | {"deep": deep, "x-death": [{"count": 9}], "dead-reason": "forged"}, b"{}"


class Doomsday(datetime):
    """A time so late that AMQP can say it and Python cannot: client libraries choke on it."""

    def utctimetuple(self) -> Any:
        return (2000, 1, 10**12, 0, 0, 0)


_TEXTS = ("", "\x00", "x" * 10_000, "../../etc/passwd\x00", "a\r\nBcc: b@example.com")
_SCALARS = (2**62, -1, True, None, Decimal("1.5"), datetime(9999, 1, 1, tzinfo=UTC), b"\xff\xfe")
_VALUES = (*_TEXTS, "'; DROP TABLE inbox; --", *_SCALARS, {"a": {"b": []}}, ["a", 1, None])
_BODIES = (
    b"", b"{}", b"[]", b"null", b"NaN", b"\xff\xfe", "{}".encode("utf-16"), b"\xef\xbb\xbf{}",
    b"[" * 3_000, b'{"a":' * 2_000, b'{"order_id": 1e999}', b'{"order_id":"%"}',
    b'{"order_id":"%","customer":"\\ud800@example.com"}',
    b'{"order_id":"%","order_id":"%","customer":"a@example.com"}',
    b'{"order_id":"someone-elses","customer":"a@example.com"}',
    b'{"order_id":"%","customer":true}', b'{"order_id":"%","customer":"a@example.com"} {}',
)  # fmt: skip
