"""Dead letters: messages that cannot be handled, or failed too often, set aside.

They are published through the outbox to the quorum queue `<service>.dead`, so a message is
forgotten only after the broker has confirmed its dead letter. How it came and how it failed is in
headers (`dead-user`, `dead-reason`, …), never in `x-death`, which brokers count differently. Of the
message's own headers a letter keeps the attributes of its event and no others: some mean something
to the broker, which publishes under every key in `CC`, whatever our rights.
"""

import logging
import re
from typing import Any

from msgspec.structs import replace

from ecom.contract.envelope import ATTRIBUTES, Headers, Refused, derived_id, is_id, rfc3339, to_int
from ecom.runtime.messages import Delivery
from ecom.runtime.service import Service, Work
from ecom.runtime.tables import Effect, Inbox, Letter
from ecom.stores.base import Transaction

log = logging.getLogger("ecom")

EFFECT_HEADER = "ecom-effect"  # of a dead letter: the number of the effect it was
LETTER_HEADER = "dead-letter"  # the number of a dead letter; in a queue: which one is replayed …
DROPPED_HEADER = "dead-dropped"  # … or dropped, and why
EXCHANGE, KEY, USER = "dead-exchange", "dead-key", "dead-user"  # how the message came
# Of a replay: that an operator has edited an effect; why they vouch for a stranger's event.
EDITED, OVERRIDE = "dead-edited", "dead-override"
# All headers fit the smallest frame that a broker may ask for, of 4,096 bytes.
MAX_ATTRIBUTE, MAX_TEXT, ROOM = 128, 500, 1_600  # bytes: of one value; of all attributes
_EXTENSION = re.compile(r"ce-[a-z0-9]{1,20}\Z")


def set_aside(
    work: Work, headers: Headers, body: bytes, reason: str, why: str, attempts: int, at: float
) -> None:
    """Put a dead letter into the outbox, with the headers that are `kept`: for this reason
    (malformed, failed), after so many attempts; it first arrived `at`, epoch seconds."""
    id_, subject = (_id(headers.get(name)) for name in ("ce-id", "ce-subject"))
    number, error = work.number(Letter), _text(why, MAX_TEXT)
    told = {
        LETTER_HEADER: str(number),
        "dead-reason": reason,
        "dead-exception": error,
        "dead-attempts": str(attempts),
        "dead-first": rfc3339(at),
        "dead-last": rfc3339(work.now),
    }
    work.send("dead", id_, "dead", subject, (headers | told, body))
    what = reason, id_, _id(headers.get("ce-type")), subject, error
    work[Letter].put(Letter(number, *what, attempts, work.now))
    about = {"subject": subject, "event": id_, "attempt": attempts}
    log.error("Dead letter (%s): %s", reason, why, extra=about)


def set_effect_aside(work: Work, row: Effect, error: str, attempts: int) -> None:
    """Put an effect that failed for good into the outbox, as a dead letter."""
    headers = {"ce-id": row.id, "ce-type": row.type, "ce-subject": row.subject}
    headers |= {EFFECT_HEADER: str(row.seq), EXCHANGE: "effects", KEY: row.type}
    set_aside(work, headers, row.body, "effect failed", error, attempts, row.created_at)


def refuse(work: Work, delivery: Delivery, error: str) -> None:
    """Set aside what cannot be handled; of an event that is sent again, there is one letter."""
    headers = kept(delivery)
    if delivery.exchange and is_id(headers.get("ce-id")):
        id_ = derived_id(repr((headers, delivery.body)), "refused")
        if work[Inbox].get(id_) is not None:
            work.count("duplicates")
            return
        work[Inbox].put(Inbox(id_, "refused", "", "done", work.now))
    set_aside(work, headers, delivery.body, "malformed", error, 1, work.now)


