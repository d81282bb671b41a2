"""A service that is told to fail, or of the next release.

`ECOM_FAILPOINT` is "POINT/N": the process exits, with no goodbye, when it comes to that point for
the N-th time. `ECOM_CONTRACT=next` makes it speak release N+1, in which one event, one timer and
one effect have learned a field that release N does not know, orders have another column, and the
schema is a step further.
"""

import asyncio
import os
import pickle
import sys
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, defstruct

from ecom import events
from ecom.harness.carried import carried
from ecom.harness.member import serve as serve_member
from ecom.process.databases import Server
from ecom.process.driver import Process
from ecom.runtime.messages import Command, Commit, Confirmed, Delivery, Failed, Performed
from ecom.runtime.saga import Saga
from ecom.sagas.choreography import choreography
from ecom.serve import serve
from ecom.services import inventory, order, payment
from ecom.stores import migrations

EXIT_STATUS = 70

SENT_SECONDS = 0.02  # by then what was written is with the broker: see `Session.ack`
_ON_THEIR_WAY = ("after ack", "after publish")

_ARRIVALS = {Confirmed: "a confirm", Performed: "an answer", Failed: "an answer"}
# What a commit is about, by the inputs of its batch.
_COMMITS = {Command: "commit", Delivery: "commit"}
_COMMITS |= {kind: f"commit of {word.split()[1]}s" for kind, word in _ARRIVALS.items()}


class FailingProcess(Process):
    """A process with a failpoint before and after everything that cannot be taken back."""

    def __init__(self, *arguments: Any) -> None:
        point, _, times = os.environ.get("ECOM_FAILPOINT", "/0").partition("/")
        self._point, self._left = point, int(times)
        self._commit = "commit"
        super().__init__(*arguments)

    def put(self, what: Any) -> None:
        if type(what) in _ARRIVALS:
            self._pass("on", _ARRIVALS[type(what)])
        super().put(what)

    async def _step(self, batch: list[Any]) -> None:
        kinds = {type(each) for each in batch}
        self._commit = next((name for kind, name in _COMMITS.items() if kind in kinds), "nothing")
        await super()._step(batch)

    def _carry_out(self, output: Any) -> None:
        is_commit = type(output) is Commit
        what = self._commit if is_commit else type(output).__name__.lower()  # ack, publish, …
        self._pass("before", what)
        super()._carry_out(output)
        self._pass("after", what)

    def _pass(self, when: str, what: str) -> None:
        if f"{when} {what}" == self._point:
            self._left -= 1
            if self._left > 0:
                return
            if self._point in _ON_THEIR_WAY:
                asyncio.get_running_loop().call_later(SENT_SECONDS, os._exit, EXIT_STATUS)
            else:
                os._exit(EXIT_STATUS)


# What release N+1 has learned: a field each, and its value where N has said nothing of it.
_LEARNED: dict[type[Struct], tuple[str, type, Any]] = {
    events.OrderCreated: ("gift_note", str, "with love"),
    order.Order: ("gift_note", str, "with love"),
    inventory.HoldDeadline: ("reminded", bool, False),
    payment.Capture: ("statement", str, "gift shop"),
}
_NEWER: dict[Any, Any] = {
    kind: defstruct(kind.__name__, [learned], bases=(kind,), namespace={"version": 2}, frozen=True)
    for kind, learned in _LEARNED.items()
}


def next_release(saga: Saga) -> Saga:
    """The saga as release N+1 has it, which this process is of from now on."""
    named = carried(saga)  # its events, rows, timers and effects by their names
    for name in [name for name in sys.modules if name.startswith("ecom.")]:
        for attribute, value in [*vars(sys.modules[name]).items()]:
            if isinstance(value, type) and value in _NEWER:
                setattr(sys.modules[name], attribute, _NEWER[value])
    # Release N may still read what this step leaves.
    migrations.STEPS, migrations.VERSION = (*migrations.STEPS, _note_gifts), migrations.VERSION + 1
    return pickle.loads(named)


def _note_gifts(db: migrations.Schema, found: migrations.Found) -> None:
    """No order of before was a gift."""
    if "gift_note" not in found.tables.get("orders", {"gift_note"}):
        db.execute("ALTER TABLE orders ADD COLUMN gift_note TEXT DEFAULT 'none'")


def main(arguments: Sequence[str], pickled: bytes | None = None) -> None:
    """Run one service that may fail, of the release that the environment names."""
    is_next = os.environ.get("ECOM_CONTRACT") == "next"

    def release(hold_seconds: float) -> Saga:
        saga = pickle.loads(pickled) if pickled else choreography(hold_seconds)
        return next_release(saga) if is_next else saga

    serve(arguments, None, FailingProcess, release)


def member(*arguments: Any) -> None:
    """Run one service of a saga of one's own, which may fail."""
    serve_member(*arguments, FailingProcess)


def provision(url: str, shop: str, pickled: bytes) -> None:
    """Bring a shop's schemas on a server up to date, as the provisioner of release N+1."""
    for service in next_release(pickle.loads(pickled)).services.values():
        Server(url, shop).provision(service)


if __name__ == "__main__":
    main(sys.argv[1:])
