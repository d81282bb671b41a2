"""What the services were seen to do: measured by running their handlers, not written down twice.

The simulator takes the real handlers through every order of events in a few small worlds; whoever
looks at each step sees every change of a row's state, and what was heard just then.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ecom.runtime.tables import Counter, Inbox
from ecom.services.order import CONFIRMED, Order
from ecom.stores.base import Row
from ecom_lab.shop import EVENTS, SERVICES
from ecom_lab.simulator.enabled_actions import row_of
from ecom_lab.simulator.model import Move, State, World
from ecom_lab.simulator.scenario import Design, Scenario, Wish, race
from ecom_lab.simulator.trace import step_of

NOTHING = ""  # the state of what has no row yet

# Between them they show all that the services do: one customer who may cancel and whose card is
# good, or is declined; or who wants what is not on the shelf. Any deadline may come at any time.
WORLDS = (
    race(1, 0),
    race(1, 0, declined=1),
    Scenario((Wish(may_cancel=True),), stock=(), faults=0),
)


class Change(NamedTuple):
    """A row that went from one state to another (`NOTHING`: it was not there), and by what."""

    table: str
    before: str
    after: str
    by: str  # a routing key; or what it was in words: a command, an answer, a deadline


class Seen(NamedTuple):
    """All that was seen."""

    changes: frozenset[Change]
    forward: frozenset[str]  # the events of orders that are confirmed: the way forward


def look(worlds: Iterable[Scenario] = WORLDS, design: Design | None = None) -> Seen:
    """Everything that these worlds, and this design of the shop (the real one), can show."""
    changes: set[Change] = set()
    forward: set[str] = set()
    for world in (World(scenario, design) for scenario in worlds):
        for state, moves in _states(world):
            changes.update(change for move in moves for change in _changes(world, state, move))
            forward |= _said_of_confirmed(world, state)
    return Seen(frozenset(changes), frozenset(forward))


def _states(world: World) -> Iterator[tuple[State, list[Move]]]:
    """Every state of the world, once for each number of faults still to come, with its moves."""
    found = [(world.start(), world.scenario.faults)]
    known = set(found)
    for state, faults in found:
        moves = world.moves(state, faults)
        yield state, moves
        for after in ((world.after(state, move), faults - move.cost) for move in moves):
            if after not in known:
                known.add(after)
                found.append(after)


def _changes(world: World, state: State, move: Move) -> Iterator[Change]:
    """What a move does to the rows that have a state."""
    locals_ = world.members[move.who].locals
    before, after = locals_[state[move.who]].tables, locals_[move.outcome.local].tables
    kinds = world.design.service(SERVICES[move.who], world.scenario).rows
    for kind in (kind for kind in kinds if "state" in kind.__struct_fields__):
        for key, row in after.get(kind, {}).items():
            old = _state(before.get(kind, {}).get(key))
            if row.state != old:
                yield Change(kind.table, old, row.state, _by(world, state, move))


def _state(row: Row | None) -> str:
    return NOTHING if row is None else row.state


def _by(world: World, state: State, move: Move) -> str:
    """What the service was told just then."""
    kind, replica, *about = move.what
    local = world.members[move.who].locals[state[move.who]]
    if kind == "answer":
        heard = local.minds[replica].heard
        answer = next(news.result for news in heard if row_of(news, local) == about[0])
        return in_words(type(answer).__name__)
    if kind == "retry":
        name = local.tables[Inbox][about[0]].type
    else:
        name = re.split("[ /]", step_of(world, move).about)[0]
    return name if name in EVENTS else in_words(name)


def in_words(name: str) -> str:
    """A command, an answer or a deadline by its type: `CancelOrder` → `cancel order`."""
    return " ".join(re.findall("[A-Z][a-z]*", name)).lower()


def _said_of_confirmed(world: World, state: State) -> set[str]:
    """The events that were said, if all orders are confirmed."""
    orders = world.local(state, "order").tables.get(Order, {}).values()
    if not orders or any(order.state != CONFIRMED for order in orders):
        return set()
    counters = [
        name for service in SERVICES for name in world.local(state, service).tables.get(Counter, {})
    ]
    return {name.removeprefix("emitted:") for name in counters if name.startswith("emitted:")}
