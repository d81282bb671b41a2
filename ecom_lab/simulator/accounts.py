"""A simulated shop's accounts, for the same books that judge a real one."""

from collections import Counter as Tally

from ecom.runtime.tables import Counter
from ecom.services.audit import Entry
from ecom.services.inventory import Reservation as ReservationRow
from ecom.services.payment import Payment as PaymentRow
from ecom.shop.balance import Accounts, Booking, Order, Payment, Reservation, Stock
from ecom_lab.simulator.view import View


def accounts(view: View) -> Accounts:
    """What all parts of the shop say, in a state in which everything is quiet."""
    log = [(row.order_id, row.type) for row in view.audit.tables.get(Entry, {}).values()]
    reservations = view.inventory.tables.get(ReservationRow, {}).values()
    payments = view.payment.tables.get(PaymentRow, {}).values()
    return Accounts(
        orders=[Order(it.order_id, it.state, it.total, it.reason) for it in view.orders().values()],
        stock=[
            Stock(it.sku, it.initial, it.available, it.held, it.committed)
            for it in view.stock().values()
        ],
        reservations=[Reservation(it.order_id, it.state, it.units) for it in reservations],
        payments=[Payment(it.order_id, it.state, it.amount) for it in payments],
        ledger=[Booking(it.order_id, it.kind, it.outcome, it.amount) for it in view.payment.ledger],
        told=[(id_, outcome) for id_ in view.orders() for outcome in view.mails(id_)],
        said=_said(view),
        logged=Tally(type_ for _, type_ in log),
        twice=[each for each, times in Tally(log).items() if times > 1],
    )


def _said(view: View) -> Tally:
    """Event type → how many the services have emitted, by their own counters."""
    said: Tally[str] = Tally()
    for member in (view.order, view.inventory, view.payment, view.notification):
        for name, row in member.tables.get(Counter, {}).items():
            if name.startswith("emitted:"):
                said[name.removeprefix("emitted:")] += row.value
    return said
