"""`os._exit` at every durable boundary of every service: the simulator's crash points, for real."""

from collections import deque
from collections.abc import Iterator

from ecom.errors import ServiceDied
from ecom_lab.chaos.fault import Fault, Size
from ecom_lab.chaos.process import EXIT_STATUS
from ecom_lab.chaos.testbed import Stage
from ecom_lab.chaos.verdict import HarnessFailed
from ecom_lab.shop import SERVICES

_HEARS = ("before commit", "after commit", "before ack", "after ack")
_SAYS = ("before publish", "after publish", "on a confirm",
         "before commit of confirms", "after commit of confirms")  # fmt: skip
_ASKS = ("before perform", "after perform", "on an answer",
         "before commit of answers", "after commit of answers")  # fmt: skip
POINTS = {
    "order": (*_HEARS, *_SAYS, "before reply", "after reply"),
    "inventory": (*_HEARS, *_SAYS),
    "payment": (*_HEARS, *_SAYS, *_ASKS),
    "notification": (*_HEARS, *_ASKS),
    "audit": _HEARS,
}


ALL = [(service, point) for service, points in POINTS.items() for point in points]


def crash(stage: Stage) -> Iterator[str]:
    """Arm every service with one failpoint after the other, until `rounds` of them have struck.

    All points come once before any comes twice.
    """
    plan = _plan(stage)
    armed = {}
    for service in SERVICES:
        stage.leave(service)
        _start(stage, service, plan, armed)
    while armed:
        _order_some(stage, armed)
        for service in [each for each in armed if not stage.crew.is_alive((each, "1"))]:
            yield _what_struck(stage, service, armed.pop(service))
            _start(stage, service, plan, armed)


def _plan(stage: Stage) -> dict[str, deque[str]]:
    """Service → the points it will be armed with, one after the other."""
    whole = []
    while len(whole) < stage.rounds:
        whole += stage.random.sample(ALL, len(ALL))
    plan = {service: deque() for service in SERVICES}
    for service, point in whole[: stage.rounds]:
        plan[service].append(point)
    return plan


def _start(stage: Stage, service: str, plan: dict[str, deque[str]], armed: dict[str, str]) -> None:
    """Start a service with its next failpoint; without one if it has had all of its own."""
    told = {}
    if plan[service]:
        armed[service] = plan[service].popleft()
        told["ECOM_FAILPOINT"] = f"{armed[service]}/{stage.random.randint(1, 6)}"
    try:
        stage.crew.start((service, "1"), module="ecom_lab.chaos.process", told=told)
    except ServiceDied:
        if not told:
            raise  # else it has struck before the service was ready


def _order_some(stage: Stage, armed: dict[str, str]) -> None:
    if len(stage.load.attempted) >= stage.orders:
        raise HarnessFailed(f"{stage.orders} orders, and never was at {armed}")
    stage.load.release(3)
    stage.wait(0.05, 0.2)


def _what_struck(stage: Stage, service: str, point: str) -> str:
    if (status := stage.crew.status((service, "1"))) != EXIT_STATUS:
        stage.problems.append(f"{service} ended with status {status} before its failpoint")
    return f"{service} died {point}"


FAULTS = (
    Fault(
        "failpoints", "os._exit before and after every durable step of every service",
        crash, small=Size(600, 8), full=Size(10_000, 3 * len(ALL)), hold_seconds=2.0,
    ),
)  # fmt: skip
