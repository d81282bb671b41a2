"""One service rebuilt: its real handlers run again on a store in memory, message by message.

Event ids are derived from their causes, so what the handlers say now can be held against what
they said then: a message that does not lead to just that is undone.
"""

from typing import NamedTuple

import msgspec
from msgspec import Struct

from ecom.contract.envelope import derived_id
from ecom.contract.event import Event
from ecom.events import CARD_DECLINED, InventoryProcessed, OrderCreated
from ecom.harness.history.journal import Logged, Notes
from ecom.runtime.service import Cause, Work
from ecom.runtime.tables import Effect, Outbox, Timer
from ecom.sagas.choreography import choreography
from ecom.services.inventory import Stock
from ecom.services.notification import MailSent, SendMail
from ecom.services.order import CancelOrder, PlaceOrder
from ecom.services.payment import Capture, Captured, Declined, Refund, Refunded
from ecom.stores.base import Row, Transaction
from ecom.stores.memory import MemoryStore

# What the outside world may answer to what a service asks of it.
ANSWERS = {
    Capture.__name__: (Captured, Declined),
    Refund.__name__: (Refunded,),
    SendMail.__name__: (MailSent,),
}


_EVENTS = choreography().contract.by_key


class Handling(NamedTuple):
    """One message handled by one service, and what came of it."""

    service: str
    message: Struct
    cause: str  # id of the event, or of the command, answer or timer that the message was
    changes: list[tuple[Row | None, Row]]  # before, after: rows of the order
    said: dict[str, Event]  # by id
    asked: list[Effect]


class Answer(NamedTuple):
    """Something the world may still say about an effect."""

    id: str
    effect: Effect
    kind: type[Struct]


