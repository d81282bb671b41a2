"""The shop's worlds: who wants what, and what is on the shelves."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ecom.contract.contract import Event, subject_of
from ecom.contract.envelope import Envelope, encode, rfc3339, trace_after
from ecom.contract.topology import user
from ecom.events import InventoryCommitted, Line, PaymentProcessed
from ecom.sandbox.cards import DECLINED_CARD, GOOD_CARD
from ecom.services.audit import Entry
from ecom.services.inventory import COMMITTED, EXPIRED, Reservation, Stock
from ecom.services.order import CancelOrder, PlaceOrder
from ecom.services.payment import CAPTURED, Payment
from ecom_lab.shop import SAGA
from ecom_lab.simulator.broker import Message
from ecom_lab.simulator.properties import ALWAYS, View, promises
from ecom_lab.simulator.scenario import FAULTS, Client, Scenario
from ecom_lab.simulator.shop.outside import Mailer, Provider
from ecom_lab.simulator.shop.properties import PROPERTIES, losses
from ecom_lab.simulator.suites import Job

POINTS = ("commit", "ack", "reply", "publish", "confirm", "mark sent", "timer")
CALLS = (Provider.call, Mailer.call)
CRASH_POINTS = frozenset(f"{when} {it}" for it in POINTS + CALLS for when in ("before", "after"))
TEAPOT = Line("TEAPOT", 1, 1250)
STRAY = ("inventory", Message("events", "order.created", {}, b"no event"))


@dataclass(frozen=True)
class Wish:
    """One customer: what they order, with which card, and whether they may change their mind."""

    lines: tuple[Line, ...] = (TEAPOT,)
    card: str = GOOD_CARD
    may_cancel: bool = False


def shop(
    wishes: tuple[Wish, ...] = (Wish(),),
    stock: tuple[tuple[str, int], ...] = (("TEAPOT", 1),),
    **more: Any,
) -> Scenario:
    """The shop, these customers, and so many units of each product; `more` is as in `Scenario`."""
    shelves = tuple(Stock(sku, units, units) for sku, units in stock)
    return Scenario(
        saga=SAGA,
        clients=tuple(_customer(i, wish) for i, wish in enumerate(wishes)),
        rows={"inventory": shelves},
        outside={"payment": Provider(), "notification": Mailer()},
        properties=PROPERTIES,
        losses=losses,
        by_subject=("notification",),
        unordered=("audit",),
        ignored={Entry: "n"},
        **more,
    )


def _customer(i: int, wish: Wish) -> Client:
    """They order, with an idempotency key; and may cancel the order that they then have."""
    order = PlaceOrder(f"customer-{i}@example.org", wish.card, wish.lines, f"wish-{i}", f"{i}")
    return Client(f"customer-{i}", (order, CancelOrder) if wish.may_cancel else (order,), wish)


def race(orders: int, faults: int, declined: int = 0) -> Scenario:
    """`orders` customers want the last teapot; the first `declined` have a bad card.

    A customer who is alone may cancel, too.
    """
    cards = [DECLINED_CARD] * declined + [GOOD_CARD] * (orders - declined)
    return shop(tuple(Wish(card=card, may_cancel=orders == 1) for card in cards), faults=faults)


CORE = ("order", "inventory", "payment")
ALONE = ("lost",)  # explored in a world of its own: it makes every service ask and answer
USUAL = tuple(kind for kind in FAULTS if kind not in ("gone", "disorder", *ALONE))


def stray(listener: str, event: Event, saga: str, **headers: str) -> tuple[str, Message]:
    """An event in a service's queue, as its producer published it in this saga, which nobody here
    has begun; with `headers`, an operator replays it."""
    id_ = f"{event.producer}.1"
    about = id_, event.key, event.version, rfc3339(0.0), event.producer, subject_of(event)
    envelope = Envelope(*about, saga, saga, trace_after("", saga, id_))
    attributes, body = encode(envelope, event, 1)
    it = "" if headers else "events", event.key, attributes | headers, body
    return listener, Message(*it, user(SAGA.contract.name, event.producer))


def restored() -> Scenario:
    """The order service's database is lost, and restored from a copy of the time before any order.
    An order is placed, is given a number that another had, and may be cancelled; what was on its
    way to the other one arrives. Nobody can promise that it ends well: somebody must look at it."""
    who = "lotte@example.org", "1001", "earlier"
    payment = Payment(who[1], CAPTURED, who[0], 1250, 0.0, who[2])
    stock = Stock("TEAPOT", 2, 1, 0, 1)
    reservation = Reservation(who[1], COMMITTED, who[0], {"TEAPOT": 1}, None, 0.0, who[2])
    late = stray("order", InventoryCommitted(who[1], who[0]), who[2])
    return replace(
        shop((Wish(may_cancel=True),), faults=0, strays=(late,)),
        rows={"inventory": (stock, reservation), "payment": (payment,)},
        properties=tuple(it for it in PROPERTIES if it.name == "owners-kept"),
    )


def in_time() -> Scenario:
    """The deadline of an order comes once its payment is in inventory's queue, or later."""
    return replace(
        shop(faults=0),
        in_time=PaymentProcessed.key,
        properties=(*PROPERTIES, *promises(ALWAYS, paid_in_time_is_kept)),
    )


def paid_in_time_is_kept(view: View) -> Iterator[str]:
    """What is paid for by its deadline does not expire."""
    for id_, row in view.rows("inventory", Reservation).items():
        if row.state == EXPIRED:
            yield f"order {id_} has expired, and its payment was in the queue by then"


def jobs(orders: int, faults: int) -> list[Job]:
    """The real shop: `orders` customers race for the last unit, with good and with bad cards.

    Also with two processes of each service, of which one may stay dead, and with steps that take
    two inputs while the windows take one row. One customer alone may cancel, and meets something
    in a queue that is no event, and a broker that loses queues.
    """
    most = min(faults, 1 if orders == 1 else 0)
    kinds = tuple(kind for kind in FAULTS if kind not in ALONE)
    races = [race(orders, faults, declined) for declined in range(orders + 1)]
    calm = replace(races[0], faults=most, kinds=USUAL)
    worlds = [replace(each, kinds=kinds) for each in races]
    worlds += [replace(calm, replicas={name: 2}) for name in (*CORE, "notification")]
    worlds.append(replace(calm, batch=2, windows=(1, 1)))
    if orders == 1:
        steady = replace(shop(faults=most), kinds=("gone",))
        worlds += [replace(steady, replicas={name: 2}) for name in CORE]
        worlds.append(replace(calm, strays=(STRAY,)))
        worlds.append(replace(calm, kinds=ALONE))
    return [Job(world) for world in worlds]
