"""How each thing that can happen to an order is told: one step, or a few, of its history."""

import msgspec

from ecom.harness.history.attempts import Burial, Tries
from ecom.harness.history.journal import Logged
from ecom.harness.history.rebuild import Handling
from ecom.harness.history.step import Step
from ecom.runtime.tables import Effect
from ecom.services.inventory import HoldDeadline, Reservation
from ecom.services.notification import Told
from ecom.services.order import CancelOrder, PlaceOrder
from ecom.services.payment import Captured, Declined, Payment, Refunded
from ecom.stores.base import Row

# What a service may say once it has handled an event, by event and service.
ANSWERED_BY = {
    ("order.created", "inventory"): ("inventory.processed", "inventory.failed"),
    ("inventory.processed", "payment"): ("payment.processed", "payment.failed"),
    ("inventory.failed", "order"): ("order.cancelled",),
    ("payment.processed", "inventory"): ("inventory.committed",),
    ("payment.failed", "order"): ("order.cancelled",),
    ("inventory.committed", "order"): ("order.confirmed",),
    ("inventory.expired", "order"): ("order.cancelled",),
    ("order.cancelled", "inventory"): ("inventory.released",),
    ("order.cancelled", "payment"): ("payment.refunded",),
}  # notification answers with an e-mail

_COMMANDS = {PlaceOrder: "places the order", CancelOrder: "cancels the order"}
_TIMERS = {HoldDeadline.__name__: "the hold runs out"}


def handled_steps(each: Handling, logged: Logged | None, tries: Tries | None) -> list[Step]:
    """What a service was told, how often it had to try, and what changed."""
    service, message = each.service, each.message
    steps = []
    if logged:
        reason = getattr(logged.event, "reason", "")
        steps.append(Step("event", logged.entry.producer, service, logged.entry.type, reason))
    elif type(message) in _COMMANDS:
        steps.append(Step("command", "customer", service, _COMMANDS[type(message)]))
    elif type(message).__name__ in _TIMERS:
        steps.append(Step("timer", service, service, _TIMERS[type(message).__name__]))
    elif isinstance(message, Captured | Declined | Refunded):
        answer = type(message).__name__.lower()
        reason = getattr(message, "reason", "")
        steps.append(Step("answer", "provider", service, answer, reason))
    if tries and tries.attempts > 1:
        steps.append(_retry(service, service, "tried", tries))
    for before, after in each.changes:
        if change := _change(before, after):
            steps.append(Step("state", service, service, change))
    return steps


def _change(before: Row | None, after: Row) -> str:
    """A change of a row in words; nothing if only its housekeeping changed."""
    if isinstance(after, Told):
        news = ("confirmed", "cancelled", "refunded")
        told = [new for new in news if getattr(after, new) and not getattr(before, new, None)]
        return f"told: {', '.join(told)}" if told else ""
    if before is None:
        tombstone = isinstance(after, Reservation | Payment) and after.state == "CANCELLED"
        return after.state + (" (tombstone)" if tombstone else "")
    return f"{before.state} → {after.state}" if before.state != after.state else ""


def effect_steps(service: str, effect: Effect, tries: Tries | None) -> list[Step]:
    """What a service asked of the world, and how often it had to."""
    kind, whom, what = _asked(effect)
    if tries is None or tries.state == "done":
        steps = [Step(kind, service, whom, what)]
    elif tries.state == "dead":
        lost = f"dead letter after {_times(tries.attempts)}"
        return [Step(kind, service, whom, what, status="dead"),
                Step("dead", service, service, lost, tries.last_error or "", "dead")]  # fmt: skip
    else:
        steps = [Step(kind, service, whom, what, "no answer yet", "awaited")]
    if tries and (tries.attempts > 1 or (tries.attempts and tries.state == "pending")):
        steps.append(_retry(service, whom, "asked", tries))
    return steps


def _asked(effect: Effect) -> tuple[str, str, str]:
    """The kind of the step, whom, and for what."""
    body = msgspec.json.decode(effect.body)
    if "subject" in body:
        return "mail", "mailbox", body["subject"]
    return "effect", "provider", f"{effect.type.lower()} £{body['amount'] / 100:.2f}"


def awaited(type_: str, producer: str, service: str) -> Step:
    """An event that its listener has not handled, and what is awaited from it."""
    answer = " or ".join(ANSWERED_BY.get((type_, service), ("an e-mail",)))
    return Step("event", producer, service, type_, f"awaited: {answer}", "awaited")


def buried(logged: Logged, service: str, tries: Tries) -> list[Step]:
    """An event that was tried: without success so far, for the last time, or long ago."""
    entry = logged.entry
    if tries.state == "done":
        return [Step("event", entry.producer, service, entry.type)]
    if tries.state == "dead":
        lost = f"dead letter after {_times(tries.attempts)}"
        return [Step("event", entry.producer, service, entry.type, status="dead"),
                Step("dead", service, service, lost, tries.last_error or "", "dead")]  # fmt: skip
    step = awaited(entry.type, entry.producer, service)
    return [step, _retry(service, service, "tried", tries)]


def burial(dead: Burial, afterwards: str = "") -> Step:
    """A dead letter, and what became of it."""
    label = ", ".join(filter(None, (f"dead letter, {dead.reason}", afterwards)))
    return Step("dead", dead.service, dead.service, label, dead.error, "dead")


def timer_step(service: str, type_: str) -> Step:
    """A timer that still runs."""
    return Step("timer", service, service, _TIMERS[type_], "unless payment comes first", "awaited")


def _retry(service: str, whom: str, verb: str, tries: Tries) -> Step:
    over = tries.state == "done"
    label = f"{verb} {tries.attempts} times" if tries.attempts > 1 else f"{verb} once"
    return Step("retry", service, whom, label if over else f"{label} so far",
                tries.last_error or "", "retried" if over else "awaited")  # fmt: skip


def _times(attempts: int) -> str:
    return f"{attempts} attempts" if attempts > 1 else "1 attempt"
