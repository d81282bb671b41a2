"""A saga of one's own under the faults: `ecom chaos --of MODULE:NAME`, which names an `Own`."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from ecom.contract.contract import subject_of
from ecom.errors import ServiceDied, ServiceDown, ShopError
from ecom.harness.running import Books, Running
from ecom.stores.reading import totals
from ecom_lab.chaos.workload import AGAIN_SECONDS, Workload

if TYPE_CHECKING:
    from ecom_lab.chaos.fault import Fault, Size

Wish = tuple[str, Struct]  # service, command


class Commands(Workload):
    """Gives each command until a service answers or refuses it."""

    def __init__(self, running: Running, commands: Sequence[Wish]) -> None:
        super().__init__(commands)
        self._running = running

    def _ask(self, chunk: Sequence[Wish]) -> None:
        for service, command in chunk:
            self.attempted.add(subject_of(command))
            while not self._stopped.is_set():
                try:
                    self._running.command(service, command)
                    self.acknowledged[subject_of(command)] = subject_of(command)
                    break
                except (ServiceDown, ServiceDied):
                    time.sleep(AGAIN_SECONDS)
                except ShopError:
                    break


@dataclass(frozen=True)
class Own:
    """What the faults need to know of a saga.

    `running(number, **where)` is to be a `Running` for so many sagas, given `where` as it is, with
    the saga's invariants; `commands(number)` what begins them: services and commands, whose first
    field is the saga's id and which may be given twice. Lost is a saga that was acknowledged and
    has not ended, doubled an effect that is equal, in all its fields, to another one of its saga.
    """

    name: str
    running: Callable[..., Running]
    commands: Callable[[int], Sequence[Wish]]

    failing = "ecom_lab.chaos.process:member"

    @property
    def suffix(self) -> str:
        return f"-of-{self.name}"

    @property
    def asked(self) -> set[str]:
        return {service for service, _ in self.commands(1)}

    def runner(self, fault: "Fault", size: "Size", **where: Any) -> Running:
        return self.running(size.orders, **where)

    def workload(self, running: Running, fault: "Fault", size: "Size", seed: int) -> Commands:
        return Commands(running, self.commands(size.orders))

    def judge(self, running: Running, workload: Commands) -> tuple[str, dict[str, int]]:
        services = running.saga.services.values()
        kinds = {kind: (its.name, it) for its in services for kind, it in its.transitions.items()}
        ((kind, (owner, lifecycle)),) = kinds.items()
        _, _, under_way = lifecycle.transitions[0]
        with Books(running.saga, running.folder) as books:
            rows = books.rows(owner, kind)
            known = sum(totals(books[its.name].counters())["duplicates"] for its in services)
            done = Counter(
                (its.name, it.subject, type(it.effect), msgspec.json.encode(it.effect))
                for its in services
                if its.effects
                for it in books.ledger(its.name)
            )
        ended = {key for key, row in rows.items() if row.state != under_way}
        verdict = running.books()
        return f"balanced: {len(rows):,} {self.name}" if verdict.balanced else f"off: {verdict}", {
            "attempted": len(workload.attempted),
            "acknowledged": len(workload.acknowledged),
            "lost": len(workload.acknowledged.keys() - ended),
            "unexpected": len(rows.keys() - workload.attempted),
            "duplicate_deliveries": known,
            "duplicate_effects": done.total() - len(done),
        }
