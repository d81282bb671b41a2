"""Ways to build the shop wrong: each takes one safeguard away, in the world that shows it.

The mistakes of well-known public samples are among them, by name (`sample` is not empty).
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from msgspec import structs

from ecom import events
from ecom.runtime.retry import Retry
from ecom.sandbox.cards import ERROR_CARD
from ecom.services.inventory import HoldDeadline
from ecom.services.order import CancelOrder
from ecom.services.payment import Capture, Captured, Refund
from ecom_lab.simulator import durability
from ecom_lab.simulator.ablations import handling, sending
from ecom_lab.simulator.ablations.ablation import ablation, answering, having, performing, serving
from ecom_lab.simulator.broker import Message
from ecom_lab.simulator.scenario import POISON, Scenario
from ecom_lab.simulator.shop import domain, outside
from ecom_lab.simulator.shop.scenario import STRAY, TEAPOT, Wish, in_time, race, restored, shop

CALM, RACE = race(1, faults=0), race(2, faults=0)


def one(*kinds: str, world: Scenario = CALM, faults: int = 1) -> Scenario:
    """The same world, where so many faults of these kinds may strike."""
    return replace(world, faults=faults, kinds=kinds)


CRASH = one("crash")
COUNTED = replace(CRASH, is_counted=True)
STRAYED = shop(wishes=(), faults=0, strays=(STRAY,))
DEADLY = ("inventory", Message("events", "order.created", {}, POISON))
POISONED = shop(wishes=(), faults=0, strays=(DEADLY,), is_counted=True)
PAIR = replace(RACE, replicas={"inventory": 2})
TWO_LINES = shop(
    (Wish(lines=(TEAPOT, events.Line("TEACUP", 1, 400))),), (("TEAPOT", 1), ("TEACUP", 0)), faults=0
)
# Three customers who are soon done with, as nothing is on the shelf.
SOLD_OUT = shop((Wish(), Wish(), Wish()), stock=(), faults=0)
CROWDED = replace(SOLD_OUT, batch=2, windows=(1, 1))
# One of two payments is slow, and the other asks the provider as well.
SLOW = performing("payment", outside.Strict())(one(world=replace(CALM, replicas={"payment": 2})))
# One event comes again when nobody remembers it, and another never does.
TWO = shop((Wish(), Wish()), stock=())
FORGETFUL = one("duplicate", "lost", world=replace(TWO, disk=durability.ForgetfulDisk), faults=2)
PAIRED = replace(SOLD_OUT, replicas={"order": 2})
# Two replicas whose rows are in PostgreSQL: one where a customer pays and cancels at once, one with
# a deadline, one of whom one stays dead.
SHARED = replace(CALM, replicas={"inventory": 2}, disk=durability.SharedDisk)
TIMED = replace(in_time(), replicas={"inventory": 2}, disk=durability.SharedDisk)
LEFT = replace(one("gone", world=TWO), replicas={"inventory": 2}, disk=durability.SharedDisk)


def _keyless(scenario: Scenario) -> Scenario:
    """Orders carry no idempotency key."""
    clients = [(it, structs.replace(it.requests[0], key=None)) for it in scenario.clients]
    without = (it._replace(requests=(order, *it.requests[1:])) for it, order in clients)
    return replace(scenario, clients=tuple(without))


# Who orders without a key must not be asked to order again.
KEYLESS = _keyless(one("unknown", world=shop(disk=durability.SharedDisk)))
# A capture is tried once. The provider never captures: only the deadline ends this order.
ONCE = serving("payment", partial(replace, retries={Capture: Retry(attempts=1)}))
GIVEN_UP = ONCE(one("crash", world=shop((Wish(card=ERROR_CARD),))))
# Inventory does not look whether it has held the stock before: the inbox must see to that.
TRUSTING = answering("inventory", {events.OrderCreated: domain.hold_trusting})(
    one("duplicate", world=shop())
)

CAPTURES_TWICE = performing("payment", outside.Keyless(Capture))
REFUNDS_TWICE = performing("payment", outside.Keyless(Refund))
SENDS_AT_ONCE = serving("notification", domain.send_in_any_order)
MAILS_TWICE = performing("notification", outside.NewMessageId())
DOUBLES = one("gone", world=replace(SOLD_OUT, replicas={"inventory": 2}))

SAMPLES = {
    "inbox-with-the-work": "the claim-first inbox",
    "outbox-and-inbox": "the dual write of the plain tutorial saga",
    "tell-of-timeout": "the timeout that cancels the order and tells nobody",
    "stock-check": "the stock decremented without a check",
}
# The machinery without a safeguard, and a world that shows it.
RUNTIMES = {
    "inbox": (handling.NoInbox, TRUSTING),
    "inbox-with-the-work": (handling.ClaimFirst, CRASH),
    "own-memory-of-duplicates": (handling.TrustsRedelivered, COUNTED),
    "inbox-is-kept": (durability.ForgetfulDisk, TRUSTING),
    "ack-after-commit": (handling.AckFirst, CRASH),
    "outbox": (sending.NoOutbox, CRASH),
    "outbox-and-inbox": (sending.DualWrite, CRASH),
    "publish-after-commit": (sending.PublishFirst, CRASH),
    "confirms": (sending.SentWhenPublished, one("line")),
    "outbox-at-start": (sending.ForgetsUnsent, CRASH),
    "cursor-of-ones-own": (sending.ByNumberAlone, LEFT),
    "adoption": (sending.NoLease, one("gone", world=PAIRED)),
    "full-window": (sending.NeverBehind, CROWDED),
    "full-window-and-clock": (sending.HiddenByTheClock, one("return", world=CROWDED)),
    "commit-in-doubt": (sending.TrustsTheAnswer, one("unknown", world=SOLD_OUT)),
    "late-success": (sending.DropsLateSuccess, SLOW),
    "effects-table": (sending.ForgetsEffects, CRASH),
    "effects-after-commit": (sending.PerformFirst, CRASH),
    "durable-timers": (sending.TimersInMemory, GIVEN_UP),
    "deadline-waits": (sending.DoesNotWait, in_time()),
    "deadline-asks-siblings": (sending.AsksOneReplica, TIMED),
    "deadline-waits-for-retries": (sending.ForgetsRetries, one("handler", world=in_time())),
    "rollback": (handling.NoRollback, one("handler")),
    "rollback-of-one": (handling.WholeBatch, one("handler", world=replace(SOLD_OUT, batch=2))),
    "dead-letters": (handling.RequeueForEver, STRAYED),
    "dead-letters-kept": (handling.DropsUnreadable, STRAYED),
    "dead-letter-before-ack": (sending.DeadLetterFromMemory, one("crash", world=STRAYED)),
    "gap-detection": (sending.NoGapDetection, one("lost", world=SOLD_OUT)),
    "numbers": (sending.CountsWhatCame, FORGETFUL),
}
# Databases without a safeguard, the broker, the API, the outside world; and their story, if they
# do not tell it themselves.
AROUND = {
    "synchronous-full": (durability.LazyDisk, one("power")),
    "write-lock": (durability.StaleDisk, PAIR, "Two replicas read the shelf, then write it."),
    "row-locks": (durability.UnlockedRows, SHARED),
    "insert-conflicts": (durability.Overwriting, SHARED),
    "commit-asked-for": (durability.Pessimist, KEYLESS),
    "commit-not-assumed": (durability.Optimist, replace(one("store"), disk=durability.SharedDisk)),
    "replica-names": (having(names="11"), DOUBLES, "Two replicas have one name."),
    "mandatory": (
        having(mandatory=False),
        one("return"),
        "Messages that no queue takes are not returned.",
    ),
    "delivery-limit": (
        having(limit=None, is_counted=False),
        POISONED,
        "A message that kills whoever gets it is delivered for ever.",
    ),
    "identity": (handling.by_number, restored()),
    "door-key": (_keyless, one("reply")),
    "capture-key": (CAPTURES_TWICE, one("late"), "Captures carry no idempotency key."),
    "refund-key": (REFUNDS_TWICE, one("late"), "Refunds carry no idempotency key."),
    "message-id": (MAILS_TWICE, one("late"), outside.NewMessageId.__doc__),
    "mails-in-order": (SENDS_AT_ONCE, one("fails"), domain.send_in_any_order.__doc__),
    "mails-go-on": (
        serving("notification", partial(replace, given_up={})),
        performing("notification", outside.Unwilling())(CALM),
        "A mail that is given up holds back the order's later ones.",
    ),
}
# Handlers of a service without a safeguard, and a world that shows it.
HANDLERS = {
    "arbiter": ("order", domain.CONFIRM_ON_PAYMENT, CALM),
    "confirm-pending-only": ("order", {events.InventoryCommitted: domain.confirm_anyway}, CALM),
    "tell-of-timeout": ("order", {events.InventoryExpired: domain.cancel_silently}, CALM),
    "undo-confirmed": ("order", {CancelOrder: domain.cancel_pending_only}, CALM),
    "stock-check": ("inventory", {events.OrderCreated: domain.hold_unchecked}, RACE),
    "all-or-nothing": ("inventory", {events.OrderCreated: domain.hold_line_by_line}, TWO_LINES),
    "commit-held-only": ("inventory", {events.PaymentProcessed: domain.commit_unchecked}, CALM),
    "deadline-looks": ("inventory", domain.BLIND_DEADLINE, CALM),
    "tell-of-expiry": ("inventory", {HoldDeadline: domain.expire_silently}, CALM),
    "release-looks": ("inventory", {events.OrderCancelled: domain.release_unchecked}, CALM),
    "release-moves": ("inventory", {events.OrderCancelled: domain.release_out_of_nowhere}, CALM),
    "release-committed": ("inventory", {events.OrderCancelled: domain.release_held_only}, CALM),
    "tombstone-inventory": (
        "inventory",
        {events.OrderCancelled: domain.release_known_only},
        one("disorder"),
    ),
    "tombstone-payment": ("payment", {events.OrderCancelled: domain.undo_known_only}, CALM),
    "refund-late-capture": ("payment", {Captured: domain.keep_late_money}, CALM),
    "refund": ("payment", {events.OrderCancelled: domain.undo_pending_only}, CALM),
    "told-once": ("notification", dict.fromkeys(domain.TELLING, domain.tell_everything), CALM),
}


_ROWS = RUNTIMES | AROUND | {name: (it[:2], it[2]) for name, it in HANDLERS.items()}
ALL = tuple(ablation(name, *it, sample=SAMPLES.get(name, "")) for name, it in _ROWS.items())
BY_NAME = {ablation.name: ablation for ablation in ALL}


def lacking(scenario: Scenario, names: Iterable[str]) -> Scenario:
    """The same world without all these safeguards at once; at most one of them the machinery's.

    Raises `KeyError` for one that is not known.
    """
    for name in names:
        scenario = BY_NAME[name].change(scenario)
    return scenario
