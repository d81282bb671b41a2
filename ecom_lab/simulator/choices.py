"""What may come next: commands, deliveries, what a process wants itself; one or several at once."""

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any, NamedTuple

from ecom.contract.topology import echo, is_control
from ecom.runtime import streams
from ecom.runtime.tables import Effect, Inbox, Outbox, Received, Timer
from ecom_lab.simulator.broker import LAST, Model
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.service_state import ProcessState, ServiceState, row_of

State = tuple[int, ...]
Input = tuple[Any, ...]  # its kind, and what it is about
What = tuple[int, tuple[Input, ...]]  # the number of a replica, and what it is given at once

ALONE = frozenset(("restart", "reconnect", "read", "write"))  # never in a batch; nor is a fault


class Choice(NamedTuple):
    """An input that a process may be given next."""

    input: Input
    cost: int = 0  # faults
    after: int | None = None  # only with this other choice, in the same step


def steps(world: Model, state: State, who: int, replica: int) -> Iterator[tuple[What, int]]:
    """What a replica may be given in one step, with the number of faults."""
    found = _choices(world, state, who, replica)
    for it in found:
        if it.after is None:
            yield (replica, (it.input,)), it.cost
    together = [i for i, it in enumerate(found) if not it.cost and it.input[0] not in ALONE]
    for size in range(2, world.scenario.batch + 1):
        for chosen in combinations(together, size):
            its = [found[i] for i in chosen]
            if all(it.after is None or it.after in chosen for it in its):
                yield (replica, tuple(it.input for it in its)), 0


def _choices(world: Model, state: State, who: int, replica: int) -> list[Choice]:
    local = world.local(state, who)
    found: list[Choice] = []
    if replica == next(filter(local.is_free, range(len(local.processes))), None):
        found += _commands(world, state, who)
    if is_consuming(local, replica):
        _add_deliveries(world, state, who, found)
    return [*found, *_own(world, state, who, replica)]


def is_consuming(local: ServiceState, replica: int) -> bool:
    """Whether messages are delivered to this replica."""
    return local.is_free(replica) and local.processes[replica].connected


# ── clients: they come or they do not, and ask again, or not, if they are not answered ────────
class Progress(NamedTuple):
    """How far one client has come."""

    done: int = 0  # requests that were answered
    attempt: int = 0  # how often they have asked for the next in vain
    answer: str = ""  # the last one: the subject of a saga


Crowd = tuple[Progress, ...]


def answered(crowd: Crowd, asked: tuple[int, ...], replies: tuple[tuple[int, str], ...]) -> Crowd:
    """The clients after these have asked, of whom some were given these replies."""
    after = list(crowd)
    for i in asked:
        after[i] = crowd[i]._replace(attempt=crowd[i].attempt + 1)
    for i, answer in replies:
        after[i] = Progress(crowd[i].done + 1, 0, answer)
    return tuple(after)


def _commands(world: Model, state: State, who: int) -> list[Choice]:
    """What clients ask for. Of those in line, the next only comes together with the one before."""
    clients, found = enumerate(world.scenario.clients), []
    handled = world.scenario.saga.services[world.names[who]].handlers
    line: dict[Any, int] = {}  # the last one of those alike who have done nothing yet
    for (i, client), (done, attempt, answer) in zip(clients, world.crowd(state), strict=True):
        wanted = client.requests[done] if done < len(client.requests) else None
        message = wanted(answer) if isinstance(wanted, type) else wanted
        if type(message) not in handled:
            continue
        asked = "command", message, f"{client.name}/{done}/{attempt}", i
        waits = "in line" in world.reductions and not done and client.alike is not None
        after = line.get(client.alike) if waits else None
        if waits:
            line[client.alike] = len(found)
        found.append(Choice(asked, after=after))
    return found


# ── deliveries ────────────────────────────────────────────────────────────────────────────────
def _add_deliveries(world: Model, state: State, who: int, found: list[Choice]) -> None:
    """What may be delivered next, besides the choices that were `found` before."""
    reads = not world.scenario.disk.excludes and world.members[who].replicas > 1
    last: dict[Any, int] = {}  # what may be delivered of each lane
    queue = world.queue(state, who)
    for held in queue:
        if held.lane == LAST and len(queue) > 1:
            return
        before, last[held.lane] = last.get(held.lane), len(found)
        found.append(Choice(("read" if reads else "deliver", held), after=before))
        if before is not None and "disorder" in world.scenario.kinds:
            found.append(Choice(("overtake", held), 1))