class Rebuilt:
    """A service as it comes to be again. `handlings` are those of order `watch`."""

    def __init__(self, name: str, notes: Notes, watch: str) -> None:
        self.name = name
        self.tx = Transaction(MemoryStore())
        self.handlings: list[Handling] = []
        self.asked: dict[str, list[Effect]] = {}  # by order, all ever asked for
        self.answered: set[str] = set()  # ids of effects
        self.trouble = ""  # why the last message was undone
        self._service = choreography().services[name]
        self._notes = notes
        self._watch = watch
        self._open: dict[str, dict[str, Answer]] = {}  # by order, then by the answer's id

    def stock(self, shelves: list[tuple[str, int]]) -> None:
        """Put the initial units on the shelves."""
        for sku, units in shelves:
            self.tx[Stock].put(Stock(sku, units, units))

    def say(self, logged: Logged, led_by: Event | None, now: float) -> bool:
        """Handle what led to this event, `led_by` or else no event; whether it is said again."""
        entry, event, _ = logged
        message = led_by or self._message(logged)
        if message is None:
            self.trouble = "what led to it is not in the log"
            return False
        if isinstance(event, InventoryProcessed):
            # How long a hold lasts is a setting; the event says what it was then.
            self._service = choreography(event.held_until.timestamp() - now).services[self.name]
        cause = Cause(entry.causation, entry.correlation, "")
        return self._handle(entry.order_id, message, cause, now, {entry.id: event})

    def hear(self, logged: Logged, now: float) -> bool:
        """Handle an event in silence; whether that was possible."""
        entry, event, _ = logged
        return self._handle(entry.order_id, event, Cause(entry.id, entry.correlation, ""), now, {})

    def be_answered(self, order_id: str, now: float, about: str | None = None) -> bool:
        """Hear in silence what the world said about an effect, or any effect of the order."""
        for answer in list(self._open.get(order_id, {}).values()):
            if about in (None, answer.effect.id):
                cause = Cause(answer.id, answer.effect.correlation, "")
                if self._handle(order_id, _told(answer, CARD_DECLINED), cause, now, {}):
                    return True
        return False

    # ── how ───────────────────────────────────────────────────────────────────────────────────
    def _message(self, logged: Logged) -> Struct | None:
        """What led to the event: an answer from outside, a command, or a timer."""
        entry, event, _ = logged
        if answer := self._open.get(entry.order_id, {}).get(entry.causation):
            return _told(answer, getattr(event, "reason", CARD_DECLINED))
        if entry.causation == entry.correlation:
            return _command(event)
        for kind in self._service.handlers:
            timer = self.tx[Timer].get(f"{kind.__name__}/{entry.order_id}")
            if timer and derived_id(timer.correlation, timer.id) == entry.causation:
                return msgspec.json.decode(timer.body, type=kind)
        return None

    def _handle(
        self, order_id: str, message: Struct, cause: Cause, now: float, expected: dict[str, Event]
    ) -> bool:
        """Handle a message if that makes the service do just what it did then; else undo it."""
        mark, before = self.tx.savepoint(), self._rows(order_id)
        handling = self._run(message, cause, now)
        if handling is None or not self._is_as_then(handling, expected):
            self.tx.undo_to(mark)
            return False
        if order_id == self._watch:
            pairs = zip(before, self._rows(order_id), strict=True)
            handling.changes.extend((old, new) for old, new in pairs if old != new)
            self.handlings.append(handling)
        self._expect_answers(order_id, handling)
        return True

    def _run(self, message: Struct, cause: Cause, now: float) -> Handling | None:
        """Call the handler; None if it raises."""
        outbox, effects = self.tx.counted("outbox"), self.tx.counted("effects")
        try:
            work = Work(self.name, "1", self.tx, cause, now)
            self._service.handlers[type(message)](message, work)
        except Exception as error:
            self.trouble = f"{self.name} now raises {type(error).__name__}: {error}"
            return None
        new = [self.tx[Outbox].get(seq + 1) for seq in range(outbox, self.tx.counted("outbox"))]
        said = {row.id: msgspec.json.decode(row.body, type=_EVENTS[row.type]) for row in new}
        asked = [self.tx[Effect].get(seq + 1) for seq in range(effects, self.tx.counted("effects"))]
        return Handling(self.name, message, cause.id, [], said, asked)

    def _is_as_then(self, handling: Handling, expected: dict[str, Event]) -> bool:
        """Whether just this was said, and effects were asked for as the service has noted them."""
        if handling.said != expected:
            others = ", ".join(event.key for event in handling.said.values()) or "nothing"
            same = handling.said.keys() == expected.keys()
            self.trouble = f"{self.name} now says {'it otherwise' if same else others}"
            return False
        asked = {effect.id for effect in handling.asked}
        might = {derived_id(handling.cause, kind.__name__) for kind in self._service.effects}
        noted = self._notes.effects
        return asked >= (might & noted) and (asked <= noted or not self._notes.complete)

    def _expect_answers(self, order_id: str, handling: Handling) -> None:
        """Forget the answers that can no longer come, and expect those that now may."""
        answers = self._open.setdefault(order_id, {})
        if given := answers.get(handling.cause):
            self.answered.add(given.effect.id)
            for answer in list(answers.values()):
                if answer.effect.id == given.effect.id:
                    del answers[answer.id]
        for effect in handling.asked:
            self.asked.setdefault(order_id, []).append(effect)
            for kind in ANSWERS[effect.type]:
                id_ = derived_id(effect.id, kind.__name__)
                answers[id_] = Answer(id_, effect, kind)

    def _rows(self, order_id: str) -> list[Row | None]:
        """The order's rows, if it is the one to be watched."""
        if order_id != self._watch:
            return []
        kinds = (kind for kind in self._service.rows if kind.__struct_fields__[0] == "order_id")
        return [self.tx[kind].get(order_id) for kind in kinds]


def _told(answer: Answer, reason: str) -> Struct:
    order_id = answer.effect.subject
    return Declined(order_id, reason) if answer.kind is Declined else answer.kind(order_id)


def _command(event: Event) -> Struct:
    """What was asked at the door."""
    if isinstance(event, OrderCreated):
        return PlaceOrder(event.customer, event.card, event.lines)
    return CancelOrder(event.order_id)
