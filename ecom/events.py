"""The shop's eleven events: who publishes them, and what they look like.

Every event is a frozen, typed struct. On the wire it is a CloudEvent in RabbitMQ's binary form:
attributes in `ce-` headers (see `ecom.contract.envelope`), the event itself as a JSON body. Money
is integer pence.
"""

import re
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from ecom.contract.contract import Event

MAX_LINES = 1_000
MAX_PENCE = 10**15

# No control characters anywhere in a name: such names end up in logs, e-mail headers and SQL.
# Python's `$` also matches before a newline at the end; the `(?!\n)` forbids that, in any dialect.
PRINTABLE = r"^[^\x00-\x1f\x7f]+$(?!\n)"
ADDRESS = r"^[^@\s\x00-\x1f\x7f<>,;]+@[^@\s\x00-\x1f\x7f<>,;]+$(?!\n)"
# Whom a mail can be sent to: the dot-atoms of RFC 5322 and 6531, in all dialects of regular
# expressions. Events may come from a release that took others, too.
_OTHER = r"\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"  # spaces and invisible ones
_WORD = rf"[^\x00-\x20\x22(),.:;<>?@\[\\\]\x7f-\xa0{_OTHER}]+"
_LABEL = rf"[^\x00-\x2c./\x3a-\x40\x5b-\x60\x7b-\xa0{_OTHER}]+"
MAILABLE = rf"^{_WORD}(\.{_WORD})*@{_LABEL}(\.{_LABEL})*$"
Text = Annotated[str, Meta(min_length=1, max_length=254, pattern=PRINTABLE)]
OrderId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}$(?!\n)")]
Sku = Annotated[str, Meta(min_length=1, max_length=64, pattern=PRINTABLE)]
Quantity = Annotated[int, Meta(ge=1, le=1_000_000)]
UnitPrice = Annotated[int, Meta(ge=0, le=100_000_000)]  # pence
Pence = Annotated[int, Meta(ge=0, le=MAX_PENCE)]
Email = Annotated[str, Meta(max_length=254, pattern=ADDRESS)]
# A payment provider's token, or the number of a test card.
Card = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$(?!\n)")]

INSUFFICIENT_STOCK = "insufficient stock"
UNKNOWN_PRODUCT = "unknown product"
CARD_DECLINED = "card declined"
HOLD_EXPIRED = "hold expired"
CUSTOMER_CANCELLED = "cancelled by customer"


def is_mailable(address: str) -> bool:
    """Whether a mail can be sent to this address; also by its length, by RFC 5321 in octets."""
    size = len(address.encode(errors="replace"))
    local = len(address.partition("@")[0].encode(errors="replace"))
    return size <= 254 and local <= 64 and bool(re.fullmatch(MAILABLE, address))


class Line(Struct, frozen=True):
    """One line of an order: `quantity` units of `sku` at `unit_price` pence each."""

    sku: Sku
    quantity: Quantity
    unit_price: UnitPrice = 0


class AboutOrder(Struct, frozen=True):
    """What is about one order, and no event: a command, a timer, an effect, an effect's result."""

    order_id: str


class OrderEvent(Event, frozen=True):
    """Something that happened to one order."""

    order_id: OrderId
    customer: Email


class OrderCreated(OrderEvent, frozen=True):
    """A customer's order was accepted; the order is PENDING."""

    key, producer = "order.created", "order"
    card: Card
    total: Pence
    lines: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=MAX_LINES)]


class InventoryProcessed(OrderEvent, frozen=True):
    """Stock is held for the whole order until `held_until`."""

    key, producer = "inventory.processed", "inventory"
    card: Card
    total: Pence
    held_until: datetime


class InventoryFailed(OrderEvent, frozen=True):
    """Stock could not be held; nothing of the order is held."""

    key, producer, failure = "inventory.failed", "inventory", True
    reason: Text
    sku: Sku


class PaymentProcessed(OrderEvent, frozen=True):
    """Money was captured."""

    key, producer = "payment.processed", "payment"
    amount: Pence


class PaymentFailed(OrderEvent, frozen=True):
    """The card was declined; no money moved."""

    key, producer, failure = "payment.failed", "payment", True
    reason: Text


class InventoryCommitted(OrderEvent, frozen=True):
    """The held stock now belongs to the order: the saga can no longer fail by itself."""

    key, producer = "inventory.committed", "inventory"


class InventoryExpired(OrderEvent, frozen=True):
    """The hold ran out before payment; the stock is back on the shelf."""

    key, producer, failure = "inventory.expired", "inventory", True
    reason: Text = HOLD_EXPIRED


class OrderConfirmed(OrderEvent, frozen=True):
    """The saga succeeded."""

    key, producer = "order.confirmed", "order"
    total: Pence


class OrderCancelled(OrderEvent, frozen=True):
    """The saga is being undone, for `reason`. May overtake any other event of the order."""

    key, producer, failure = "order.cancelled", "order", True
    reason: Text


class InventoryReleased(OrderEvent, frozen=True):
    """Compensation: what was held or committed is back on the shelf."""

    key, producer, failure = "inventory.released", "inventory", True


class PaymentRefunded(OrderEvent, frozen=True):
    """Compensation: the money is back with the customer."""

    key, producer, failure = "payment.refunded", "payment", True
    amount: Pence


Failure = InventoryFailed | InventoryExpired | PaymentFailed  # for which an order is cancelled
# In the order in which they stand here: each after all that it can follow from.
EVENTS: tuple[type[OrderEvent], ...] = tuple(OrderEvent.__subclasses__())
