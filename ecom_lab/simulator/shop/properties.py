"""What the shop promises, each in one sentence, judged on every state; and what is lost else.

`ALWAYS` holds in every state; the others once what they speak of is quiet. (Orders, stock and
money are quiet before the mails and the audit log are; those can no longer change them.)
"""

from collections import Counter as Tally
from collections.abc import Iterator, Mapping

from ecom.events import CUSTOMER_CANCELLED
from ecom.runtime.streams import came, missing
from ecom.runtime.tables import Counter, Outbox, Received
from ecom.services.audit import Entry
from ecom.services.inventory import Reservation, Stock
from ecom.services.order import CANCELLED, CONFIRMED, Order
from ecom.services.payment import Payment
from ecom.shop import balance
from ecom.stores.reading import totals
from ecom_lab.simulator.properties import ALWAYS, SETTLED, View, nothing_vanishes, promises

TOLD, LOGGED = SETTLED + 1, SETTLED + 2  # once notification, then also audit, has nothing to do


# ── what the services say ─────────────────────────────────────────────────────────────────────
def orders(view: View) -> dict[str, Order]:
    """Every order by its id."""
    return view.rows("order", Order)


def _stock(view: View) -> list[Stock]:
    return list(view.rows("inventory", Stock).values())


def _reserved(view: View, order_id: str) -> str:
    """The state of an order's reservation, or `none`."""
    row = view.rows("inventory", Reservation).get(order_id)
    return row.state if row else "none"


def _kept(view: View, order_id: str) -> int:
    """Pence of this order that the provider captured and did not refund."""
    signs = {"captured": 1, "refunded": -1}
    mine = [it for it in view.services["payment"].ledger if it.order_id == order_id]
    return sum(signs.get(booking.outcome, 0) * booking.amount for booking in mine)


def _mails(view: View, order_id: str) -> list[str]:
    """What the customer was told of the outcome, in order: CONFIRMED, CANCELLED."""
    mine = [it for it in view.services["notification"].ledger if it.order_id == order_id]
    ends = [booking.kind.rsplit(" ", 1)[-1].upper() for booking in mine]
    return [end for end in ends if end in (CONFIRMED, CANCELLED)]


def accounts(view: View) -> balance.Accounts:
    """What all parts of the shop say, for the same books that judge a real one."""
    log = [(row.order_id, row.type) for row in view.rows("audit", Entry).values()]
    return balance.Accounts(
        orders=list(orders(view).values()),
        stock=_stock(view),
        reservations=list(view.rows("inventory", Reservation).values()),
        payments=list(view.rows("payment", Payment).values()),
        ledger=view.services["payment"].ledger,
        told=[(id_, outcome) for id_ in orders(view) for outcome in _mails(view, id_)],
        emitted=totals(_emitted(view)),
        logged=Tally(type_ for _, type_ in log),
        twice=[each for each, times in Tally(log).items() if times > 1],
    )


def _emitted(view: View) -> dict[str, int]:
    """Stream → how many events were emitted."""
    rows = [row for name in view.services for row in view.rows(name, Counter).values()]
    prefix = "emitted:"
    return {it.name.removeprefix(prefix): it.value for it in rows if it.name.startswith(prefix)}


def losses(view: View, quiet: bool) -> Mapping[str, float]:
    """Pounds and units that are not where they belong."""
    pence = units = astray = 0
    for id_, order in orders(view).items():
        is_confirmed, kept = order.state == CONFIRMED, _kept(view, id_)
        if quiet or kept not in range(order.total + 1):
            pence += abs(kept - order.total * is_confirmed)
        astray += quiet and is_confirmed != (_reserved(view, id_) in ("HELD", "COMMITTED"))
    for it in _stock(view):
        units += max(0, -it.available, -it.held, -it.committed)
        units = max(units, abs(it.initial - it.available - it.held - it.committed))
    return {"pounds": pence / 100, "units": max(units, astray)}


# ── the promises ──────────────────────────────────────────────────────────────────────────────
def stock_above_zero(view: View) -> Iterator[str]:
    """No shelf is ever below zero."""
    for it in _stock(view):
        if min(it.available, it.held, it.committed) < 0:
            yield f"{it.sku}: {it.available} available, {it.held} held, {it.committed} committed"


def units_kept(view: View) -> Iterator[str]:
    """Available + held + committed units are what the shop began with."""
    for it in _stock(view):
        if (now := it.available + it.held + it.committed) != it.initial:
            yield f"of {it.initial} {it.sku} there are now {now}"


def captured_once(view: View) -> Iterator[str]:
    """The provider captures the money of an order at most once."""
    yield from _booked_twice(view, "captured")


def refunded_once(view: View) -> Iterator[str]:
    """The provider refunds an order at most once."""
    yield from _booked_twice(view, "refunded")


def _booked_twice(view: View, outcome: str) -> Iterator[str]:
    ledger = view.services["payment"].ledger
    times = Tally(booking.order_id for booking in ledger if booking.outcome == outcome)
    yield from (f"order {id_} was {outcome} {n} times" for id_, n in times.items() if n > 1)


def owners_kept(view: View) -> Iterator[str]:
    """What belongs to another order of the same number changes nothing."""
    for service, kind in (("order", Order), ("inventory", Reservation), ("payment", Payment)):
        rows = view.rows(service, kind)
        for sent in view.rows(service, Outbox).values():
            row = rows.get(sent.subject) if sent.exchange == "events" else None
            if row is not None and row.saga not in ("", sent.headers["ce-correlationid"]):
                yield f"{sent.type} was published of order {sent.subject}, for another"


def never_overpaid(view: View) -> Iterator[str]:
    """We never hold more than an order costs, nor less than nothing."""
    for id_, order in orders(view).items():
        if not 0 <= (kept := _kept(view, id_)) <= order.total:
            yield f"of £{order.total / 100:.2f} for order {id_} we hold £{kept / 100:.2f}"


