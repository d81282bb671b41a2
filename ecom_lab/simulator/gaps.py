"""Whether events are missed: those that a queue lost after the broker had confirmed them."""

from collections.abc import Iterator
from typing import Any

from ecom.contract.topology import is_control
from ecom.runtime import streams
from ecom.runtime.streams import within
from ecom.runtime.tables import Outbox, Received

Model = Any  # that of `ecom_lab.simulator.model`, which asks this
State = tuple[int, ...]


def missed(world: Model, state: State) -> Iterator[int]:
    """The services of whose events some are neither with a listener nor on the way there.

    Nobody, while anything about that is under way. Sinks miss nothing: their turn comes last.
    """
    contract = world.scenario.saga.contract
    waiting = {
        who: [world.messages.values[held.message] for held in world.queue(state, who)]
        for who in world.core
    }
    if any(is_control(it.key) for messages in waiting.values() for it in messages):
        return
    for who in world.core:
        outbox = world.local(state, who).tables.get(Outbox, {}).values()
        for listener, messages in waiting.items():
            rows = world.local(state, listener).tables.get(Received, {})
            came = streams.came(rows.values())
            on_the_way = {it.headers.get("ce-id") for it in messages}
            heard = contract.consumed_by(world.names[listener])
            sent = [row for row in outbox if row.done_at is not None and row.type in heard]
            lost = (row for row in sent if row.id not in on_the_way)
            places = ((row.type + row.stream, row.number) for row in lost)
            if not all(within(came.get(stream, ()), n, n) for stream, n in places):
                yield who
                break
