"""Notification: tells each customer the outcome, once, and never two that contradict.

Several events may report one cancellation (stock ran out, so the order was cancelled); the
customer is told at the first. A confirmation that arrives after the cancellation is ignored. The
mails of one order are sent one after another: a mail that is retried must not arrive after one that
says the opposite. One that is given up is a dead letter, and the next is sent.
"""

import logging

from msgspec.structs import replace

from ecom import events
from ecom.runtime.retry import Retry
from ecom.runtime.service import Service, Work, key_for
from ecom.stores.base import Row

log = logging.getLogger("ecom.notification")


class SendMail(events.AboutOrder, frozen=True):
    """Effect: send one e-mail. Its key makes its Message-ID, the same however often it is sent."""

    to: str
    subject: str
    body: str


class MailSent(events.AboutOrder, frozen=True):
    """The mail server has accepted the mail with this key; "" is the first of the order's mails."""

    key: str = ""


class MailGivenUp(events.AboutOrder, frozen=True):
    """The mail with this key was refused for good, or tried for hours in vain."""

    key: str


class Told(Row, frozen=True):
    """What the customer of one order has been told."""

    table = "told"

    order_id: str
    customer: str
    confirmed: bool = False
    cancelled: str | None = None  # the reason given
    refunded: bool = False
    mails: tuple[tuple[str, SendMail], ...] = ()  # (key, mail): the first under way, then the rest
    saga: str = ""


def tell_confirmed(event: events.OrderConfirmed, work: Work) -> None:
    told = _told(event, work)
    if not told.confirmed and told.cancelled is None:
        subject = f"Order #{event.order_id} Confirmed"
        body = f"Good news: your order is confirmed. We have taken £{event.total / 100:.2f}."
        _mail(replace(told, confirmed=True), "confirmed", subject, body, work)


def tell_cancelled(event: events.Failure | events.OrderCancelled, work: Work) -> None:
    told = _told(event, work)
    if told.cancelled is None:
        out_of_stock = event.reason == events.INSUFFICIENT_STOCK
        subject = f"Order #{event.order_id} Cancelled"
        subject = f"Out of Stock - {subject}" if out_of_stock else subject
        sorry = "Sorry, out of stock." if out_of_stock else f"Sorry: {event.reason}."
        log.info(subject)
        told = replace(told, cancelled=event.reason)
        _mail(told, "cancelled", subject, f"{sorry} You pay nothing.", work)


def tell_refunded(event: events.PaymentRefunded, work: Work) -> None:
    told = _told(event, work)
    if not told.refunded:
        subject = f"Refund for Order #{event.order_id}"
        body = f"£{event.amount / 100:.2f} is on its way back to your card."
        _mail(replace(told, refunded=True), "refunded", subject, body, work)


def send_next(ended: MailSent | MailGivenUp, work: Work) -> None:
    """The order's next mail may be sent; unless one was replayed, and others are under way."""
    told = work[Told][ended.order_id]
    if not told.mails or ended.key not in ("", told.mails[0][0]):
        return
    left = told.mails[1:]
    work[Told].change(told, mails=left)
    if left:
        work.request(left[0][1], key=left[0][0])


def _told(event: events.OrderEvent, work: Work) -> Told:
    return work[Told].get(event.order_id) or Told(event.order_id, event.customer, saga=work.saga)


def _mail(told: Told, about: str, subject: str, body: str, work: Work) -> None:
    """Record what the customer is told, and send it when no other mail of it is under way."""
    mail = SendMail(told.order_id, told.customer, subject, body)
    key = key_for(about, told)
    work[Told].put(replace(told, mails=(*told.mails, (key, mail))))
    if not told.mails:
        work.request(mail, key=key)


def service() -> Service:
    """The notification service, which handles the mail server's answers."""
    return Service(
        name="notification",
        rows=(Told,),
        handlers={MailSent: send_next, MailGivenUp: send_next},
        effects=(SendMail,),
        retries={SendMail: Retry(cap=60.0, attempts=720)},  # about six hours
        given_up={SendMail: MailGivenUp},
    )
