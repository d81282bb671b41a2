"""The history of one saga: all that happened in it, in causal order, and what is still awaited.

A step comes after everything it follows from: after its cause, and after what the same service did
in the saga before (Lamport, "Time, Clocks, and the Ordering of Events", 1978). Steps that do not
depend on each other come in the order of the contract, however they raced.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

import pandas as pd
from msgspec import Struct

from ecom.harness.history.diagram import Diagram, Step
from ecom.harness.history.replay import CannotReplay, Handling, Past, Replay
from ecom.runtime import streams
from ecom.runtime.streams import within
from ecom.runtime.tables import Effect, Inbox, Outbox, Received, Timer
from ecom.stores.base import Row

_PATIENCE = 5  # deadlines and callers come after what could be done meanwhile: so many steps


class History(Diagram):
    """One saga's history: the sequence diagram of its steps, and what can be read from them."""

    @property
    def frame(self) -> pd.DataFrame:
        """what, source, target, about, status, detail: a row a step, causes before effects."""
        columns = ["what", "source", "target", "about", "detail", "status"]
        return pd.DataFrame(list(self.steps), columns=columns, dtype="str")

    @property
    def awaited(self) -> list[str]:
        """What has not happened yet, a line each; empty when the saga has come to its end."""
        return [" ".join(str(step).split()) for step in self.steps if step.status == "awaited"]


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
    unless: str = ""  # what a running timer waits for
    lifelines: tuple[str, ...] = ()  # who stands where in the picture, from left to right

    def message(self, kind: type[Struct]) -> str:
        """What a command, a timer or an answer is called."""
        return self.messages.get(kind, kind.__name__)


def history(past: Past, subject: str, title: str, words: Words) -> History:
    """The history of the saga that has this subject.

    If the past cannot be replayed, it goes without the changes of state, and says so.
    """
    try:
        handled = [
            each
            for name in past.services
            for each in Replay(past, name, watched=subject).handlings()
            if each.changes or each.concerns(subject)
        ]
    except CannotReplay as trouble:
        handled, title = [], f"{title}. Without its changes of state. {trouble}"
    failures = {key for key, event in past.saga.contract.by_key.items() if event.failure}
    steps = list(_Account(past, subject, handled, words).steps())
    return History(title, steps, failures, words.lifelines)


