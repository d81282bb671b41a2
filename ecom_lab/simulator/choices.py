"""What a process may be given next: commands, deliveries, what it wants itself; one or several."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

from ecom.contract.topology import echo
from ecom_lab.simulator.clients import request
from ecom_lab.simulator.enabled_actions import ALONE, Input
from ecom_lab.simulator.routing import LAST

Model = Any  # that of `ecom_lab.simulator.model`, which asks this
State = tuple[int, ...]


class Choice(NamedTuple):
    """An input that a process may be given next."""

    input: Input
    cost: int = 0  # faults
    optional: bool = False
    after: int | None = None  # only with this other choice, in the same step


def choices(world: Model, state: State, who: int, replica: int) -> list[Choice]:
    """All that there are for one replica."""
    member, local = world.members[who], state[who]
    found: list[Choice] = []
    if replica == member.first_alive(local):
        found += _commands(world, state, who)
    if member.takes(local, replica):
        found += _deliveries(world, state, who, len(found))
    return [*found, *_own(world, state, who, replica)]


def _own(world: Model, state: State, who: int, replica: int) -> Iterator[Choice]:
    """What it does by itself. Of deadlines that ask the queue, one asks at a time."""
    member, it = world.members[who], world.scenario
    queue = world.queue(state, who) if it.in_time else ()
    waiting = {world.messages.values[held.message].key for held in queue}
    for each, cost in member.enabled_actions(state[who], replica):
        if each[0] != "timer" or not it.in_time:
            yield Choice(each, cost)
        elif it.in_time in waiting and echo(member.name) not in waiting:
            yield Choice((*each, "asks"), cost)


def _commands(world: Model, state: State, who: int) -> list[Choice]:
    """What clients ask for. Of those in line, the next only comes together with the one before."""
    crowd, found = world.crowd(state), []
    handled = world.scenario.saga.services[world.names[who]].handlers
    line: dict[Any, int] = {}  # the last one of those alike who have done nothing yet
    for i, client in enumerate(world.scenario.clients):
        wanted = request(client, crowd[i], i)
        if wanted is None or type(wanted[1]) not in handled:
            continue
        waits = "in line" in world.reductions and not crowd[i].done and client.alike is not None
        after = line.get(client.alike) if waits else None
        if waits:
            line[client.alike] = len(found)
        found.append(Choice(wanted, optional=True, after=after))
    return found


def _deliveries(world: Model, state: State, who: int, number: int) -> Iterator[Choice]:
    """What may be delivered next; choices are numbered from `number` on."""
    reads = not world.scenario.disk.excludes and world.members[who].replicas > 1
    last: dict[Any, int] = {}  # what may be delivered of each lane
    queue = world.queue(state, who)
    for held in queue:
        if held.lane == LAST and len(queue) > 1:
            return
        before = last.get(held.lane)
        yield Choice(("read" if reads else "deliver", held), after=before)
        last[held.lane], number = number, number + 1
        if before is not None and "disorder" in world.scenario.kinds:
            yield Choice(("overtake", held), 1)
            number += 1


def steps(found: list[Choice], batch: int) -> Iterator[tuple[tuple[Input, ...], int, bool]]:
    """What may be given in one step: inputs, faults, and whether it is optional."""
    for it in found:
        if it.after is None:
            yield (it.input,), it.cost, it.optional
    together = [i for i, it in enumerate(found) if not it.cost and it.input[0] not in ALONE]
    for size in range(2, batch + 1):
        for chosen in combinations(together, size):
            its = [found[i] for i in chosen]
            if all(it.after is None or it.after in chosen for it in its):
                yield tuple(it.input for it in its), 0, any(it.optional for it in its)
