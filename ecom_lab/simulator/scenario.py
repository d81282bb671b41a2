"""What is explored: who wants what, what may go wrong, and how the shop is built.

A `Scenario` is the world outside; a `Design` is the shop in it. The real shop is `Design()`; an
ablation is a design with one safeguard changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ecom.events import Line
from ecom.runtime.runtime import Runtime
from ecom.runtime.service import Retry, Service
from ecom.sandbox.cards import DECLINED_CARD, GOOD_CARD
from ecom.services.payment import Capture
from ecom_lab.shop import CONTRACT, SAGA, SERVICES
from ecom_lab.simulator.broker import route
from ecom_lab.simulator.durability import Disk
from ecom_lab.simulator.fake_effects import Mailer, Provider

FAULTS = (
    "crash", "power", "line", "return", "store", "handler", "duplicate", "reply", "fails", "late",
)  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """One customer: what they order, with which card, and whether they may change their mind."""

    lines: tuple[Line, ...] = (Line("TEAPOT", 1, 1250),)
    card: str = GOOD_CARD
    may_cancel: bool = False


@dataclass(frozen=True)
class Scenario:
    """A small world. `faults` is how many things may go wrong in one history, `kinds` which."""

    wishes: tuple[Wish, ...] = (Wish(),)
    stock: tuple[tuple[str, int], ...] = (("TEAPOT", 1),)
    faults: int = 1
    kinds: tuple[str, ...] = FAULTS
    replicas: Mapping[str, int] = field(default_factory=dict)  # services that run more than one
    stray: bool = False  # something that is no event lies in inventory's queue
    captures: int | None = None  # attempts at a capture before it is given up


@dataclass(frozen=True)
class Design:
    """How the shop is built: its parts, each of which an ablation may replace."""

    runtime: type[Runtime] = Runtime
    disk: type[Disk] = Disk
    provider: type[Provider] = Provider
    mailer: type[Mailer] = Mailer
    changes: Mapping[str, Callable[[Service], Service]] = field(default_factory=dict)
    hears: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # beside the contract's
    mandatory: bool = True
    keys: bool = True  # customers send an idempotency key
    locked: bool = True  # a transaction excludes other writers from its first read on

    def service(self, name: str, scenario: Scenario) -> Service:
        """The service as this design has it."""
        service = SAGA.services[name]
        if name == "payment" and scenario.captures:
            patience = Retry(attempts=scenario.captures)
            service = replace(service, retries={**service.retries, Capture: patience})
        return self.changes[name](service) if name in self.changes else service

    def listeners(self, key: str) -> tuple[str, ...]:
        """The services whose queues are bound for this routing key."""
        bindings = [
            (name, pattern)
            for name in SERVICES
            for pattern in (*CONTRACT.listens[name], *self.hears.get(name, ()))
        ]
        return tuple(route(key, bindings))


def race(orders: int, faults: int, declined: int = 0) -> Scenario:
    """`orders` customers want the last teapot; the first `declined` have a bad card.

    A customer who is alone may cancel, too.
    """
    cards = [DECLINED_CARD] * declined + [GOOD_CARD] * (orders - declined)
    wishes = tuple(Wish(card=card, may_cancel=orders == 1) for card in cards)
    return Scenario(wishes=wishes, faults=faults)
