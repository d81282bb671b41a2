"""Doing again, in order, all that one service did, from the log and from the service's notes.

The order between what a service said and what it did in silence is known only as well as its
clock tells. So a silent deed that cannot be done yet waits, and one that is needed is done early.
"""

from collections.abc import Iterator

from ecom.errors import ShopError
from ecom.harness.history.journal import Deed, Logged, Notes
from ecom.harness.history.rebuild import Rebuilt


class CannotReplay(ShopError):
    """The handlers do not say again what the log says they said."""


class Retelling:
    """The course of one service, deed by deed."""

    def __init__(self, service: Rebuilt, log: dict[str, Logged], notes: Notes) -> None:
        self._service = service
        self._log = log  # by id
        self._notes = notes
        self._silent: dict[str, list[Deed]] = {}  # by order, all there are
        for deed in notes.deeds:
            if deed.kind != "said":
                self._silent.setdefault(deed.order_id, []).append(deed)
        self._due: dict[str, list[Deed]] = {}  # by order, whose turn has come
        self._heard: set[str] = set()  # ids of events

    def tell(self, deed: Deed) -> None:
        """Do a deed again, and what has waited for it. Raises `CannotReplay`."""
        if deed.kind == "said":
            self._say(deed)
        else:
            self._due.setdefault(deed.order_id, []).append(deed)
        self._catch_up(deed.order_id, deed.now)

    def _say(self, deed: Deed) -> None:
        logged = self._log[deed.id]
        cause = self._log.get(logged.entry.causation)
        while not self._service.say(logged, cause and cause.event, deed.now):
            trouble = self._service.trouble
            if not self._go_on(deed.order_id, deed.now):
                raise CannotReplay(
                    f"The log cannot be replayed at event {deed.n}, {logged.entry.type} of order "
                    f"{deed.order_id}: {trouble}."
                )

    def _catch_up(self, order_id: str, now: float) -> None:
        """Do all that is due, as far as it can be done already."""
        due = self._due.get(order_id, [])
        while done := next((deed for deed in self._next(due) if self._do(deed)), None):
            due.remove(done)
        for effect in self._service.asked.pop(order_id, []):
            if effect.id not in self._notes.effects:  # done so long ago that nobody noted it
                self.tell(Deed("answered", order_id, effect.id, 0, now))

    def _go_on(self, order_id: str, now: float) -> bool:
        """Let something happen to the order that is not due yet; whether anything did."""
        done = any(map(self._do, self._next(self._silent.get(order_id, []))))
        return done or self._service.be_answered(order_id, now)

    def _next(self, silent: list[Deed]) -> Iterator[Deed]:
        """Those not done yet; of what was heard only the first, for that order is certain."""
        heard = False
        for deed in silent:
            if not self._is_done(deed) and not (heard and deed.kind == "heard"):
                heard = heard or deed.kind == "heard"
                yield deed

    def _is_done(self, deed: Deed) -> bool:
        done = {"heard": self._heard, "answered": self._service.answered}
        return deed.kind == "asked" or deed.id in done[deed.kind]

    def _do(self, deed: Deed) -> bool:
        """Do something silent, if the service is silent about it now."""
        if deed.kind == "answered":
            return self._service.be_answered(deed.order_id, deed.now, deed.id)
        if self._service.hear(self._log[deed.id], deed.now):
            self._heard.add(deed.id)
            return True
        return False
