"""What must hold, each in one sentence: the promises of the design, judged on every state.

`ALWAYS` holds in every state; the others once what they speak of is quiet. (Orders, stock and
money are quiet before the mails and the audit log are; those can no longer change them.)
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ecom.events import CUSTOMER_CANCELLED
from ecom.runtime.tables import Counter, Outbox
from ecom.services.audit import Entry
from ecom.services.inventory import Reservation
from ecom.shop.balance import judge
from ecom_lab.simulator.accounts import accounts
from ecom_lab.simulator.fake_effects import Ledger
from ecom_lab.simulator.service_state import Local
from ecom_lab.simulator.view import View

ALWAYS, SETTLED, TOLD, LOGGED = range(4)


class Invariant(NamedTuple):
    """One promise. `check` yields each way in which a state breaks it."""

    name: str
    sentence: str
    when: int
    check: Callable[[View], Iterator[str]]


def _below_zero(view: View) -> Iterator[str]:
    for it in view.stock().values():
        if min(it.available, it.held, it.committed) < 0:
            yield (f"{it.sku}: {it.available} available, {it.held} held, {it.committed} committed")


def _units_lost(view: View) -> Iterator[str]:
    for it in view.stock().values():
        if (now := it.available + it.held + it.committed) != it.initial:
            yield f"of {it.initial} {it.sku} there are now {now}"


def _booked_twice(ledger: Ledger, outcome: str) -> Iterator[str]:
    times = Tally(booking.order_id for booking in ledger if booking.outcome == outcome)
    yield from (f"order {id_} was {outcome} {n} times" for id_, n in times.items() if n > 1)


def _overpaid(view: View) -> Iterator[str]:
    for id_, order in view.orders().items():
        if not 0 <= view.kept(id_) <= order.total:
            yield f"of £{order.total / 100:.2f} for order {id_} we hold £{view.kept(id_) / 100:.2f}"


def _unfinished(view: View) -> Iterator[str]:
    for id_, order in view.orders().items():
        if order.state not in ("CONFIRMED", "CANCELLED"):
            yield f"order {id_} is {order.state} and nothing is under way"


def _wishes(view: View) -> Iterator[str]:
    for i, asked in enumerate(view.asked):
        customer = f"customer-{i}@example.org"
        mine = [id_ for id_, order in view.orders().items() if order.customer == customer]
        if len(mine) != asked:
            yield f"customer {i} ordered {asked:d} times and has {len(mine)} orders"


def _confirmed_without_stock(view: View) -> Iterator[str]:
    for id_, order in view.orders().items():
        if order.state == "CONFIRMED" and view.reserved(id_) != "COMMITTED":
            yield f"order {id_} is CONFIRMED, its stock is {view.reserved(id_)}"


def _confirmed_unpaid(view: View) -> Iterator[str]:
    for id_, order in view.orders().items():
        if order.state == "CONFIRMED" and view.kept(id_) != order.total:
            yield f"order {id_} is CONFIRMED, £{view.kept(id_) / 100:.2f} of it was kept"


def _stock_stuck(view: View) -> Iterator[str]:
    for id_, order in view.orders().items():
        if order.state != "CONFIRMED" and view.reserved(id_) in ("HELD", "COMMITTED"):
            yield f"order {id_} is {order.state}, its stock is {view.reserved(id_)}"


def _money_stuck(view: View) -> Iterator[str]:
    for id_, order in view.orders().items():
        if order.state != "CONFIRMED" and view.kept(id_):
            yield f"order {id_} is {order.state}, £{view.kept(id_) / 100:.2f} of it was kept"


def _shelves_disagree(view: View) -> Iterator[str]:
    rows = view.inventory.tables.get(Reservation, {}).values()
    for it in view.stock().values():
        for state, units in (("HELD", it.held), ("COMMITTED", it.committed)):
            owed = sum(row.units.get(it.sku, 0) for row in rows if row.state == state)
            if units != owed:
                yield f"{it.sku}: {units} units are {state}, its orders have {owed}"


def _vanished(view: View) -> Iterator[str]:
    if view.scenario.stray and not view.dead:
        yield "a message that nobody could read is gone, and is no dead letter either"


def _untold(view: View) -> Iterator[str]:
    for id_, order in view.orders().items():
        times = view.mails(id_).count(order.state)
        if times != 1 and order.state in ("CONFIRMED", "CANCELLED"):
            yield f"the customer of order {id_}, {order.state}, was told so {times} times"


def _contradicted(view: View) -> Iterator[str]:
    for id_, order in view.orders().items():
        mails = view.mails(id_)
        if "CANCELLED" in mails and mails[-1] != "CANCELLED":
            yield f"order {id_} is {order.state}, its customer heard {' then '.join(mails)}"
        elif mails[:1] == ["CONFIRMED"] and mails[1:] and order.reason != CUSTOMER_CANCELLED:
            yield f"order {id_} was confirmed to its customer, and then taken back: {order.reason}"
        elif order.state == "CONFIRMED" and "CANCELLED" in mails:
            yield f"order {id_} is CONFIRMED, its customer heard CANCELLED"


def _said(view: View) -> Tally:
    members = (view.order, view.inventory, view.payment, view.notification)
    rows = [row for member in members for row in member.tables.get(Outbox, {}).values()]
    return Tally(row.id for row in rows if row.exchange == "events")


def _log_differs(view: View) -> Iterator[str]:
    said = _said(view)
    logged = view.audit.tables.get(Entry, {})
    for id_ in said.keys() | logged.keys():
        if said[id_] != (id_ in logged):
            type_ = logged[id_].type if id_ in logged else "an event"
            yield f"{type_} was said {said[id_]} times, the log has it {int(id_ in logged)} times"
    filed = view.audit.tables.get(Counter, {}).get("events")
    if filed and filed.value != len(logged):
        yield f"the log was written {filed.value} times for {len(logged)} events"


def _log_repeats(view: View) -> Iterator[str]:
    rows = view.audit.tables.get(Entry, {}).values()
    for (id_, type_), n in Tally((row.order_id, row.type) for row in rows).items():
        if n > 1:
            yield f"{type_} of order {id_} is in the log {n} times"


def _count(local: Local, name: str) -> int:
    row = local.tables.get(Counter, {}).get(name)
    return row.value if row else 0


def _miscounted(view: View) -> Iterator[str]:
    members = (view.order, view.inventory, view.payment, view.notification)
    names = {n for m in members for n in m.tables.get(Counter, {}) if n.startswith("emitted:")}
    for name in sorted(names):
        key = name.removeprefix("emitted:")
        emitted = sum(_count(member, name) for member in members)
        if (handled := _count(view.audit, f"handled:{key}")) != emitted:
            yield f"{key}: {emitted} emitted, {handled} handled by audit"


INVARIANTS = (
    Invariant("stock-above-zero", "No shelf is ever below zero.", ALWAYS, _below_zero),
    Invariant(
        "units-kept", "Available + held + committed units are what the shop began with.",
        ALWAYS, _units_lost,
    ),
    Invariant(
        "captured-once", "The provider captures the money of an order at most once.",
        ALWAYS, lambda view: _booked_twice(view.payment.ledger, "captured"),
    ),
    Invariant(
        "refunded-once", "The provider refunds an order at most once.",
        ALWAYS, lambda view: _booked_twice(view.payment.ledger, "refunded"),
    ),
    Invariant(
        "never-overpaid", "We never hold more than an order costs, nor less than nothing.",
        SETTLED, _overpaid,
    ),
    Invariant("orders-end", "Every order is CONFIRMED or CANCELLED.", SETTLED, _unfinished),
    Invariant("one-order-a-wish", "Who orders once has one order.", SETTLED, _wishes),
    Invariant(
        "confirmed-has-stock", "A CONFIRMED order has its stock committed.",
        SETTLED, _confirmed_without_stock,
    ),
    Invariant(
        "confirmed-is-paid", "A CONFIRMED order's money is captured and kept.",
        SETTLED, _confirmed_unpaid,
    ),
    Invariant(
        "cancelled-frees-stock", "An order that is not CONFIRMED has no stock.",
        SETTLED, _stock_stuck,
    ),
    Invariant(
        "cancelled-gives-back", "Of an order that is not CONFIRMED no money is kept.",
        SETTLED, _money_stuck,
    ),
    Invariant(
        "shelves-agree", "What is held and committed on the shelves is what the orders hold.",
        SETTLED, _shelves_disagree,
    ),
    Invariant("nothing-vanishes", "What cannot be read is a dead letter.", SETTLED, _vanished),
    Invariant("customers-told", "Each customer is told the outcome, once.", TOLD, _untold),
    Invariant(
        "never-contradicted", "Nobody is told two outcomes that contradict each other.",
        TOLD, _contradicted,
    ),
    Invariant("all-logged", "Every event said is in the audit log once.", LOGGED, _log_differs),
    Invariant("logged-once", "No event of an order is twice in the log.", LOGGED, _log_repeats),
    Invariant(
        "counters-agree", "What was emitted was handled: so a shop knows that it is quiet.",
        LOGGED, _miscounted,
    ),
    Invariant(
        "books-balance", "The shop's own books balance.",
        LOGGED, lambda view: iter(judge(accounts(view))),
    ),
)  # fmt: skip
QUIET_IS_REACHED = (
    "quiet-is-reached", "From every state, if nothing more goes wrong, the shop becomes quiet."
)  # fmt: skip
