"""`os._exit` at every durable boundary of every service: the simulator's crash points, for real."""

from collections import deque
from collections.abc import Collection, Iterator

from ecom.errors import ServiceDied
from ecom.runtime.saga import Saga
from ecom_lab.chaos.process import EXIT_STATUS
from ecom_lab.chaos.testbed import Testbed
from ecom_lab.chaos.verdict import HarnessFailed

_HEARS = ("before commit", "after commit", "before ack", "after ack")
_CONFIRMS = ("on a confirm", "before commit of confirms", "after commit of confirms")
_SAYS = ("before publish", "after publish", *_CONFIRMS)
_ANSWERS = ("on an answer", "before commit of answers", "after commit of answers")
_ASKS = ("before perform", "after perform", *_ANSWERS)
_REPLIES = ("before reply", "after reply")


def points(saga: Saga, asked: Collection[str]) -> list[tuple[str, str]]:
    """All that a saga's services come to; `asked` are those that are given commands."""
    producers = {event.producer for event in saga.contract.events}
    return [
        (name, point)
        for name, service in saga.services.items()
        for may, its in (
            (True, _HEARS),
            (name in producers, _SAYS),
            (service.effects, _ASKS),
            (name in asked, _REPLIES),
        )
        for point in (its if may else ())
    ]


def crash(bed: Testbed) -> Iterator[str]:
    """Arm every service with one failpoint after the other, until `rounds` of them have struck.

    All points come once before any comes twice.
    """
    plan = _plan(bed)
    armed = {}
    for service in bed.services:
        bed.leave(service)
        _start(bed, service, plan, armed)
    while armed:
        _order_some(bed, armed)
        for service in [each for each in armed if not bed.processes.is_alive((each, "1"))]:
            yield _what_struck(bed, service, armed.pop(service))
            _start(bed, service, plan, armed)


def _plan(bed: Testbed) -> dict[str, deque[str]]:
    """Service → the points it will be armed with, one after the other."""
    every, whole = points(bed.runner.saga, bed.trial.asked), []
    while len(whole) < bed.rounds:
        whole += bed.random.sample(every, len(every))
    plan = {service: deque() for service in bed.services}
    for service, point in whole[: bed.rounds]:
        plan[service].append(point)
    return plan


def _start(bed: Testbed, service: str, plan: dict[str, deque[str]], armed: dict[str, str]) -> None:
    """Start a service with its next failpoint; without one if it has had all of its own."""
    told = {}
    if plan[service]:
        armed[service] = plan[service].popleft()
        told["ECOM_FAILPOINT"] = f"{armed[service]}/{bed.random.randint(1, 6)}"
    try:
        bed.processes.start((service, "1"), target=bed.trial.failing, extra=told)
    except ServiceDied:
        if not told:
            raise  # else it has struck before the service was ready


def _order_some(bed: Testbed, armed: dict[str, str]) -> None:
    if len(bed.workload.attempted) >= bed.orders:
        raise HarnessFailed(f"{bed.orders} orders, and never was at {armed}")
    bed.workload.release(3)
    bed.wait(0.05, 0.2)


def _what_struck(bed: Testbed, service: str, point: str) -> str:
    if (status := bed.processes.status((service, "1"))) != EXIT_STATUS:
        bed.problems.append(f"{service} ended with status {status} before its failpoint")
    return f"{service} died {point}"