class _Account:
    """Puts together what the log, the handlers and the services' tables say of one saga."""

    def __init__(self, past: Past, subject: str, handled: list[Handling], words: Words) -> None:
        self._contract, self._services, self._words = past.saga.contract, past.saga.services, words
        self._log = {each.id: each for each in past.log if each.subject == subject}
        self._inbox = {(name, row.id): row for name, row in past.all_rows(Inbox, subject)}
        self._requested = {row.id: row for _, row in past.all_rows(Effect, subject)}
        self._outbox, self._timers = past.all_rows(Outbox, subject), past.all_rows(Timer, subject)
        # Without a replay, only what has come tells what was handled long ago.
        without = () if handled else past.services
        self._came = {it: streams.came(past.rows(it, Received)) for it in without}
        self._handled = [*handled, *self._unhandled({(it.service, it.cause) for it in handled})]
        # What led to each: by its id, the number of what published it, or requested it.
        self._led = {
            id_: i
            for i, each in enumerate(self._handled)
            for id_ in (*each.published, *(effect.id for effect in each.requested))
        }

    def _unhandled(self, handled: set[tuple[str, str]]) -> Iterator[Handling]:
        """Events that a listener has not handled, or of which only the log tells."""
        for logged in self._log.values():
            for service in self._contract.listeners(logged.event.key):
                if (service, logged.id) not in handled:
                    caused = [it for it in self._log.values() if it.causation == logged.id]
                    published = {it.id: it.event for it in caused if it.event.producer == service}
                    came = Handling(service, "", logged.id, logged.event)
                    yield came._replace(published=published)

    def steps(self) -> Iterator[Step]:
        """All steps, in order."""
        services, keys = [*self._services], [*self._contract.by_key]
        placed = []
        for each, depth in zip(self._handled, self._depths(), strict=True):
            logged = self._log.get(each.cause)
            kind = keys.index(logged.event.key) if logged else -1
            placed.append((depth, kind, services.index(each.service), each))
        for *_, each in sorted(placed, key=itemgetter(0, 1, 2)):
            yield from self._steps(each)
        yield from self._loose_ends()

    def _depths(self) -> list[int]:
        """How many steps, at least, went before each handling."""
        depths = [0] * len(self._handled)
        for _ in depths:  # settles in as many rounds as the longest chain has links
            before: dict[str, int] = {}
            for i, each in enumerate(self._handled):
                led_by = self._led.get(each.effect.id if each.effect else each.cause)
                led = 0 if led_by is None else depths[led_by]
                from_outside = led_by is None and each.cause not in self._log
                own = before.get(each.service, 0) if each.how else 0
                depths[i] = max(own, led) + (_PATIENCE if from_outside else 1)
                if each.how == "event" or self._words.message(type(each.message)):
                    before[each.service] = depths[i]  # what has no step orders nothing
        return depths

    # ── its steps ───────────────────────────────────────────────────────────────────────────
    def _steps(self, each: Handling) -> list[Step]:
        """What a service consumed, how often it was tried, what changed, and what came of it."""
        service, row = each.service, self._inbox.get((each.service, each.cause))
        if not each.how:
            step = Step("event", each.message.producer, service, each.message.key)
            if row:
                return tried(step, service, "tried", row)
            is_over = service in self._came and self._has_come(service, each.cause)
            return [step if is_over else step._replace(status="awaited")]
        steps = list(self._consumed(each))
        steps += [
            dead_letter(service, letter, "replayed")
            for of, letter in self._outbox
            if (letter.exchange, of, letter.id) == ("dead", service, each.cause)
        ]
        if row and row.attempts > 1:
            steps.append(retried(service, service, "tried", row))
        changes = (self._words.change(before, after) for before, after in each.changes)
        steps += [Step("state", service, service, change) for change in changes if change]
        for effect in each.requested:
            kind, whom, what = self._effect(service, effect)
            step, its = Step(kind, service, whom, what), self._requested.get(effect.id)
            steps += tried(step, service, "asked", its, "no answer yet") if its else [step]
        keys = [event.key for event in each.published.values()]
        unconsumed = (key for key in keys if not self._contract.listeners(key))
        return steps + [Step("event", service, service, key) for key in unconsumed]

    def _has_come(self, service: str, event: str) -> bool:
        """Whether a service, which has no row of an event, has had it: by its number, or because
        not even its producer has a row of it any more."""
        return all(
            within(self._came[service].get(row.type + row.stream, ()), row.number, row.number)
            for _, row in self._outbox
            if (row.exchange, row.id) == ("events", event)
        )

    def _consumed(self, each: Handling) -> Iterator[Step]:
        service, reason = each.service, getattr(each.message, "reason", "")
        word = self._words.message(type(each.message))
        if each.how == "event":
            yield Step("event", each.message.producer, service, each.message.key, reason)
        elif each.how == "command":
            yield Step("command", self._words.caller, service, word)
        elif each.how == "timer":
            yield Step("timer", service, service, word)
        elif word:
            whom = self._effect(service, each.effect)[1]
            yield Step("answer", whom, service, word, reason)

    def _effect(self, service: str, row: Effect) -> tuple[str, str, str]:
        """The kind of step, of whom it is requested, and what."""
        return self._words.effect(self._services[service].message_of(row))

    def _loose_ends(self) -> Iterator[Step]:
        """Dead letters of nothing known, events on their way to the log, timers that still run."""
        known = {*self._log, *self._requested, *(each.cause for each in self._handled)}
        for service, row in self._outbox:
            if row.exchange == "dead" and row.id not in known:
                yield dead_letter(service, row)
        for service, row in self._outbox:
            if row.exchange == "events" and row.id not in self._log:
                where = "not in the log yet" if row.done_at else "not with the broker yet"
                for listener in self._contract.listeners(row.type) or (service,):
                    yield Step("event", service, listener, row.type, where, "awaited")
        for service, timer in self._timers:
            word = self._words.message(self._services[service].kinds.get(timer.type))
            yield Step("timer", service, service, word, self._words.unless, "awaited")


# ── what each thing that can happen is called: one step, or a few ─────────────────────────────
def tried(step: Step, by: str, verb: str, row: Inbox | Effect, note: str = "") -> list[Step]:
    """A step as far as it has come by its row, and how often whoever tries it has done so; `note`
    is for one that is still awaited."""
    if row.state == "dead":
        attempts = f"{row.attempts} attempts" if row.attempts > 1 else "1 attempt"
        lost = Step("dead", by, by, f"dead letter after {attempts}", row.last_error or "", "dead")
        return [step._replace(status="dead"), lost]
    over = row.state == "done"
    steps = [step if over else step._replace(note=note, status="awaited")]
    return [*steps, retried(by, step.target, verb, row)] if row.attempts > over else steps


def retried(service: str, whom: str, verb: str, row: Inbox | Effect) -> Step:
    """How often something was tried."""
    over = row.state == "done"
    label = f"{verb} {row.attempts} times" if row.attempts > 1 else f"{verb} once"
    label, status = (label, "retried") if over else (f"{label} so far", "awaited")
    return Step("retry", service, whom, label, row.last_error or "", status)


def dead_letter(service: str, row: Outbox, afterwards: str = "") -> Step:
    """A dead letter, and what became of it."""
    reason, error = (row.headers.get(f"dead-{it}", "") for it in ("reason", "exception"))
    label = ", ".join(filter(None, (f"dead letter, {reason}", afterwards)))
    return Step("dead", service, service, label, error, "dead")
