"""When is a shop quiet? Read from the services' databases alone, without disturbing them.

Every service counts, in the transaction that does the work, the events it emits and the distinct
events it has handled. The counters only grow (`handled` shrinks when a dead letter is replayed, but
then `replayed` grows), so two equal looks one after the other prove that in between nothing moved;
if then every event was handled by all who hear it, and nothing waits to be sent, retried or
performed, the shop is quiet. Deadlines in the future may remain.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecom.contract.contract import Contract
from ecom.errors import NotSettled
from ecom.harness.processes import Crew
from ecom.harness.progress import progress
from ecom.stores.reader import connect

LOOK_SECONDS = 0.03  # between two looks
STUCK_SECONDS = 1.0  # nothing has moved for so long: have a look at the dead letters

_COUNTERS = "SELECT name, value FROM counters"
_BACKLOG = """
    SELECT 'unsent', count(*) FROM outbox WHERE done_at IS NULL
    UNION ALL SELECT 'effects', count(*) FROM effects WHERE done_at IS NULL
    UNION ALL SELECT 'retries', count(*) FROM inbox WHERE due IS NOT NULL
"""
_LAST_ERROR = """
    SELECT last_error FROM (
        SELECT last_error, due FROM inbox WHERE state = 'waiting'
        UNION ALL SELECT last_error, due FROM effects WHERE state = 'pending')
    WHERE last_error IS NOT NULL ORDER BY due DESC LIMIT 1
