"""Audit: consumes every event and keeps it, as the event log that the notebooks tabulate."""

from ecom.contract.contract import Event
from ecom.runtime.service import Service, Work
from ecom.stores.base import Row


class Entry(Row, frozen=True):
    """One event, in the order in which audit consumed it; `body` is text as it came."""

    table = numbers = "events"

    id: str  # or `producer/id`, if another producer had used that id before
    n: int
    type: str
    order_id: str
    time: str
    producer: str
    causation: str
    correlation: str
    body: str


def keep(event: Event, work: Work) -> None:
    """Append the event to the log, once."""
    about = work.envelope
    assert about is not None  # whatever audit handles is an event
    seen, id_ = work[Entry].get(about.id), about.id
    if seen is not None and seen.producer != about.producer:
        id_ = f"{about.producer}/{about.id}"
        seen = work[Entry].get(id_)
    if seen is not None:
        return  # replayed after the inbox's retention
    what = about.type, about.subject, about.time, about.producer
    body = work.body.decode()  # with what a later release may have added to it
    entry = id_, work.number(Entry), *what, about.causation, about.correlation, body
    work[Entry].put(Entry(*entry))


def service() -> Service:
    """The audit service."""
    return Service(name="audit", rows=(Entry,), handlers={})
