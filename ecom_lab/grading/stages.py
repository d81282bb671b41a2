"""The stages in which a service, or a part of the machinery, is graded: each a few small worlds,
worse than those before."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from ecom import events
from ecom.contract.contract import Contract
from ecom.runtime.saga import Saga
from ecom.runtime.service import Impossible, Work
from ecom.runtime.tables import Effect, Inbox
from ecom.sandbox.cards import DECLINED_CARD, GOOD_CARD
from ecom.services.inventory import COMMITTED, HELD, Reservation, Stock
from ecom.services.payment import Refund
from ecom_lab.simulator.ablations.ablation import answering, performing
from ecom_lab.simulator.durability import ForgetfulDisk
from ecom_lab.simulator.model import REDUCTIONS, Model, Move, State
from ecom_lab.simulator.properties import ALWAYS, SETTLED, View, promises
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.shop import domain, outside
from ecom_lab.simulator.shop.ablations import CALM, RACE, SOLD_OUT, STRAYED, TWO_LINES, one
from ecom_lab.simulator.shop.properties import LOGGED
from ecom_lab.simulator.shop.scenario import CORE, TEAPOT, Wish, shop, stray

ALL = ("order", "inventory", "payment", "notification", "audit")
CRASHES = ("crash", "power", "line", "return", "store", "unknown", "handler")


class Prompt(Model):
    """A world in which whoever is asked outside answers before anything else happens."""

    def moves(self, state: State, budget: int) -> list[Move]:
        found = super().moves(state, budget)
        return [move for move in found if move.what[1][0][0] == "answer"] or found


class Patient(Prompt):
    """Such a world, in which no hold runs out, either."""

    def _find(self, state: State, who: int, budget: int) -> Iterator[Move]:
        found = super()._find(state, who, budget)
        return (move for move in found if move.what[1][0][0] != "timer")


class Outage(Model):
    """A world in which a connection that is lost may stay so for a while."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario, REDUCTIONS - {"restarts"})


class Stage(NamedTuple):
    """What may happen, for whom that is of interest, and worlds in which it does."""

    name: str
    story: str
    services: tuple[str, ...]  # or parts of the machinery
    worlds: tuple[Scenario, ...]
    model: type[Model] = Model


def keys_unique(view: View) -> Iterator[str]:
    """An idempotency key is never used for another order, not even for one of the same number, as
    another shop has, or this one after its database was restored from a copy."""
    for service in view.services:
        for row in view.rows(service, Effect).values():
            if row.correlation not in row.key:
                yield f"{row.type} of order {row.subject} has the key {row.key!r}"


GOOD, DECLINED = shop(faults=0), shop((Wish(card=DECLINED_CARD),), faults=0)
UNSURE = replace(CALM, properties=(*CALM.properties, *promises(ALWAYS, keys_unique)))
LATE, FAILING = ([one(kind, world=UNSURE) for kind in it] for it in (("late", "fails"), CRASHES))
AGAIN = [one(kind, world=UNSURE) for kind in ("duplicate", "disorder")]
# A bad card: its money cannot be given back.
UNPAID = replace(AGAIN[0], clients=DECLINED.clients)
# An inbox remembers for some days, and here for no time at all. Nor does the provider remember the
# key of a refund. To say a thing twice does no harm then, so the log is not asked.
UNLOGGED = tuple(it for it in UNSURE.properties if it.when < LOGGED)
FORGETFUL = performing("payment", outside.Keyless(Refund))(
    replace(AGAIN[0], disk=ForgetfulDisk, properties=UNLOGGED)
)
PAIRS = (replace(one("gone", world=UNSURE), replicas={name: 2}) for name in ALL)


# ── parts of the machinery, where only those services are at work that decide ─────────────────
def not_tried_again(view: View) -> Iterator[str]:
    """What is no event is not tried again."""
    for service in view.services:
        rows = view.rows(service, Inbox).values()
        if any(row.state == "waiting" and not row.type for row in rows):
            yield f"{service} lets wait what it can never read"


def replay_handled(view: View) -> Iterator[str]:
    """What an operator replays is handled."""
    for row in view.rows("inventory", Reservation).values():
        if row.state == HELD:
            yield f"order {row.order_id} is cancelled, its stock is {row.state}"


def done_is_not_dead(view: View) -> Iterator[str]:
    """What was handled is no dead letter."""
    dead = [row for row in view.rows("inventory", Inbox).values() if row.state == "dead"]
    for row in dead:
        held = view.rows("inventory", Reservation).get(row.subject)
        if row.type == events.PaymentProcessed.key and held and held.state == COMMITTED:
            yield f"order {row.subject}: its stock is {held.state}, its {row.type} a dead letter"


def dead_once(view: View) -> Iterator[str]:
    """Of one message there is one dead letter."""
    if view.dead > view.strays:
        yield f"an operator finds {view.dead} dead letters of {view.strays} message"


def mistaken(cancelled: events.OrderCancelled, work: Work) -> None:
    """A handler with a mistake that nobody has mended yet."""
    raise Impossible("to release stock is not written yet")


