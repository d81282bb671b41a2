"""The outside world: a payment provider and a mail server, each with its own ledger.

A ledger is a tuple of bookings and is never changed in place: a call returns the new one.
"""

from typing import NamedTuple

from msgspec import Struct

from ecom.events import CARD_DECLINED
from ecom.runtime.messages import Failed, Performed
from ecom.sandbox.cards import DECLINED_CARD, ERROR_CARD
from ecom.services.notification import MailSent, SendMail
from ecom.services.payment import Capture, Captured, Declined, Refund, Refunded
from ecom_lab.simulator.scenario import Ledger, Performing


class Booking(NamedTuple):
    """One line of a ledger: of the provider, or of the mail server."""

    order_id: str
    key: str  # the idempotency key; of a mail, its Message-ID
    kind: str  # capture, refund; of a mail, its subject
    outcome: str  # captured, declined, refunded; of a mail, its address
    amount: int = 0  # pence


class Provider:
    """A payment provider: what is booked under a key is booked once, and answered alike."""

    name, call, is_open = "provider", "gateway call", True

    def perform(self, ledger: Ledger, seq: int, key: str, effect: Capture | Refund) -> Performing:
        if type(effect) is Capture and effect.card == ERROR_CARD:
            return ledger, Failed(seq, "processing error")
        captured = (b.key.partition("#")[0] for b in ledger if b.outcome == "captured")
        if type(effect) is Refund and effect.capture not in captured:
            return ledger, Failed(seq, "there is no capture to refund", final=True)
        answer = _answer(effect)
        kind, outcome = (type(it).__name__.lower() for it in (effect, answer))
        booking = Booking(effect.order_id, key, kind, outcome, effect.amount)
        return _booked(ledger, booking), Performed(seq, answer)


def _answer(effect: Capture | Refund) -> Struct:
    if type(effect) is Refund:
        return Refunded(effect.order_id)
    if effect.card == DECLINED_CARD:
        return Declined(effect.order_id, CARD_DECLINED)
    return Captured(effect.order_id)


def _booked(ledger: Ledger, booking: Booking) -> Ledger:
    """The ledger with one more booking, unless its key is known."""
    is_known = any(known.key == booking.key for known in ledger)
    return ledger if is_known else (*ledger, booking)


class Mailer:
    """A mail server and the mailboxes behind it: a known Message-ID is dropped."""

    name, call, is_open = "mailbox", "mail", False

    def perform(self, ledger: Ledger, seq: int, key: str, mail: SendMail) -> Performing:
        ledger = _booked(ledger, Booking(mail.order_id, key, mail.subject, mail.to))
        return ledger, Performed(seq, MailSent(mail.order_id, key))


# ── without a safeguard ───────────────────────────────────────────────────────────────────────
class Keyless(Provider):
    """Calls of one kind carry no idempotency key: each is a new one."""

    def __init__(self, kind: type[Struct]) -> None:
        self._kind = kind

    def perform(self, ledger: Ledger, seq: int, key: str, effect: Capture | Refund) -> Performing:
        key = f"{key}#{len(ledger)}" if type(effect) is self._kind else key
        return super().perform(ledger, seq, key, effect)


class Strict(Provider):
    """A key that was used before is refused for good, whatever became of it."""

    def perform(self, ledger: Ledger, seq: int, key: str, effect: Capture | Refund) -> Performing:
        if any(known.key == key for known in ledger):
            return ledger, Failed(seq, "this key is in use", final=True)
        return super().perform(ledger, seq, key, effect)


class Unwilling(Mailer):
    """Confirmations reach the customer, though the mail server says that it has refused them."""

    def perform(self, ledger: Ledger, seq: int, key: str, mail: SendMail) -> Performing:
        ledger, answer = super().perform(ledger, seq, key, mail)
        refused = key.startswith("confirmed/")
        return ledger, Failed(seq, "550 no", final=True) if refused else answer


class NewMessageId(Mailer):
    """Each attempt at a mail has a Message-ID of its own."""

    def perform(self, ledger: Ledger, seq: int, key: str, mail: SendMail) -> Performing:
        ledger, _ = super().perform(ledger, seq, f"{key}#{len(ledger)}", mail)
        return ledger, Performed(seq, MailSent(mail.order_id, key))
