"""Ways of messages: which queues a publication comes to, and what becomes of a delivery."""

from collections.abc import Iterator

from ecom.contract.topology import bindings, echo, is_control
from ecom_lab.simulator import broker
from ecom_lab.simulator.broker import Held
from ecom_lab.simulator.interning import Change, MessageTable, Numbers
from ecom_lab.simulator.scenario import Scenario

COUNTED = 7  # deliveries that came back are counted up to here

Lane = tuple[int, int, str]  # of one process's messages: service, replica; perhaps the saga
# Of an echo, which is behind what is in the queue; and behind what comes there later, too, as if it
# had been published then.
LAST: Lane = (99, 0, "")
STRAY: Lane = (-1, 0, "")  # of what nobody here has published
Changed = tuple[int, Change]  # where in a state, and how


class Routing:
    """A broker's part in a world: every change of a queue."""

    def __init__(
        self, scenario: Scenario, messages: MessageTable, queues: Numbers, core: list[int]
    ) -> None:
        self._scenario, self._messages, self._core = scenario, messages, core
        self._change = queues.change
        contract = scenario.saga.contract
        self._names = contract.services
        self._bindings = [
            (queue.partition(".")[2], key) for queue, key in bindings(contract, contract.name)
        ]
        self.first = len(self._names)  # where in a state the first queue is
        self.dead = 2 * self.first

    def leaves(self, who: int, held: Held) -> Changed:
        """A message is delivered to a service."""
        return self.first + who, self._change(broker.deliver, held)

    def lost(self, who: int) -> Changed:
        """A queue is deleted with all that is in it, and made anew."""
        return self.first + who, self._change(broker.delete)

    def comes_back(self, who: int, held: Held) -> Changed:
        """A delivery that was not acknowledged returns to its queue, or is set aside."""
        it = self._scenario
        if it.is_counted and broker.is_set_aside(held, it.limit):
            return self._set_aside(held.message)
        counts = it.is_counted and held.returned < COUNTED
        back = held if counts else held._replace(returned=held.returned - 1)
        return self.first + who, self._change(broker.give_back, back)

    def published(self, message: int, who: int, replica: int) -> Iterator[Changed]:
        """A message comes into the queues that are bound for it."""
        it = self._messages.values[message]
        if not it.exchange:
            yield self._set_aside(message)
            return
        for name in broker.route(it.key, self._bindings):
            listener = self._names.index(name)
            if not is_control(it.key) or listener in self._core:
                lane = self._lane(name, message, who, replica)
                yield self.first + listener, self._change(broker.publish, Held(message, lane))

    def _set_aside(self, message: int) -> Changed:
        return self.dead, self._change(broker.publish, Held(message, (message, 0, "")))

    def _lane(self, listener: str, message: int, who: int, replica: int) -> Lane:
        if listener in self._scenario.unordered:
            return message, 0, ""
        if self._messages.values[message].key == echo(listener):
            return LAST
        split = listener in self._scenario.by_subject
        return who, replica, self._messages.subject(message) if split else ""
