"""A service that is told to fail, or of the next release: `python -m ecom_lab.chaos.process NAME`.

`ECOM_FAILPOINT` is "POINT/N": the process exits, with no goodbye, when it comes to that point for
the N-th time. `ECOM_CONTRACT=next` makes it speak release N+1.
"""

import asyncio
import os
import pickle
import sys
from collections.abc import Sequence
from typing import Any

from ecom.harness.member import serve as serve_member
from ecom.process.databases import Server
from ecom.process.driver import Process
from ecom.runtime.messages import Command, Commit, Confirmed, Delivery, Failed, Performed
from ecom.runtime.saga import Saga
from ecom.sagas.choreography import choreography
from ecom.serve import serve
from ecom_lab.chaos.contract import next_release

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
