"""A dead letter as an operator sees it: the message, whole, and how it failed.

Its headers tell that (see `ecom.runtime.dead_letters`), unless the broker itself set the
message aside; then the broker's `x-…` headers say so, and the message's own `dead-…` headers are
ignored.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ecom.contract.envelope import rfc3339
from ecom.contract.topology import DELIVERY_LIMIT
from ecom.errors import ShopError
from ecom.runtime.dead_letters import (
    EDITED,
    EFFECT_HEADER,
    EXCHANGE,
    KEY,
    LETTER_HEADER,
    OVERRIDE,
    USER,
    plain,
)
from ecom.telemetry.logs import one_line

_WORD = re.compile(r"[\w-]+")


class DeadLetter(Struct, frozen=True, kw_only=True):
    """One dead letter. Its `id` is short, and differs between services."""

    id: str
    service: str
    subject: str  # the saga it is of
    type: str
    reason: str  # malformed, failed, effect failed, killed the process
    exception: str
    attempts: int
    first: str = ""  # RFC 3339: when it first arrived; "" if unknown
    last: str  # RFC 3339: when it was given up
    origin: str  # the exchange it came from; "effects" for an effect
    key: str  # the routing key it came under; "" if unknown
    publisher: str  # the user who published it, as the broker knows; "" if unknown
    headers: dict[str, Any]  # the attributes of its event; of an effect, its number besides
    body: bytes
    by: str  # the user who published the letter; of the broker's own: the message
    from_broker: bool  # the broker set it aside, not the service
    forged: bool = False  # published by neither its service nor the broker
    number: str = ""  # its row among the service's own; "": the service set nothing aside

    @property
    def data(self) -> Any:
        """The body, read as JSON. Raises `ShopError` if it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ShopError(f"The body of dead letter {self.id} is not JSON: {error}.") from error

    @property
    def error(self) -> str:
        """The exception without its subject: the same for all that failed alike."""
        return _WORD.sub(lambda it: "…" if it[0] == self.subject else it[0], self.exception)

    def __repr__(self) -> str:
        times = f"{self.attempts} attempt{'s' if self.attempts != 1 else ''}"
        lines = [
            f"Dead letter {self.id} of {self.service}: {self.type or 'no type'} "
            f"of {self.subject or 'nobody knows whom'}",
            f"  {self.reason} after {times}: {self.exception}",
            f"  first {self.first or 'unknown'}, last {self.last or 'unknown'}",
            f"  published by {self.publisher or 'nobody knows whom'} under {self.key or 'no key'}",
            *(f"  {name}: {value}" for name, value in self.headers.items()),
            "  " + self.body.decode(errors="backslashreplace"),
        ]
        return "\n".join(map(one_line, lines))

    def edited(self, body: bytes | None) -> "DeadLetter":
        """The letter with another body, unless that is None; its headers stay, above all its event
        id, by which the service recognises duplicates. Raises `ShopError` for a body that is no
        JSON, which would come back at once."""
        if body is None:
            return self
        new = replace(self, body=body, headers=self.headers | {EDITED: "1"})
        if new.data is None:
            raise ShopError("An event or an effect is a JSON object, and null is none.")
        return new

    def as_forged(self) -> "DeadLetter":
        """The letter, marked as what neither its service nor the broker has set aside: nothing that
        it says of itself counts."""
        said = f"{self.by or 'nobody'} published this letter, which says: {self.reason}"
        said += f", {self.exception}"
        return replace(self, forged=True, number="", reason="forged", exception=said)

    def to_replay(self, override: str = "") -> dict[str, Any]:
        """Its headers in the service's queue: how it came goes with it, to be checked again, unless
        an operator says why it is to be handled all the same."""
        story = {EXCHANGE: self.origin, KEY: self.key, USER: self.publisher, OVERRIDE: override}
        return self.headers | {k: v for k, v in story.items() if v} | self.mark

    @property
    def mark(self) -> dict[str, str]:
        """By what the service knows which letter is meant."""
        its = {name: self.headers[name] for name in ("ce-id",) if name in self.headers}
        return {LETTER_HEADER: self.number} | its if self.number else {}


def read_letter(
    service: str, headers: dict[str, Any] | None, body: bytes, by: str | None = None
) -> DeadLetter:
    """What lies in the dead-letter queue of `service`, where the broker knows that user `by` has
    published it. Reads anything, never raises."""
    found = headers or {}
    said = {name: it for name, it in found.items() if isinstance(it, str)}
    from_broker = "x-first-death-reason" in found
    story = _story_of_broker(said, found.get("x-death")) if from_broker else _story(said)
    publisher = (by or "") if from_broker else said.get(USER, "")
    kept = plain(found)
    if story["origin"] == "effects" and (number := said.get(EFFECT_HEADER)):
        kept[EFFECT_HEADER] = number
    # Nobody else's letter has the same id, whatever it says.
    content = f"{by or ''}/{publisher}/{sorted(kept.items())}{body!r}"
    return DeadLetter(
        by=by or "",
        from_broker=from_broker,
        publisher=publisher,
        id=sha256(f"{service}/{content}".encode(errors="backslashreplace")).hexdigest()[:12],
        service=service,
        subject=kept.get("ce-subject", ""),
        type=kept.get("ce-type", ""),
        headers=kept,
        body=body,
        **story,
    )


def _story(said: dict[str, str]) -> dict[str, Any]:
    attempts = said.get("dead-attempts", "")
    return {
        "reason": said.get("dead-reason") or "unknown",
        "exception": said.get("dead-exception", ""),
        "attempts": int(attempts[:9]) if attempts.isdecimal() else 1,
        "first": said.get("dead-first", ""),
        "last": said.get("dead-last", ""),
        "origin": said.get(EXCHANGE, ""),
        "key": said.get(KEY, ""),
        "number": said.get(LETTER_HEADER, ""),
    }


def _story_of_broker(said: dict[str, str], deaths: Any) -> dict[str, Any]:
    """How it failed where the process died and could not write one. `deaths` are not counted, as
    brokers differ in it; but the delivery limit was reached."""
    times, why = DELIVERY_LIMIT + 1, said.get("x-first-death-reason", "")
    killed, time, key = why == "delivery_limit", None, ""
    with suppress(AttributeError, TypeError, LookupError):
        time = deaths[0].get("time")
        key = str(deaths[-1]["routing-keys"][0])
    last = rfc3339(time.replace(tzinfo=UTC).timestamp()) if isinstance(time, datetime) else ""
    return {
        "reason": "killed the process" if killed else "set aside by the broker",
        "exception": f"{times} times the process ended with this in hand" if killed else why,
        "attempts": times if killed else 1,
        "last": last,
        "origin": said.get("x-first-death-exchange", ""),
        "key": key,
    }
