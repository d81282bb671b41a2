"""Runtimes that handle messages without a safeguard; the docstring says what is wrong."""

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from typing import Any

from ecom.contract.envelope import Refused, decode
from ecom.contract.topology import is_control
from ecom.runtime.messages import Ack, Commit, Delivery, Output
from ecom.runtime.runtime import Runtime
from ecom.runtime.service import Service, Work
from ecom.runtime.tables import Inbox
from ecom.stores.base import Transaction
from ecom_lab.simulator.scenario import Scenario


class HastyRuntime(Runtime):
    """Carries outputs of one kind out before all others. (The commit itself comes later, then.)"""

    first: type

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        outputs = super().step(inputs, now)
        yield from sorted(outputs, key=lambda output: type(output) is not self.first)


class AckFirst(HastyRuntime):
    """Messages are acknowledged first."""

    first = Ack


class NoInbox(Runtime):
    """Messages are handled as often as they come."""

    def _delivery(self, delivery: Delivery, tx: Transaction, now: float) -> None:
        if is_control(delivery.key):
            super()._delivery(delivery, tx, now)
            return
        read = decode(self._contract, delivery.headers, delivery.body)
        row = Inbox(read[0].id, read[0].type, read[0].subject, "done", now)
        self._event(row, read, delivery, tx, now)


class ClaimFirst(NoInbox):
    """The inbox row is committed before the handler runs."""

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        claims = Transaction(self._store)
        self._claimed = set()
        for each in inputs:
            id_ = each.headers.get("ce-id") if type(each) is Delivery else None
            if id_ is not None and claims[Inbox].get(id_) is None:
                claims[Inbox].put(Inbox(id_, each.key, each.headers["ce-subject"], "done", now))
                self._claimed.add(id_)
        yield Commit(claims)
        yield from super().step(inputs, now)

    def _delivery(self, delivery: Delivery, tx: Transaction, now: float) -> None:
        if delivery.headers.get("ce-id", "") in {*self._claimed, ""}:
            super()._delivery(delivery, tx, now)


class TrustsRedelivered(NoInbox):
    """What the broker calls redelivered is taken as handled."""

    def _delivery(self, delivery: Delivery, tx: Transaction, now: float) -> None:
        if not delivery.headers.get("x-delivery-count"):
            super()._delivery(delivery, tx, now)


class DropsUnreadable(Runtime):
    """What cannot be read is acknowledged and dropped."""

    def _delivery(self, delivery: Delivery, tx: Transaction, now: float) -> None:
        try:
            decode(self._contract, delivery.headers, delivery.body)
        except Refused:
            self._refused = True
        else:
            super()._delivery(delivery, tx, now)


class RequeueForEver(DropsUnreadable):
    """What cannot be read is given back to the queue, for ever."""

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        self._refused = False
        for output in super().step(inputs, now):
            if type(output) is not Ack or not self._refused:
                yield output


class NoRollback(Runtime):
    """A handler that fails leaves its work half done."""

    def _run(self, message: Any, work: Work, id: str | int) -> Any:
        work.undo = lambda: None
        return super()._run(message, work, id)


class WholeBatch(Runtime):
    """A handler that fails takes the rest of its batch with it."""

    def _run(self, message: Any, work: Work, id: str | int) -> Any:
        answer, error = super()._run(message, work, id)
        if error is not None:
            work._tx.undo_to(0)
        return answer, error


class ByNumber(Service):
    """A service that does not compare whose saga an event belongs to."""

    def _check_saga(self, subject: str, work: Work) -> None:
        pass


def by_number(scenario: Scenario) -> Scenario:
    """Events are told by the number of their order alone."""
    saga = scenario.saga
    for service in saga.services.values():
        saga = saga.replacing(ByNumber(*(getattr(service, it.name) for it in fields(Service))))
    return replace(scenario, saga=saga)
