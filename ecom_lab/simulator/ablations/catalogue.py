"""Ways to build it wrong: each takes one safeguard away, and says in which world that shows.

The mistakes of well-known public samples are among them, by name (`sample` is not empty).
"""

from dataclasses import dataclass, replace

from ecom.events import (
    InventoryCommitted,
    InventoryExpired,
    Line,
    OrderCancelled,
    OrderCreated,
    PaymentProcessed,
)
from ecom.sandbox.cards import ERROR_CARD
from ecom.services.inventory import HoldDeadline
from ecom.services.order import CancelOrder
from ecom.services.payment import Captured
from ecom_lab.simulator.ablations import domain, outside, runtime
from ecom_lab.simulator.ablations.domain import both, handling
from ecom_lab.simulator.model import World
from ecom_lab.simulator.scenario import Design, Scenario, Wish, race


@dataclass(frozen=True)
class Ablation:
    """One safeguard taken away. `scenario` is the smallest world we know that shows it."""

    name: str
    story: str
    design: Design
    scenario: Scenario
    sample: str = ""  # the well-known mistake that this is

    def world(self, scenario: Scenario | None = None) -> World:
        """The shop without this safeguard."""
        counting = self.design.runtime is runtime.TrustsRedelivered
        return World(scenario or self.scenario, self.design, counting=counting)


CALM, RACE = race(1, faults=0), race(2, faults=0)


def _one(*kinds: str, world: Scenario = CALM) -> Scenario:
    """The same world, where one fault of these kinds may strike."""
    return replace(world, faults=1, kinds=kinds)


STRAY = Scenario(wishes=(), faults=0, stray=True)
PAIR = replace(RACE, replicas={"inventory": 2})
TWO_LINES = Scenario(
    wishes=(Wish(lines=(Line("TEAPOT", 1, 1250), Line("TEACUP", 1, 400))),),
    stock=(("TEAPOT", 1), ("TEACUP", 0)),
    faults=0,
)
# The provider never captures, and is asked once: only the deadline ends this order.
GIVEN_UP = Scenario((Wish(card=ERROR_CARD),), faults=1, kinds=("crash",), captures=1)


def _machinery(name: str, story: str, kind: type, scenario: Scenario, sample: str = "") -> Ablation:
    return Ablation(name, story, Design(runtime=kind), scenario, sample)


def _domain(
    name: str, story: str, service: str, change: domain.Change, scenario: Scenario, sample: str = ""
) -> Ablation:
    return Ablation(name, story, Design(changes={service: change}), scenario, sample)


