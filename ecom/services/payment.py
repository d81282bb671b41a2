"""Payment: captures money once stock is held, and gives it back when the order is cancelled.

A payment that is CANCELLED is a tombstone: the cancellation came first. If it came while a capture
was under way, the money is refunded once it is captured.
"""

from ecom import events
from ecom.runtime.retry import Retry
from ecom.runtime.service import NOTHING, Lifecycle, Service, Work, key_for
from ecom.stores.base import Row

PENDING, CAPTURED, DECLINED = "PENDING", "CAPTURED", "DECLINED"
REFUNDING, REFUNDED, CANCELLED = "REFUNDING", "REFUNDED", "CANCELLED"


class Payment(Row, frozen=True):
    """One order's payment; `amount` in pence."""

    table = "payments"

    order_id: str
    state: str
    customer: str
    amount: int
    at: float
    saga: str = ""


# ── Effects, performed by the payment provider, and its answers ───────────────────────────────
class Capture(events.AboutOrder, frozen=True):
    """Take `amount` pence from the card."""

    amount: int
    card: str


class Captured(events.AboutOrder, frozen=True):
    """The money was captured."""


class Declined(events.AboutOrder, frozen=True):
    """The card was declined: no money moved, and never will under this key."""

    reason: str


class Refund(events.AboutOrder, frozen=True):
    """Give `amount` pence back, of what was captured under the key `capture`."""

    amount: int
    capture: str = ""


class Refunded(events.AboutOrder, frozen=True):
    """The money was refunded."""


def capture_money(held: events.InventoryProcessed, work: Work) -> None:
    """Stock is held: request the capture."""
    if work[Payment].get(held.order_id) is None:
        about = held.order_id, PENDING, held.customer, held.total, work.now, work.saga
        work[Payment].put(payment := Payment(*about))
        capture = Capture(held.order_id, held.total, held.card)
        work.request(capture, key=key_for("capture", payment))


def money_captured(captured: Captured, work: Work) -> None:
    """Report it to inventory; or, if the order was cancelled meanwhile, refund the money."""
    payment = work[Payment][captured.order_id]
    if payment.state == PENDING:
        work[Payment].change(payment, state=CAPTURED)
        work.emit(events.PaymentProcessed(payment.order_id, payment.customer, payment.amount))
    elif payment.state == CANCELLED:
        _refund(payment, work)


def card_declined(declined: Declined, work: Work) -> None:
    """No money moved: the payment failed, unless the order was cancelled meanwhile."""
    payment = work[Payment][declined.order_id]
    if payment.state == PENDING:
        work[Payment].change(payment, state=DECLINED)
        work.emit(events.PaymentFailed(payment.order_id, payment.customer, declined.reason))


def undo_payment(cancelled: events.OrderCancelled, work: Work) -> None:
    """Compensate: refund what was captured or still will be; request no capture afterwards."""
    payment = work[Payment].get(cancelled.order_id)
    if payment is None:
        tombstone = cancelled.order_id, CANCELLED, cancelled.customer, 0, work.now, work.saga
        work[Payment].put(Payment(*tombstone))
    elif payment.state == PENDING:
        work[Payment].change(payment, state=CANCELLED)
    elif payment.state == CAPTURED:
        _refund(payment, work)


def money_refunded(refunded: Refunded, work: Work) -> None:
    """The compensation is complete."""
    payment = work[Payment][refunded.order_id]
    if payment.state == REFUNDING:
        work[Payment].change(payment, state=REFUNDED)
        work.emit(events.PaymentRefunded(payment.order_id, payment.customer, payment.amount))


def _refund(payment: Payment, work: Work) -> None:
    work[Payment].change(payment, state=REFUNDING)
    refund = Refund(payment.order_id, payment.amount, key_for("capture", payment))
    work.request(refund, key=key_for("refund", payment))


TRANSITIONS = (
    (NOTHING, events.InventoryProcessed, PENDING),
    (PENDING, Captured, CAPTURED),
    (PENDING, Declined, DECLINED),
    (PENDING, events.OrderCancelled, CANCELLED),
    (NOTHING, events.OrderCancelled, CANCELLED),
    (CAPTURED, events.OrderCancelled, REFUNDING),
    (CANCELLED, Captured, REFUNDING),
    (REFUNDING, Refunded, REFUNDED),
)


def service() -> Service:
    """The payment service, which handles the provider's answers."""
    return Service(
        name="payment",
        rows=(Payment,),
        transitions={Payment: Lifecycle(CAPTURED, TRANSITIONS)},
        handlers={Captured: money_captured, Declined: card_declined, Refunded: money_refunded},
        effects=(Capture, Refund),
        # How often the provider may answer that no money moved. While the outcome is unknown, the
        # effect is repeated for ever. A capture may fail for good (the hold expires); a refund not.
        retries={Capture: Retry(cap=10.0, attempts=12), Refund: Retry(cap=60.0, attempts=1_000)},
    )
