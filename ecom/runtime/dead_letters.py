"""Dead letters: messages that cannot be handled, or failed too often, set aside.

They are published through the outbox to the quorum queue `<service>.dead`, so a message is
forgotten only after the broker has confirmed its dead letter. How it failed is in headers
(`dead-reason`, `dead-exception`, …), never in `x-death`, which brokers count differently.
"""

import logging
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ecom.contract.envelope import ATTRIBUTES, Headers, Refused, Wire, is_id, rfc3339
from ecom.runtime.service import Service, Work
from ecom.runtime.tables import Effect, Letter
from ecom.stores.base import Transaction

log = logging.getLogger("ecom")

EFFECT_HEADER = "ecom-effect"  # of a dead letter: the number of the effect it was
LETTER_HEADER = "dead-letter"  # the number of a dead letter; in a queue: which one is replayed …
DROPPED_HEADER = "dead-dropped"  # … or dropped, and why
MAX_HEADERS = 40
MAX_TEXT = 500  # characters of a header: with MAX_HEADERS, all fit one AMQP frame


class Failure(Struct, frozen=True):
    """Why a message is dead."""

    reason: str  # malformed, failed, effect failed
    error: str
    attempts: int = 1
    first: float = 0.0  # when it first arrived, epoch seconds


def set_aside(work: Work, exchange: str, key: str, wire: Wire, failure: Failure) -> None:
    """Put a dead letter into the outbox."""
    kept, body = plain(wire[0]), wire[1]
    id_, subject = _id(kept.get("ce-id")), _id(kept.get("ce-subject"))
    number = work.count("dead")
    told = {
        LETTER_HEADER: str(number),
        "dead-reason": failure.reason,
        "dead-exception": failure.error[:MAX_TEXT],
        "dead-attempts": str(failure.attempts),
        "dead-first": rfc3339(failure.first or work.now),
        "dead-last": rfc3339(work.now),
        "dead-exchange": exchange[:255],
        "dead-key": key[:255],
    }
    work.send("dead", id_, "dead", subject, kept | told, body)
    what = failure.reason, id_, _id(kept.get("ce-type")), subject, failure.error[:MAX_TEXT]
    work[Letter].put(Letter(number, *what, failure.attempts, work.now))
    about = {"subject": subject, "event": id_, "attempt": failure.attempts}
    log.error("Dead letter (%s): %s", failure.reason, failure.error, extra=about)


def set_effect_aside(work: Work, row: Effect, error: str, attempts: int) -> None:
    """Put an effect that failed for good into the outbox, as a dead letter."""
    headers = {"ce-id": row.id, "ce-type": row.type, "ce-subject": row.subject}
    headers[EFFECT_HEADER] = str(row.seq)
    failure = Failure("effect failed", error, attempts, row.created_at)
    set_aside(work, "effects", row.type, (headers, row.body), failure)


def taken_back(headers: Headers, tx: Transaction, now: float) -> bool:
    """An operator has put this into our queue: the dead letter that it was, if it was one, lies
    there no more. Whether it was dropped, so that there is nothing to handle."""
    why, number = headers.get(DROPPED_HEADER), str(headers.get(LETTER_HEADER))
    state = "replayed" if why is None else "dropped"
    tx.count(state)
    known = number.isascii() and number.isdecimal() and len(number) < 16  # a database's integer
    row = tx[Letter].get(int(number)) if known else None
    if row is not None and row.ended_at is None:
        text = None if why is None else str(why)[:MAX_TEXT]
        tx[Letter].put(replace(row, state=state, ended_at=now, why=text))
    return why is not None


def replay_effect(seq: Any, body: bytes, service: Service, tx: Transaction, now: float) -> None:
    """An operator replays an effect that was given up: it is tried anew, as it is sent."""
    try:
        row = tx[Effect][int(seq)]
        again = replace(row, body=body)
        service.message_of(again)
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise Refused(f"no such effect: {error}") from None
    if row.state == "dead":
        tx[Effect].put(replace(again, state="pending", done_at=None, due=now, attempts=0))


def _id(value: Any) -> str:
    """The id; "" if it is too long for a message's properties, or could forge a log line."""
    return value if is_id(value) else ""


def plain(headers: Headers) -> Headers:
    """Headers fit to store and to publish again: text, numbers, truth values; others described.

    The broker's own `x-…` headers and those of an earlier death are left out; of too many, ours
    stay, so that the message can be read again.
    """
    ours = {name: headers[name] for name in ATTRIBUTES if name in headers}
    kept = [
        (name, _plain(value))
        for name, value in (ours | headers).items()
        if isinstance(name, str) and not name.startswith(("x-", "dead-"))
    ]
    return dict(kept[:MAX_HEADERS])


def _plain(value: Any) -> str | int | bool:
    if isinstance(value, int):
        return value if isinstance(value, bool) else int(value)
    return (value if isinstance(value, str) else repr(value))[:MAX_TEXT]


def describe(error: Exception) -> str:
    """An exception in one line, for columns, headers and logs."""
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:MAX_TEXT]
