"""What is explored: a saga, who wants what of it, and what may go wrong; all of it one value.

An ablation is a function that takes a scenario, and gives the same one without some safeguard.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec import Struct

from ecom.contract.contract import subject_of
from ecom.contract.topology import DELIVERY_LIMIT
from ecom.harness.outside import Answers, Booking
from ecom.runtime.messages import Failed, Performed
from ecom.runtime.runtime import CONCURRENCY, WINDOW, Runtime
from ecom.runtime.saga import Saga
from ecom.runtime.service import Impossible
from ecom.stores.base import Row
from ecom_lab.simulator.broker import Message
from ecom_lab.simulator.durability import Disk
from ecom_lab.simulator.properties import Losses, Property

FAULTS = {
    "crash": "its process dies {}",
    "power": "the power fails {}",
    "gone": "its process dies {}, and stays dead",
    "line": "it loses its connection {}",
    "return": "the broker has no queue for it",
    "store": "the database fails once, and it tries again",
    "unknown": "the answer to the commit is lost",
    "handler": "its handler fails half done, and will be tried again",
    "duplicate": "the broker delivers it once more",
    "disorder": "it overtakes what was in the queue before it",
    "lost": "the queue is deleted, and made anew",
    "reply": "the answer to whoever asked is lost",
    "fails": "the call does not get through",
    "late": "the call gets through, its answer does not",
}
POISON = b"poison"  # the body of a message that kills the process that gets it, as a segfault does


class Client(NamedTuple):
    """Somebody outside who asks for one thing after the other, and again if not answered.

    A request is a command, or a type of command that takes the subject of the answer before. Who is
    `alike` (and that is not None) differs in nothing but the name.
    """

    name: str
    requests: tuple[Any, ...]
    alike: Any = None


Ledger = tuple[Any, ...]  # bookings, each a tuple that begins with the subject of its saga
Performing = tuple[Ledger, Performed | Failed]


@dataclass(frozen=True)
class Sandbox:
    """The world outside of a service, which carries out its effects, and keeps a ledger of them:
    under one key one answer, and always the same."""

    name: str  # whom one asks
    answers: Answers
    call: str = "call"  # what is done, by which its crash points are named
    is_open: bool = True  # whether a call that got no answer may have been carried out

    def perform(self, ledger: Ledger, seq: int, key: str, effect: Struct) -> Performing:
        """Carry out one effect: a new ledger (the old one stays as it is), and the answer."""
        booking = next((it for it in ledger if it.key == key), None)
        if booking is None:
            try:
                booking = Booking(subject_of(effect), key, effect, self.answers(effect))
            except Impossible as error:
                return ledger, Failed(seq, str(error), final=True)
            ledger = (*ledger, booking)
        return ledger, Performed(seq, booking.answer)


@dataclass(frozen=True)
class Scenario:
    """A small world: a saga with all that surrounds it. `faults` may strike in one history."""

    saga: Saga
    clients: tuple[Client, ...] = ()
    rows: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)  # service → what it has
    outside: Mapping[str, Sandbox] = field(default_factory=dict)  # or what performs as one
    properties: tuple[Property, ...] = ()
    losses: Losses | None = None  # None: nothing can be lost
    faults: int = 1
    kinds: tuple[str, ...] = tuple(FAULTS)  # of faults
    replicas: Mapping[str, int] = field(default_factory=dict)  # of services that have several
    strays: tuple[tuple[str, Message], ...] = ()  # what lies in a service's queue from the start
    batch: int = 1  # inputs that one step may take
    # A deadline comes once this (a routing key) is in the queue, and asks it by an echo. Without,
    # it comes at any time, and has asked before.
    in_time: str = ""
    windows: tuple[int, int] = (WINDOW, CONCURRENCY)  # messages, and effects, under way at most
    # Of services that publish nothing: whose sagas have nothing to do with each other, and who does
    # not care for the order of messages at all.
    by_subject: tuple[str, ...] = ()
    unordered: tuple[str, ...] = ()
    ignored: Mapping[type[Row], str] = field(default_factory=dict)  # a column nobody looks at
    # How the machinery and what is around it is made: each is a safeguard.
    runtime: type[Runtime] = Runtime
    disk: type[Disk] = Disk
    mandatory: bool = True  # what no queue takes is returned
    names: str = "123456789"  # of replicas: each has its own
    limit: int | None = DELIVERY_LIMIT  # deliveries of a message that may be in vain
    is_counted: bool = False  # whether it matters here how often a message came back
