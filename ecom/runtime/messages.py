"""What goes into the runtime and what comes out: plain data, made and read by its driver."""

from typing import Any

from msgspec import Struct

from ecom.runtime.tables import Effect, Outbox
from ecom.stores.base import Transaction


# ── Inputs ────────────────────────────────────────────────────────────────────────────────────
class Delivery(Struct, frozen=True):
    """A message from the service's queue. `channel` tells the channels of reconnects apart; `user`
    is who published it, as checked by the broker: None if the message has no `user_id`."""

    channel: int
    tag: int
    exchange: str
    key: str
    headers: dict[str, Any] | None
    body: bytes
    user: str | None = ""
    redelivered: bool = False


class Command(Struct, frozen=True):
    """A request from our own HTTP API; `token` comes back in its `Reply`."""

    id: str
    message: Struct
    token: Any = None
    traceparent: str = ""  # of the caller, if there is one to go on with


class Confirmed(Struct, frozen=True):
    """The broker has confirmed these outbox rows."""

    seqs: list[int]


class Rejected(Struct, frozen=True):
    """The broker returned (no queue is bound) or refused these outbox rows. `error`, if sending one
    ended our connection or could not even be tried, says why."""

    seqs: list[int]
    error: str = ""


class Performed(Struct, frozen=True):
    """An effect was carried out; `result` is a message to its service."""

    seq: int
    result: Struct


class Failed(Struct, frozen=True):
    """An effect failed; `final` when no retry can help; `unknown` when it may have happened all the
    same: it is repeated until that is known, as giving up might keep a customer's money."""

    seq: int
    error: str
    final: bool = False
    unknown: bool = False


class PublisherUp(Struct, frozen=True):
    """The broker accepts messages, from now until `PublisherDown`."""


class PublisherDown(Struct, frozen=True):
    """The connection is gone, and with it every confirm not yet seen."""


class Tick(Struct, frozen=True):
    """Time has passed: handle what is due."""


class TallyDue(Struct, frozen=True):
    """It is time to publish a tally (see `ecom.runtime.gap_detection`)."""


# ── Outputs ───────────────────────────────────────────────────────────────────────────────────
class Commit(Struct, frozen=True):
    """Commit the transaction; if that fails, give the same inputs to a new step."""

    transaction: Transaction


class Ack(Struct, frozen=True):
    """Acknowledge every delivery of the channel up to this tag."""

    channel: int
    tag: int


class Reply(Struct, frozen=True):
    """A command's outcome: what its handler returned, or the exception it raised."""

    token: Any
    value: Any


class Publish(Struct, frozen=True):
    """Publish this row: persistent, mandatory, to be confirmed."""

    row: Outbox


class Perform(Struct, frozen=True):
    """Carry out this effect, concurrently with others, under its idempotency key."""

    row: Effect
    effect: Struct


class Announce(Struct, frozen=True):
    """Publish this once, under this key: neither stored nor confirmed."""

    key: str
    body: bytes


Link = PublisherUp | PublisherDown
Input = Delivery | Confirmed | Rejected | Link | Performed | Failed | Command | Tick | TallyDue
Output = Commit | Ack | Reply | Publish | Perform | Announce