"""


@dataclass(frozen=True)
class Look:
    """What the databases said at one moment each, by service."""

    contract: Contract
    counters: dict[str, dict[str, int]]
    backlog: dict[str, dict[str, int]]  # unsent, effects, retries, replays

    def unhandled(self) -> dict[tuple[str, str], int]:
        """(service, event type) → how many it has yet to handle; below 0: more than were said."""
        emitted = {
            key: sum(counts.get(f"emitted:{key}", 0) for counts in self.counters.values())
            for key in self.contract.by_key
        }
        gaps = {
            (service, key): emitted[key] - self.counters[service].get(f"handled:{key}", 0)
            for service in self.contract.services
            for key in self.contract.heard_by(service)
        }
        return {which: gap for which, gap in gaps.items() if gap}

    def nothing_under_way(self) -> bool:
        """Whether nothing waits to be sent, performed or retried."""
        return not any(backlog[kind] for backlog in self.backlog.values() for kind in _UNDER_WAY)

    def awaited(self) -> list[str]:
        """One sentence about each thing that is not done; empty when this look shows none."""
        sentences = [
            f"{service} has not handled {gap} {key}" if gap > 0
            else f"{service} handled {-gap} {key} that no service of this shop said"
            for (service, key), gap in self.unhandled().items()
        ]  # fmt: skip
        for service, backlog in self.backlog.items():
            sentences += [
                f"{service}: {_UNDER_WAY[kind].format(backlog[kind])}"
                for kind in _UNDER_WAY
                if backlog[kind]
            ]
        return sentences


_UNDER_WAY = {
    "unsent": "{} messages not confirmed by the broker",
    "effects": "{} effects to be performed",
    "retries": "{} messages waiting for another try",
    "replays": "{} replayed dead letters on their way",
}


class Watch:
    """Looks at the databases of the shop in `folder`, again and again, over open connections.

    `replayed`: how many replayed dead letters each service must have taken, in its whole life.
    """

    def __init__(
        self, contract: Contract, folder: Path, replayed: Mapping[str, int] | None = None
    ) -> None:
        self.contract = contract
        self._replayed = replayed or {}
        self._databases = {service: connect(folder, service) for service in contract.services}

    def look(self) -> Look:
        """Read all databases once."""
        counters, backlog = {}, {}
        for service, database in self._databases.items():
            # One snapshot for both: a counter and the rows that belong to it change together.
            database.execute("BEGIN")
            counters[service] = dict(database.execute(_COUNTERS).fetchall())
            backlog[service] = dict(database.execute(_BACKLOG).fetchall())
            database.execute("COMMIT")
            taken = counters[service].get("replayed", 0)
            backlog[service]["replays"] = max(0, self._replayed.get(service, 0) - taken)
        return Look(self.contract, counters, backlog)

    def ended(self) -> tuple[int, int]:
        """How many orders have ended, of how many."""
        query = """SELECT coalesce((SELECT value FROM counters WHERE name = 'orders'), 0),
                          (SELECT count(*) FROM orders WHERE state = 'PENDING')"""
        total, pending = self._databases["order"].execute(query).fetchone()
        return total - pending, total

    def pending(self, limit: int = 5) -> list[str]:
        """The first orders that have not ended."""
        query = "SELECT order_id FROM orders WHERE state = 'PENDING' ORDER BY rowid LIMIT ?"
        return [row[0] for row in self._databases["order"].execute(query, (limit,))]

    def last_errors(self) -> dict[str, str]:
        """Service → the error that its latest retry follows."""
        rows = {service: db.execute(_LAST_ERROR).fetchone()
                for service, db in self._databases.items()}  # fmt: skip
        return {service: row[0] for service, row in rows.items() if row}

    def never_handled(self, service: str) -> set[str]:
        """The ids of the events that `service` should have handled and did not."""
        heard = set(self.contract.heard_by(service))
        handled = {row[0] for row in self._databases[service].execute("SELECT id FROM inbox")}
        return {
            id_
            for database in self._databases.values()
            for id_, key in database.execute("SELECT id, type FROM outbox WHERE exchange='events'")
            if key in heard and id_ not in handled
        }

    def close(self) -> None:
        """Close the connections."""
        for database in self._databases.values():
            database.close()


def nothing_left(contract: Contract, folder: Path) -> bool:
    """Whether nobody awaits anything, and no dead letter was put aside."""
    with closing(Watch(contract, folder)) as watch:
        look = watch.look()
    return not look.awaited() and not any(c.get("dead") for c in look.counters.values())


def wait_until_quiet(
    contract: Contract,
    folder: Path,
    crew: Crew,
    parked: Callable[[str], set[str]],
    timeout: float,
    replayed: Mapping[str, int],
    bar: Any = None,
) -> None:
    """Return once the shop is quiet. Raises `NotSettled` after `timeout` seconds, `ServiceDied`.

    `parked(service)` tells the ids of the events in its dead-letter queue: those are settled, too.
    For `replayed` see `Watch`; `bar` is shown the orders that end instead of a progress bar.
    """
    with closing(Watch(contract, folder, replayed)) as watch:
        _, total = watch.ended()
        with nullcontext(bar) if bar is not None else progress(total, "orders ended") as bar:
            _wait(watch, crew, parked, timeout, bar)


def _wait(watch: Watch, crew: Crew, parked: Callable, timeout: float, bar: Any) -> None:
    begun = same_since = time.monotonic()
    before = None
    while True:
        crew.check()
        look, now = watch.look(), time.monotonic()
        if look != before:
            before, same_since = look, now
        elif not look.awaited():
            return
        elif now - same_since > STUCK_SECONDS and look.nothing_under_way():
            if _is_all_dead(watch, look, parked):
                return
            same_since = now
        if now - begun > timeout:
            raise NotSettled(_why(watch, look, crew, timeout))
        ended, _ = watch.ended()
        bar.update(ended - bar.n)
        time.sleep(LOOK_SECONDS)


def _is_all_dead(watch: Watch, look: Look, parked: Callable[[str], set[str]]) -> bool:
    """Whether whatever was not handled lies in a dead-letter queue."""
    services = {service for service, _ in look.unhandled()}
    return all(watch.never_handled(service) <= parked(service) for service in services)


def _why(watch: Watch, look: Look, crew: Crew, timeout: float) -> str:
    """What is still awaited, one thing a line."""
    reasons = crew.missing() + look.awaited()
    reasons += [f"{service} last failed with {error}"
                for service, error in watch.last_errors().items()]  # fmt: skip
    ended, total = watch.ended()
    if ended < total:
        first = ", ".join(watch.pending())
        reasons.append(f"{total - ended} of {total} orders have not ended: {first}, …")
    return f"Not quiet after {timeout:g} seconds. Still awaited:\n" + "\n".join(
        f"  - {reason}" for reason in reasons
    )
