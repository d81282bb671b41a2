"""What a fault is: where it is played, what it does, and how much of it; and on what: the shop, or
a saga of one's own (`ecom chaos --of MODULE:NAME`, which names an `Own`)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ecom.harness.processes import read_note
from ecom.harness.quiescence import counted
from ecom.harness.running import Books, Running
from ecom.runtime.saga import Saga
from ecom.sagas.choreography import choreography
from ecom.sagas.orchestration import orchestration
from ecom.shop.folder import kept_token
from ecom.shop.records import Records
from ecom.shop.shop import Shop
from ecom.stores.reader import Reader
from ecom.stores.reading import totals
from ecom_lab.chaos.environments import shared
from ecom_lab.chaos.workload import Commands, Customer, Orders, Wish, customers, stock

ENDED = ("CONFIRMED", "CANCELLED")

Injection = Callable[[Any], Iterator[str]]  # on a `Testbed`; yields after each strike what it was
Environment = Callable[[], AbstractContextManager[tuple[str, Any]]]  # an AMQP URL, and a handle


class Size(NamedTuple):
    """How many orders, and how often the fault strikes among them."""

    orders: int
    rounds: int
    seconds: float = 0.0  # how long one strike lasts, where that is for us to say


class ShopTrial:
    """The shop, whose customers order over HTTP."""

    name = "shop"
    asked = frozenset({"order"})  # the services that are given commands
    # The program of a service that may be told to fail, or to be of the next release.
    program = "ecom_lab.chaos.process:main"

    def runner(self, fault: "Fault", size: Size, **where: Any) -> Any:
        """It, not opened yet; `where` are its folder, broker and database."""
        saga = None if fault.saga is choreography else fault.saga(fault.hold_seconds)
        stock, hold_seconds = fault.stock(size.orders), fault.hold_seconds
        return Shop(stock, hold_seconds=hold_seconds, saga=saga, **where)

    def workload(self, shop: Any, fault: "Fault", size: Size, seed: int) -> Orders:
        """Those who ask it, once it is open."""
        customers, token = fault.customers(size.orders, seed), kept_token(shop.folder)
        note = partial(read_note, shop.folder, ("order", "1"))
        return Orders(customers, lambda: note()["http"], token, seed)

    def judge(self, shop: Any, workload: Orders) -> tuple[str, dict[str, int]]:
        """Its books, and what a `Verdict` counts in them."""
        counts = count(shop.folder, workload.attempted, workload.acknowledged)
        return str(Records(shop.folder).books()), counts


SHOP = ShopTrial()


def count(folder: Path, attempted: set[str], acknowledged: dict[str, str]) -> dict[str, int]:
    """What became of a shop's orders: read from its databases, the provider's, the mailbox.

    `attempted` are customers; `acknowledged`, order → customer.
    """
    records = Records(folder)
    found = records.accounts()
    orders = {it.order_id: it for it in found.orders}
    safe = {it for it, _ in found.told if it in orders and orders[it].state in ENDED}
    customers = [it.customer for it in found.orders]
    moved = [(booking.order_id, booking.kind) for booking in found.ledger]
    with Reader(folder) as read:
        known = _known(read, records.saga.services)
    return {
        "lost": len(acknowledged.items() - {(it, orders[it].customer) for it in safe}),
        "unexpected": len(set(customers) - attempted),
        "duplicate_deliveries": known,
        "duplicate_effects": len(found.twice) + sum(map(_twice, (customers, moved, found.told))),
    }


def _known(read: Reader, services: Iterable[str]) -> int:
    """How many messages came that an inbox knew already."""
    return sum(totals(read[service].counters())["duplicates"] for service in services)


def _twice(once: list[Any]) -> int:
    """How many repetitions there are of what must happen once: an order, a capture, a mail."""
    return len(once) - len(set(once))


@dataclass(frozen=True)
class Own:
    """What the faults need to know of a saga.

    `running(number, **where)` is to be a `Running` for so many sagas, given `where` as it is, with
    the saga's invariants; `commands(number)` what begins them: services and commands, whose first
    field is the saga's id and which may be given twice. Lost is a saga that was acknowledged and
    has not ended, doubled an effect that is equal, in all its fields, to another one of its saga.
    """

    name: str
    running: Callable[..., Running]
    commands: Callable[[int], Sequence[Wish]]

    program = "ecom_lab.chaos.process:member"

    @property
    def asked(self) -> set[str]:
        return {service for service, _ in self.commands(1)}

    def runner(self, fault: "Fault", size: Size, **where: Any) -> Running:
        return self.running(size.orders, **where)

    def workload(self, running: Running, fault: "Fault", size: Size, seed: int) -> Commands:
        return Commands(running, self.commands(size.orders))

    def judge(self, running: Running, workload: Commands) -> tuple[str, dict[str, int]]:
        saga, theirs = running.saga, counted(running.saga)
        with Books(saga, running.folder) as books:
            rows = books.rows(theirs.service, theirs.kind)
            known = _known(books, saga.services)
            done = [
                (its.name, it.subject, type(it.effect), msgspec.json.encode(it.effect))
                for its in saga.services.values()
                if its.effects
                for it in books.ledger(its.name)
            ]
        ended = {key for key, row in rows.items() if row.state != theirs.under_way}
        verdict = running.books()
        return f"balanced: {len(rows):,} {self.name}" if verdict.balanced else f"off: {verdict}", {
            "lost": len(workload.acknowledged.keys() - ended),
            "unexpected": len(rows.keys() - workload.attempted),
            "duplicate_deliveries": known,
            "duplicate_effects": _twice(done),
        }


@dataclass(frozen=True)
class Fault:
    """One row of the scorecard."""

    name: str
    what: str  # for the report, in a few words
    inject: Injection
    small: Size
    full: Size
    environment: Environment = shared
    # Why it cannot be played, if it cannot, "here", on this system; with rows in "files" or in
    # "postgres"; on a saga of one's "own"; or what finds that out.
    not_on: Mapping[str, str | Callable[[], str]] = field(default_factory=dict)
    bites: bool = True  # messages must have come twice, or it has struck nothing
    hold_seconds: float = 900.0
    customers: Callable[[int, int], list[Customer]] = customers  # by orders and seed
    stock: Callable[[int], dict[str, int]] = stock  # by orders
    replicas: int = 1  # of every service
    saga: Callable[[float], Saga] = choreography  # by how long a hold lasts
    database: str = "files"  # or "postgres"
    trial: ShopTrial | Own = SHOP
    fixed: str = ""  # why it is played in one setup only, if so

    @property
    def not_here(self) -> str:
        """Why it cannot be played, if it cannot."""
        places = ("here", self.database, *(() if self.trial is SHOP else ("own",)))
        reasons = (self.not_on[place] for place in places if place in self.not_on)
        return next(filter(None, (it() if callable(it) else it for it in reasons)), "")

    def on(self, trial: ShopTrial | Own = SHOP, replicas: int = 1, **setup: Any) -> "Fault":
        """The same fault, another row of the scorecard: on another saga than the shop's, on so many
        processes of every service; `setup` is more of the fields above: a `saga` (the one with a
        coordinator), a `database` ("postgres")."""
        it = replace(self, trial=trial, replicas=replicas, **setup)
        said = {
            f"-x{replicas}": replicas > 1,
            "-orchestrated": it.saga is orchestration,
            "-postgres": it.database == "postgres",
            f"-of-{trial.name}": trial is not SHOP,
        }
        if not (suffix := "".join(word for word, is_so in said.items() if is_so)):
            return self
        refused = {"here": self.fixed} if self.fixed else {}
        return replace(it, name=self.name + suffix, not_on={**self.not_on, **refused})