# ── what needs nobody else: an answer, a deadline, a restart, a death ─────────────────────────
def _own(world: Model, state: State, who: int, replica: int) -> Iterator[Choice]:
    """What it does by itself."""
    local = world.local(state, who)
    process = local.processes[replica]
    if process is None:
        yield Choice(("restart",))
    if not isinstance(process, ProcessState):
        return
    if begun := local.begun_by(replica):
        yield Choice(("write", *begun.held))
        return
    if not process.connected:
        yield Choice(("reconnect",))
    for news in process.heard:
        said = getattr(news, "error", "") or type(getattr(news, "result", news)).__name__
        id_, subject = row_of(news, local)
        yield Choice(("answer", id_, said, subject))
    yield from _deadlines(world, state, who)
    for row in local.tables.get(Inbox, {}).values():
        if row.state == "waiting":
            yield Choice(("retry", row.id, row.type, row.subject))
    yield from _overdue(local, replica, process, world.scenario)
    yield from _deaths(local, process, world.scenario.kinds)


def _deadlines(world: Model, state: State, who: int) -> Iterator[Choice]:
    """Of those that ask the queue, one asks at a time."""
    asks, in_time = (), world.scenario.in_time
    if in_time:
        asks = ("asks",)
        waiting = {world.messages.values[held.message].key for held in world.queue(state, who)}
        if in_time not in waiting or echo(world.names[who]) in waiting:
            return
    for timer in world.local(state, who).tables.get(Timer, {}):
        yield Choice(("timer", timer, *asks))


def _deaths(local: ServiceState, process: ProcessState, kinds: Iterable[str]) -> Iterator[Choice]:
    """What may strike between two steps, where it makes a difference."""
    sent, doing = process.memory.outbox.under_way, process.memory.effects.under_way
    if doing or sent or not process.connected:
        if "crash" in kinds:
            yield Choice(("crash",), 1)
        if "gone" in kinds and local.has_sibling:
            yield Choice(("gone",), 1)
    if sent and process.connected and "line" in kinds:
        yield Choice(("cut off",), 1)


def _overdue(
    local: ServiceState, replica: int, process: ProcessState, scenario: Scenario
) -> Iterator[Choice]:
    """Outgoing rows that only the clock brings: put off, or those of a sibling, all at once.

    A sibling that is merely slow is a fault; of one that is down, the lease simply runs out. No row
    of a replica that lives has to wait for its own lease: one that would is forgotten here.
    """
    waits, others = False, set[str]()  # though there is room; whose rows they are
    states = zip(scenario.names, local.processes, strict=False)
    living = {name for name, it in states if isinstance(it, ProcessState)}
    both = (process.memory.outbox, process.memory.effects)
    for kind, window, most in zip((Outbox, Effect), both, scenario.windows, strict=True):
        if not window.is_open:
            continue
        for seq, row in local.tables.get(kind, {}).items():
            if row.done_at is not None or seq in window.under_way:
                continue
            is_ours = row.owner == scenario.names[replica]
            if row.due is not None:  # it came back, or failed
                about = row.id, row.type, row.subject
                cost = int(not is_ours and row.owner in living)
                yield Choice((f"again {kind.table}", *about), cost)
            elif not is_ours:
                others.add(row.owner)
            elif seq > window.last and len(window.under_way) < most:
                waits = True
    if waits:
        yield Choice(("tick",))
    for owner in sorted(others):
        yield Choice(("adopt", owner), int(owner in living))


# ── tallies ───────────────────────────────────────────────────────────────────────────────────
def missed(world: Model, state: State) -> Iterator[int]:
    """The services of whose events some are neither with a listener nor on the way there: a queue
    lost them, after the broker had confirmed them.

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
            if not all(streams.within(came.get(stream, ()), n, n) for stream, n in places):
                yield who
                break
