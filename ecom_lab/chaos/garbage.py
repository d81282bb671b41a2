"""Messages that no service must take: each has something wrong, and nothing may fall over it."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

from ecom.contract.envelope import MAX_BODY
from ecom_lab.shop import EVENTS

Garbage = tuple[str, dict[str, Any] | None, bytes]  # routing key, headers, body


class Doomsday(datetime):
    """A time so late that AMQP can say it and Python cannot: client libraries choke on it."""

    def utctimetuple(self) -> Any:
        return (2000, 1, 10**12, 0, 0, 0)


def garbage(random: Random) -> Garbage:
    """One of them."""
    key = random.choice(list(EVENTS))
    kinds: tuple[Callable, ...] = (_bad_body, _bad_headers, _noise, _strange_table, _huge_body)
    return (key, *random.choices(kinds, (400, 400, 150, 49, 1))[0](key, random))


def _headers(key: str, random: Random) -> dict[str, Any]:
    """Headers with nothing wrong."""
    number = str(random.randrange(10**9))
    about = {"specversion": "1.0", "schemaversion": "1", "time": "2026-11-05T12:00:00.000Z"}
    who = {"type": key, "source": f"/ecom/{EVENTS[key].producer}", "subject": number}
    ids = {"id": f"garbage-{number}", "correlationid": "c", "causationid": "c"}
    return {f"ce-{name}": value for name, value in {**about, **who, **ids}.items()}


def _bad_body(key: str, random: Random) -> tuple[dict[str, Any], bytes]:
    headers = _headers(key, random)
    return headers, random.choice(_BODIES).replace(b"%", headers["ce-subject"].encode())


def _bad_headers(key: str, random: Random) -> tuple[dict[str, Any], bytes]:
    headers = _headers(key, random)
    name = random.choice(list(headers))
    if random.random() < 0.2:
        del headers[name]
    else:
        headers[name] = random.choice(_VALUES)
    return headers, b'{"order_id":"%s","customer":"a@example.com"}' % _subject(headers)


def _subject(headers: dict[str, Any]) -> bytes:
    return str(headers.get("ce-subject", "1")).encode()[:100]


def _huge_body(key: str, random: Random) -> tuple[dict[str, Any], bytes]:
    return _headers(key, random), random.choice((b"[" * 100_000, b" " * (MAX_BODY + 1)))


def _noise(_: str, random: Random) -> tuple[None, bytes]:
    return None, random.randbytes(random.randrange(2_000))


def _strange_table(_: str, random: Random) -> tuple[dict[str, Any], bytes]:
    deep: Any = random.choice(_VALUES)
    for _ in range(random.randrange(1, 60)):
        deep = {"a": deep} if random.random() < 0.5 else [deep]
    if random.random() < 0.1:
        return {"ce-time": Doomsday(2026, 1, 1)}, b"{}"
    crowd = {f"h{n}": "x" for n in range(random.randrange(200))}
    return crowd | {"deep": deep, "x-death": [{"count": 9}], "dead-reason": "forged"}, b"{}"


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
