"""Schemas of the HTTP API: an order as it is placed, and as it is shown.

Whatever is valid here is valid as an event, too: listeners must not refuse an accepted order.
"""

from typing import Annotated, Literal

import msgspec
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
)

from ecom.contract.envelope import MAX_BODY, rfc3339
from ecom.events import MAILABLE, MAX_LINES, MAX_PENCE, is_mailable

MAX_ORDERS = 1_000  # in one request
LINE_BYTES = 60  # of a line in an event, besides its name, at most
HEAD_BYTES = 4_096  # of an event besides its lines, at most
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"


class LineIn(BaseModel):
    """One line of an order."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sku: str = Field(min_length=1, max_length=64, pattern=PRINTABLE)
    quantity: int = Field(ge=1, le=1_000_000)
    unit_price: int = Field(default=0, ge=0, le=100_000_000, description="pence")


class OrderIn(BaseModel):
    """An order to place."""

    model_config = ConfigDict(extra="forbid", strict=True)

    customer: str = Field(max_length=254, pattern=MAILABLE)
    card: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    lines: list[LineIn] = Field(min_length=1, max_length=MAX_LINES)

    @field_validator("customer")
    @classmethod
    def _can_be_mailed(cls, customer: str) -> str:
        if not is_mailable(customer):
            raise ValueError("too long for an address: 254 bytes, and 64 before the @, at most")
        return customer

    @field_validator("lines")
    @classmethod
    def _fit_one_event(cls, lines: list[LineIn]) -> list[LineIn]:
        """An event that its listeners refuse would leave the order PENDING for ever."""
        if sum(line.quantity * line.unit_price for line in lines) > MAX_PENCE:
            raise ValueError(f"together they cost more than {MAX_PENCE} pence")
        names = msgspec.json.encode([line.sku for line in lines])
        if len(names) + LINE_BYTES * len(lines) > MAX_BODY - HEAD_BYTES:
            raise ValueError("together their names are too long for one order: make it two")
        return lines


# Both are made of the service's own row, by its attributes; neither has the card.
class OrderSummary(BaseModel):
    """An order in a list, without its lines; `total` in pence."""

    order_id: str
    state: Literal["PENDING", "CONFIRMED", "CANCELLED"]
    reason: str | None
    customer: str
    total: int
    placed_at: Annotated[str, BeforeValidator(rfc3339)]


class OrderOut(OrderSummary):
    """An order as it stands, with its lines."""

    lines: list[LineIn]


class HistoryEntry(BaseModel):
    """An event that the order service published or consumed."""

    at: str
    what: Literal["published", "consumed"]
    type: str
    id: str


class TokenOut(BaseModel):
    """A customer's token, and until when it is good."""

    customer: str
    token: str
    expires_at: str


class Health(BaseModel):
    """That orders are accepted, as the database can be written, and whether the broker is there."""

    status: Literal["ok"]
    broker: bool


# The first that is wrong is named, and no further ones are looked at.
Orders = Annotated[list[OrderIn], Field(min_length=1, max_length=MAX_ORDERS, fail_fast=True)]
# Told apart by shape, so that a mistake is reported once and where it is.
OneOrMany = Annotated[
    Annotated[OrderIn, Tag("order")] | Annotated[Orders, Tag("orders")],
    Discriminator(lambda value: "orders" if isinstance(value, list) else "order"),
]