def taken_back(headers: Headers, tx: Transaction, now: float) -> bool:
    """An operator has put this into our queue: the dead letter that it was, if it was one, lies
    there no more. Whether it was dropped, so that there is nothing to handle. Another letter may
    have its number, too, if the database was restored."""
    why = headers.get(DROPPED_HEADER)
    state = "replayed" if why is None else "dropped"
    tx.count(state)
    row = tx[Letter].get(to_int(headers.get(LETTER_HEADER)))
    id_ = _id(headers.get("ce-id"))
    if row is not None and row.ended_at is None and (id_ == row.id or "" in (id_, row.id)):
        text = None if why is None else str(why)[:MAX_TEXT]
        tx[Letter].put(replace(row, state=state, ended_at=now, why=text))
    return why is not None


def came(delivery: Delivery) -> tuple[str, str, str | None]:
    """The exchange, key and publisher of a message; of a replay, those of its original."""
    if delivery.exchange:
        return delivery.exchange, delivery.key, delivery.user
    said = delivery.headers or {}
    key = said.get(KEY, said.get("ce-type", ""))
    return said.get(EXCHANGE, ""), key, said.get(USER, delivery.user)


def kept(delivery: Delivery) -> Headers:
    """The headers of a message to keep: its event's attributes, how it came, what effect it was."""
    said = delivery.headers or {}
    story = zip((EXCHANGE, KEY, USER), came(delivery), strict=True)
    found = plain(said) | {name: _text(it or "", 255) for name, it in story}
    if (effect := said.get(EFFECT_HEADER)) is not None and not delivery.exchange:
        found[EFFECT_HEADER] = _text(effect, MAX_ATTRIBUTE)
    return found


def check(delivery: Delivery, type_: str, publisher: str) -> None:
    """Raises `Refused` for an event that another than `publisher` has published, or under another
    key: brokers grant rights by routing key, and a type must not evade them. So is a replay's
    original, unless an operator says why it is to be handled all the same."""
    exchange, key, user = came(delivery)
    if not delivery.exchange and (why := (delivery.headers or {}).get(OVERRIDE)):
        log.warning("Handling %s that %r published to %r: %s", type_, user, exchange, why)
    elif key != type_:
        raise Refused(f"{type_} came under the routing key {key[:100]!r}")
    elif user != publisher:
        raise Refused(f"{type_} is for {publisher!r} to publish, and {user!r} did")


def replay_effect(delivery: Delivery, service: Service, tx: Transaction, now: float) -> None:
    """An operator replays an effect that was given up: it is tried anew, as it is stored. Only an
    edit, which no letter can say of itself, replaces its body. Raises `Refused`."""
    said = delivery.headers or {}
    row = tx[Effect].get(to_int(said[EFFECT_HEADER]))
    if row is None or said.get("ce-id") != row.id:
        raise Refused("no such effect")
    again = replace(row, body=delivery.body) if EDITED in said else row
    service.message_of(again)
    if row.state == "dead":
        anew = replace(again, state="pending", done_at=None, due=now, attempts=0, created_at=now)
        tx[Effect].put(anew)


def _id(value: Any) -> str:
    """The id; "" if it is too long for a message's properties, or could forge a log line."""
    return value if is_id(value) else ""


def plain(headers: Headers) -> Headers:
    """The attributes among these headers, as text fit to store and to publish again: those of ours
    first, then others that fit. Whatever is no text is described."""
    others = [name for name in headers if isinstance(name, str) and _EXTENSION.match(name)]
    room, found = ROOM, {}
    for name in dict.fromkeys((*ATTRIBUTES, *others)):
        if name in headers:
            value = _text(headers[name], MAX_ATTRIBUTE)
            room -= len(name) + len(value.encode()) + 6
            if room >= 0:
                found[name] = value
    return found


def _text(value: Any, size: int) -> str:
    """Text of so many bytes at most, in UTF-8."""
    said = value if isinstance(value, str) else f"({value!r:.{size}})"
    return said.encode(errors="backslashreplace")[:size].decode(errors="ignore")


def describe(error: Exception) -> str:
    """An exception in one line, for columns, headers and logs."""
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:MAX_TEXT]