ALL = (
    # ── the machinery ─────────────────────────────────────────────────────────────────────────
    _machinery("inbox", "Messages are handled as often as they come.", runtime.NoInbox,
        _one("duplicate"),),
    _machinery(
        "inbox-with-the-work", "The inbox row is committed before the handler runs.",
        runtime.ClaimFirst, _one("crash"), sample="the claim-first inbox",
    ),
    _machinery(
        "own-memory-of-duplicates", "What the broker calls redelivered is taken as handled.",
        runtime.TrustsRedelivered, _one("crash"),
    ),
    _machinery("ack-after-commit", "Messages are acknowledged first.", runtime.AckFirst,
        _one("crash"),),
    _machinery(
        "outbox", "Events are published from memory, after the commit.", runtime.NoOutbox,
        _one("crash"),
    ),
    _machinery(
        "outbox-and-inbox", "The database is changed, then the event is published.",
        runtime.DualWrite, _one("crash"), sample="the dual write of the plain tutorial saga",
    ),
    _machinery(
        "publish-after-commit", "Events are published before the commit.",
        runtime.PublishFirst, _one("crash"),
    ),
    _machinery(
        "confirms", "What is published counts as sent.", runtime.SentWhenPublished, _one("line")
    ),
    Ablation(
        "mandatory", "Messages that no queue takes are not returned.",
        Design(mandatory=False), _one("return"),
    ),
    _machinery(
        "outbox-at-start", "A process that starts does not send what is unsent.",
        runtime.ForgetsUnsent, _one("crash"),
    ),
    _machinery(
        "effects-table", "What is still to be done outside is kept in memory.",
        runtime.ForgetsEffects, _one("crash"),
    ),
    _machinery(
        "effects-after-commit", "The provider is called inside the transaction.",
        runtime.PerformFirst, _one("crash"),
    ),
    _machinery(
        "durable-timers", "Deadlines are kept in memory.", runtime.TimersInMemory, GIVEN_UP
    ),
    _machinery(
        "rollback", "A handler that fails leaves its work half done.", runtime.NoRollback,
        _one("handler"),
    ),
    _machinery(
        "dead-letters", "What cannot be read is given back to the queue, for ever.",
        runtime.RequeueForEver, STRAY,
    ),
    _machinery(
        "dead-letters-kept", "What cannot be read is acknowledged and dropped.",
        runtime.DropsUnreadable, STRAY,
    ),
    _machinery(
        "dead-letter-before-ack", "A dead letter is published after its message is acknowledged.",
        runtime.DeadLetterFromMemory, _one("crash", world=STRAY),
    ),
    Ablation(
        "synchronous-full", "The database runs with synchronous=NORMAL.",
        Design(disk=outside.LazyDisk), _one("power"),
    ),
    Ablation(
        "write-lock", "Two replicas read the shelf, then write it.",
        Design(locked=False), PAIR,
    ),
    # ── the door and the outside world ────────────────────────────────────────────────────────
    Ablation("door-key", "Orders carry no idempotency key.", Design(keys=False), _one("reply")),
    Ablation(
        "capture-key", "Captures carry no idempotency key.",
        Design(provider=outside.KeylessCapture), _one("late"),
    ),
    Ablation(
        "refund-key", "Refunds carry no idempotency key.",
        Design(provider=outside.KeylessRefund), _one("late"),
    ),
    Ablation(
        "message-id", "Each attempt at a mail has a Message-ID of its own.",
        Design(mailer=outside.NewMessageId), _one("late"),
    ),
    # ── the domain ────────────────────────────────────────────────────────────────────────────
    Ablation(
        "arbiter", "An order is confirmed when it is paid.",
        Design(
            hears={"order": ("payment.processed",)},
            changes={"order": domain.CONFIRM_ON_PAYMENT},
        ),
        CALM,
    ),
    _domain(
        "confirm-pending-only", "An order is confirmed whatever it is by then.",
        "order", handling(InventoryCommitted, domain.confirm_anyway), CALM,
    ),
    _domain(
        "tell-of-timeout", "The order times out, and nobody is told.",
        "order", handling(InventoryExpired, domain.cancel_silently), CALM,
        sample="the timeout that cancels the order and tells nobody",
    ),
    _domain(
        "undo-confirmed", "A confirmed order is cancelled in the order service alone.",
        "order", handling(CancelOrder, domain.cancel_pending_only), CALM,
    ),
    _domain(
        "stock-check", "Stock is taken without a look at how much there is.",
        "inventory", handling(OrderCreated, domain.hold_unchecked), RACE,
        sample="the stock decremented without a check",
    ),
    _domain(
        "all-or-nothing", "Lines are held one by one, and stay held when a later one fails.",
        "inventory", handling(OrderCreated, domain.hold_line_by_line), TWO_LINES,
    ),
    _domain(
        "commit-held-only", "Stock is committed though the hold has expired.",
        "inventory", handling(PaymentProcessed, domain.commit_unchecked), CALM,
    ),
    _domain(
        "deadline-looks", "The deadline is neither stopped nor does it look.",
        "inventory",
        both(
            handling(PaymentProcessed, domain.commit_and_keep_deadline),
            handling(HoldDeadline, domain.expire_unchecked),
        ),
        CALM,
    ),
    _domain(
        "tell-of-expiry", "Stock goes back on the shelf, and nobody is told.",
        "inventory", handling(HoldDeadline, domain.expire_silently), CALM,
    ),
    _domain(
        "release-looks", "Stock is released without a look at what has become of it.",
        "inventory", handling(OrderCancelled, domain.release_unchecked), CALM,
    ),
    _domain(
        "release-moves", "Released units are put on the shelf, and stay held as well.",
        "inventory", handling(OrderCancelled, domain.release_out_of_nowhere), CALM,
    ),
    _domain(
        "release-committed", "Only held stock is released.",
        "inventory", handling(OrderCancelled, domain.release_held_only), CALM,
    ),
    _domain(
        "tombstone-inventory", "A cancellation that overtakes its order leaves no trace.",
        "inventory", handling(OrderCancelled, domain.release_known_only), CALM,
    ),
    _domain(
        "tombstone-payment", "A cancellation that overtakes the payment leaves no trace.",
        "payment", handling(OrderCancelled, domain.undo_known_only), CALM,
    ),
    _domain(
        "refund-late-capture", "Money that arrives after the cancellation is kept.",
        "payment", handling(Captured, domain.keep_late_money), CALM,
    ),
    _domain(
        "refund", "Money is captured and never given back.",
        "payment", handling(OrderCancelled, domain.undo_pending_only), CALM,
    ),
    _domain(
        "told-once", "Every event is mailed, whatever was told before.",
        "notification", domain.TELL_EVERYTHING, CALM,
    ),
    _domain(
        "mails-in-order", "The mails of an order overtake each other.",
        "notification", domain.send_in_any_order, _one("fails"),
    ),
)  # fmt: skip

BY_NAME = {ablation.name: ablation for ablation in ALL}
