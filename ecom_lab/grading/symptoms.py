"""What an operator finds at the end of a day on which a promise was violated; not why it was."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ecom.harness.history.diagram import Diagram
from ecom.services.inventory import Reservation, Stock
from ecom.services.order import Order
from ecom.services.payment import Payment
from ecom_lab.simulator.counterexample import diagram, done
from ecom_lab.simulator.model import Model, State, is_due
from ecom_lab.simulator.properties import Judge, view_of
from ecom_lab.simulator.trace import NO_EVENT, Step, replay, step_of

MOST = 100  # further steps
UNSEEN = ("crash", "gone", "cut off", "lost")  # what no service can note
STATE = "order {0.order_id} is {0.state}"
SHELF = (
    "{0.sku}: {0.initial} initial, {0.available} available, {0.held} held, {0.committed} committed"
)
ROWS = {Order: STATE, Reservation: STATE, Payment: STATE, Stock: SHELF}
BOOKED = {"provider": "{0.outcome} {0.amount} pence of order {0.order_id}", "mailbox": "{0.kind}"}
ANY = "{0}"  # in another saga than the shop's


@dataclass(frozen=True, repr=False)
class Symptoms:
    """Books, rows, ledgers, mails and dead letters as text; the history as a picture."""

    text: str
    history: Diagram

    def __repr__(self) -> str:
        return self.text

    def _ipython_display_(self) -> None:
        from IPython.display import display

        print(self)
        display(self.history)


def examine(world: Model, steps: Iterable[Step]) -> Symptoms:
    """Go on after these steps until nothing is to come, or the same comes again and again."""
    steps, state, seen = [*steps], replay(world, steps)[-1], set()
    for _ in range(MOST):
        due = [move for move in world.moves(state, 0) if is_due(move)]
        if state in seen or not due:
            break
        seen.add(state)
        move = min(due, key=lambda it: it.what[1][0][0] == "timer")
        steps.append(step_of(world, move))
        state = world.after(state, move)
    text = "\n".join(f"{what:13} {found or 'none'}" for what, found in _found(world, state))
    told = [
        (step._replace(fault="", point=""), lines)
        for step, lines in zip(steps, done(world, steps), strict=True)
        if step.inputs[0].kind not in UNSEEN and step.who != "audit"  # which notes all again
    ]
    shown, lines = zip(*told, strict=True)
    places = "customer", *world.names
    return Symptoms(text, diagram(shown, "What the services noted", (), places, lines))


def _found(world: Model, state: State) -> Iterator[tuple[str, str]]:
    """What is where, and what is found there, a line each."""
    services = view_of(world, state).services.items()
    wrong = Judge(world).problems(state, world.quiet(state))
    books = [it.text for it in wrong if it.name == "books-balance"] or [it.text for it in wrong]
    yield "books", f"\n{'':14}".join(books) or "balanced"
    declared = [kind for it in world.scenario.saga.services.values() for kind in it.rows]
    kinds = ROWS if Order in declared else dict.fromkeys(declared, ANY)
    for kind, words in kinds.items():
        rows = [row for _, local in services for row in local.tables.get(kind, {}).values()]
        yield kind.table, "; ".join(map(words.format, rows))
    for name, local in services:
        if outside := world.scenario.outside.get(name):
            yield outside.name, "; ".join(map(BOOKED.get(outside.name, ANY).format, local.ledger))
    dead = world.queues.values[state[world.dead]]
    letters = (world.messages.values[it.message].headers.get("ce-type", NO_EVENT) for it in dead)
    yield "dead letters", "; ".join(letters)
    queues = ((name, len(world.queue(state, who))) for who, name in enumerate(world.names))
    yield "waiting", "; ".join(f"{number} in {name}'s queue" for name, number in queues if number)