def _core(world: Scenario) -> Scenario:
    whole = world.saga
    services = {name: whole.services[name] for name in CORE}
    listens = {name: whole.contract.listens[name] for name in CORE}
    saga = Saga(Contract(whole.contract.name, whole.contract.events, listens), services)
    kept = tuple(it for it in world.properties if it.when <= SETTLED)
    kinds = world.kinds if world.faults else ()
    return replace(world, saga=saga, properties=kept, kinds=kinds, by_subject=(), unordered=())


# Inventory keeps no tombstone: a cancellation must not come before its order.
IN_ORDER = answering("inventory", {events.OrderCancelled: domain.release_known_only})(one("line"))
# Inventory does not look whether it has held stock before: the inbox must see to that.
TRUSTING = answering("inventory", {events.OrderCreated: domain.hold_trusting})
TWO = replace(shop(stock=(("TEAPOT", 2),)), kinds=("duplicate",), is_counted=True, limit=None)
DYING = replace(one("crash", "line"), is_counted=True, limit=None)
EARLY = stray("inventory", events.PaymentProcessed("4711", "ada@example.org", 1250), "earlier")
CREATED = events.OrderCreated("4711", "ada@example.org", GOOD_CARD, 1250, (TEAPOT,))
# Its order never comes; or it does, and then nobody else is concerned.
NEVER = replace(STRAYED, strays=(EARLY,))
IGNORED = dict.fromkeys((events.InventoryCommitted, events.InventoryExpired), domain.ignore)
COMES = answering("payment", {events.InventoryProcessed: domain.ignore})(
    answering("order", IGNORED)(
        replace(
            shop(wishes=(), faults=0, strays=(EARLY, stray("inventory", CREATED, "earlier"))),
            properties=tuple(promises(ALWAYS, done_is_not_dead)),
        )
    )
)
REPLAYED = {"dead-letter": "1", "dead-exchange": "events"}
CANCELLED = events.OrderCancelled("1001", "ada@example.org", "cancelled by customer")
HOLDING = (
    Stock("TEAPOT", 1, 0, held=1),
    Reservation("1001", HELD, "ada@example.org", {"TEAPOT": 1}, None, 0.0, "earlier"),
    Inbox("order.1", events.OrderCancelled.key, "1001", "dead", 0.0),
)
REPLAY = replace(
    shop(wishes=(), faults=0, strays=(stray("inventory", CANCELLED, "earlier", **REPLAYED),)),
    rows={"inventory": HOLDING},
    properties=tuple(promises(SETTLED, replay_handled)),
)
# Nobody replays it, but the broker delivers it once more.
MISTAKEN = answering("inventory", {events.OrderCancelled: mistaken})(
    replace(
        shop(wishes=(), strays=(stray("inventory", CANCELLED, "earlier"),)),
        kinds=("duplicate",),
        properties=tuple(promises(SETTLED, dead_once)),
    )
)
UNREADABLE = replace(STRAYED, properties=(*CALM.properties, *promises(ALWAYS, not_tried_again)))

CANCELS = "The customer may cancel, and the hold run out, at any time."
FAILS = "A process, the power, a connection or the database fails, anywhere."
ASKING = ("payment", "notification")


def _of(part: str, name: str, story: str, *worlds: Scenario, model: type[Model] = Model) -> Stage:
    return Stage(name, story, (part,), tuple(map(_core, worlds)), model)


STAGES = (
    Stage("calm", "A good card, and nothing goes wrong.", ALL, (GOOD,), Patient),
    Stage("declined", "The card is declined.", ("order", *ASKING), (DECLINED,), Patient),
    Stage("cancelled", CANCELS, ALL, (CALM,), Prompt),
    Stage("race", "Two want the last teapot.", ("order", "inventory"), (RACE, TWO_LINES)),
    Stage("late", "Answers come late, or never.", ASKING, tuple(LATE)),
    Stage("crash", FAILS, ALL, tuple(FAILING)),
    Stage("duplicates", "A message comes twice, or too early.", ALL, (*AGAIN, FORGETFUL, UNPAID)),
    Stage("replicas", "Two processes share the work; one may stay dead.", ALL, tuple(PAIRS)),
    _of("outbox", "killed", "A process dies, anywhere.", one("crash", "handler")),
    _of(
        "outbox",
        "unconfirmed",
        "What is published may not arrive.",
        one("line", "return"),
        one("store", "unknown"),
    ),
    _of("outbox", "outage", "The broker is away for a while.", IN_ORDER, model=Outage),
    _of("inbox", "twice", "A message comes twice.", TRUSTING(TWO)),
    _of("inbox", "sequel", "One message is not the last.", CALM, SOLD_OUT),
    _of("inbox", "redelivery", "A process dies, or loses its connection.", TRUSTING(DYING)),
    _of("retries", "unreadable", "A message is no event.", UNREADABLE),
    _of("retries", "hiccup", "A handler fails, once.", one("handler")),
    _of("retries", "hopeless", "A handler fails, whenever.", NEVER, COMES),
    _of("retries", "replay", "An operator replays a dead letter.", REPLAY, MISTAKEN),
)
