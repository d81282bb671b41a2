"""What each thing that can happen in a saga is called: one step, or a few, of its history."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from ecom.contract.contract import Event
from ecom.harness.history.step import Step
from ecom.runtime.tables import Effect, Inbox, Outbox
from ecom.stores.base import Row


def change_of_state(before: Row | None, after: Row | None) -> str:
    """A change of a row's `state` in words; nothing if only something else changed."""
    was, now = getattr(before, "state", ""), getattr(after, "state", "")
    return "" if was == now else f"{was} → {now}" if was else now


@dataclass(frozen=True)
class Words:
    """What a saga's own things are called; each has a word that needs to know nothing of them."""

    caller: str = "caller"  # whose the commands are
    # A command, timer or answer by its type; one whose word is empty has no step.
    messages: Mapping[type[Struct], str] = field(default_factory=dict)
    # An effect: the kind of its step, of whom it is requested, and what.
    effect: Callable[[Struct], tuple[str, str, str]] = lambda effect: (
        "effect", "outside", type(effect).__name__
    )  # fmt: skip
    change: Callable[[Row | None, Row | None], str] = change_of_state
    # What a service owes that has an event before it: by the event's key and the service.
    owed: Callable[[str, str], str] = lambda key, service: ""
    unless: str = ""  # what a running timer waits for
    lifelines: tuple[str, ...] = ()  # who stands where in the picture, from left to right

    def message(self, kind: type[Struct]) -> str:
        """What a command, a timer or an answer is called."""
        return self.messages.get(kind, kind.__name__)

    def unhandled(self, event: Event, service: str, row: Inbox | None) -> list[Step]:
        """An event that was not handled, or long ago: `row` is what the listener knows of it."""
        key, producer = event.key, event.producer
        if row is None or row.state == "waiting":
            owed = self.owed(key, service)
            note = owed and f"awaited: {owed}"
            step = Step("event", producer, service, key, note, "awaited")
            return [step, retried(service, service, "tried", row)] if row else [step]
        if row.state == "done":
            return [Step("event", producer, service, key)]
        return [Step("event", producer, service, key, status="dead"), given_up(service, row)]


def requested(service: str, effect: tuple[str, str, str], row: Effect | None) -> list[Step]:
    """An effect that a service requested, and how often it was tried: see `Words.effect`."""
    kind, whom, what = effect
    if row is None or row.state == "done":
        steps = [Step(kind, service, whom, what)]
    elif row.state == "dead":
        return [Step(kind, service, whom, what, status="dead"), given_up(service, row)]
    else:
        steps = [Step(kind, service, whom, what, "no answer yet", "awaited")]
    if row and row.attempts > (row.state == "done"):
        steps.append(retried(service, whom, "asked", row))
    return steps


def retried(service: str, whom: str, verb: str, row: Inbox | Effect) -> Step:
    """How often something was tried."""
    over = row.state == "done"
    label = f"{verb} {row.attempts} times" if row.attempts > 1 else f"{verb} once"
    label, status = (label, "retried") if over else (f"{label} so far", "awaited")
    return Step("retry", service, whom, label, row.last_error or "", status)


def given_up(service: str, row: Inbox | Effect) -> Step:
    """The last of too many attempts."""
    attempts = f"{row.attempts} attempts" if row.attempts > 1 else "1 attempt"
    lost = f"dead letter after {attempts}"
    return Step("dead", service, service, lost, row.last_error or "", "dead")


def dead_letter(service: str, row: Outbox, afterwards: str = "") -> Step:
    """A dead letter, and what became of it."""
    reason, error = (row.headers.get(f"dead-{it}", "") for it in ("reason", "exception"))
    label = ", ".join(filter(None, (f"dead letter, {reason}", afterwards)))
    return Step("dead", service, service, label, error, "dead")
