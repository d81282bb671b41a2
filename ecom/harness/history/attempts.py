"""What the services' tables say of one saga: attempts, dead letters, what is still to be done."""

from collections import Counter as Tally
from collections.abc import Iterator
from typing import NamedTuple

from ecom.harness.history.past import Past
from ecom.runtime.tables import Effect, Inbox, Outbox, Timer
from ecom.stores.base import Counter


class Attempts(NamedTuple):
    """Everything of one saga that is in no log."""

    inbox: dict[tuple[str, str], Inbox]  # by service and event id
    effects: dict[str, Effect]  # by id
    published: dict[str, Outbox]  # by event id, whether the broker has it or not
    dead: list[tuple[str, Outbox]]  # dead letters, by service
    timers: list[tuple[str, Timer]]  # those that run, by service


def attempts_of(past: Past, subject: str) -> Attempts:
    """Read them from every service's database."""
    all_ = Attempts({}, {}, {}, [], [])
    for service in past.services:
        inbox, effects, outbox, timers = (
            past.rows(service, kind, subject=subject) for kind in (Inbox, Effect, Outbox, Timer)
        )
        all_.inbox.update(((service, row.id), row) for row in inbox)
        all_.effects.update((row.id, row) for row in effects)
        all_.published.update((row.id, row) for row in outbox if row.exchange == "events")
        all_.dead.extend((service, row) for row in outbox if row.exchange == "dead")
        all_.timers.extend((service, row) for row in timers)
    return all_


def forgotten_by(past: Past, service: str) -> Iterator[str]:
    """The ids of the events that a service has handled so long ago that it has no row of them: of
    each type the first in the log, as many as its counters say."""
    inbox = past.rows(service, Inbox)
    counted = {row.name: row.value for row in past.rows(service, Counter)}
    known = {row.id for row in inbox}
    kept = Tally(row.type for row in inbox if row.state != "waiting")
    heard = past.saga.contract.consumed_by(service)
    left = {key: counted.get(f"handled:{key}", 0) - kept[key] for key in heard}
    for logged in past.log:
        key = logged.event.key
        if left.get(key, 0) > 0 and logged.id not in known:
            left[key] -= 1
            yield logged.id