def orders_end(view: View) -> Iterator[str]:
    """Every order is CONFIRMED or CANCELLED."""
    for id_, order in orders(view).items():
        if order.state not in (CONFIRMED, CANCELLED):
            yield f"order {id_} is {order.state} and nothing is under way"


def one_order_a_wish(view: View) -> Iterator[str]:
    """Who orders once has one order at most, and who was told of it has it."""
    for i, customer in enumerate(view.crowd):
        address = f"customer-{i}@example.org"
        mine = sum(order.customer == address for order in orders(view).values())
        if mine > 1 or mine < bool(customer.done):
            yield f"customer {i} has {mine} orders, and was told of {bool(customer.done):d}"


def confirmed_has_stock(view: View) -> Iterator[str]:
    """A CONFIRMED order has its stock committed."""
    for id_, order in orders(view).items():
        if order.state == CONFIRMED and _reserved(view, id_) != "COMMITTED":
            yield f"order {id_} is CONFIRMED, its stock is {_reserved(view, id_)}"


def confirmed_is_paid(view: View) -> Iterator[str]:
    """A CONFIRMED order's money is captured and kept."""
    for id_, order in orders(view).items():
        if order.state == CONFIRMED and _kept(view, id_) != order.total:
            yield f"order {id_} is CONFIRMED, £{_kept(view, id_) / 100:.2f} of it was kept"


def cancelled_frees_stock(view: View) -> Iterator[str]:
    """An order that is not CONFIRMED has no stock."""
    for id_, order in orders(view).items():
        if order.state != CONFIRMED and _reserved(view, id_) in ("HELD", "COMMITTED"):
            yield f"order {id_} is {order.state}, its stock is {_reserved(view, id_)}"


def cancelled_gives_back(view: View) -> Iterator[str]:
    """Of an order that is not CONFIRMED no money is kept."""
    for id_, order in orders(view).items():
        if order.state != CONFIRMED and _kept(view, id_):
            yield f"order {id_} is {order.state}, £{_kept(view, id_) / 100:.2f} of it was kept"


def shelves_agree(view: View) -> Iterator[str]:
    """What is held and committed on the shelves is what the orders hold."""
    rows = view.rows("inventory", Reservation).values()
    for it in _stock(view):
        for state, units in (("HELD", it.held), ("COMMITTED", it.committed)):
            owed = sum(row.units.get(it.sku, 0) for row in rows if row.state == state)
            if units != owed:
                yield f"{it.sku}: {units} units are {state}, its orders have {owed}"


def customers_told(view: View) -> Iterator[str]:
    """Each customer is told the outcome, once."""
    for id_, order in orders(view).items():
        times = _mails(view, id_).count(order.state)
        if times != 1 and order.state in (CONFIRMED, CANCELLED):
            yield f"the customer of order {id_}, {order.state}, was told so {times} times"


def never_contradicted(view: View) -> Iterator[str]:
    """Nobody is told two outcomes that contradict each other."""
    for id_, order in orders(view).items():
        mails = _mails(view, id_)
        if CANCELLED in mails and mails[-1] != CANCELLED:
            yield f"order {id_} is {order.state}, its customer heard {' then '.join(mails)}"
        elif mails[:1] == [CONFIRMED] and mails[1:] and order.reason != CUSTOMER_CANCELLED:
            yield f"order {id_} was confirmed to its customer, and then taken back: {order.reason}"
        elif order.state == CONFIRMED and CANCELLED in mails:
            yield f"order {id_} is CONFIRMED, its customer heard CANCELLED"


def all_logged(view: View) -> Iterator[str]:
    """Every event said is in the audit log once."""
    rows = [row for name in view.services for row in view.rows(name, Outbox).values()]
    said = Tally(row.id for row in rows if row.exchange == "events")
    logged = view.rows("audit", Entry)
    for id_ in said.keys() | logged.keys():
        if said[id_] != (id_ in logged):
            type_ = logged[id_].type if id_ in logged else "an event"
            yield f"{type_} was said {said[id_]} times, the log has it {int(id_ in logged)} times"
    filed = view.rows("audit", Counter).get("events")
    if filed and filed.value != len(logged):
        yield f"the log was written {filed.value} times for {len(logged)} events"


def logged_once(view: View) -> Iterator[str]:
    """No event of an order is twice in the log."""
    rows = view.rows("audit", Entry).values()
    for (id_, type_), n in Tally((row.order_id, row.type) for row in rows).items():
        if n > 1:
            yield f"{type_} of order {id_} is in the log {n} times"


def counters_agree(view: View) -> Iterator[str]:
    """What was emitted was handled: so a shop knows that it is quiet."""
    has_come = came(view.rows("audit", Received).values())
    for key, emitted in _emitted(view).items():
        if lacking := missing(has_come.get(key, ()), emitted):
            yield f"{key}: {emitted} emitted, {lacking} did not come to audit"


def books_balance(view: View) -> Iterator[str]:
    """The shop's own books balance."""
    yield from balance.judge(accounts(view))


PROPERTIES = (
    *promises(ALWAYS, stock_above_zero, units_kept, captured_once, refunded_once, owners_kept),
    *promises(SETTLED, never_overpaid, orders_end, one_order_a_wish),
    *promises(SETTLED, confirmed_has_stock, confirmed_is_paid),
    *promises(SETTLED, cancelled_frees_stock, cancelled_gives_back),
    *promises(SETTLED, shelves_agree, nothing_vanishes),
    *promises(TOLD, customers_told, never_contradicted),
    *promises(LOGGED, all_logged, logged_once, counters_agree, books_balance),
)
