"""Services killed, frozen, replaced by a newer release: processes die as they please.

Or as they are told, by `os._exit` at every durable boundary: the simulator's crash points, in fact.
"""

from collections.abc import Collection, Iterator

from ecom.errors import ServiceDied
from ecom.harness.carried import carried
from ecom.harness.processes import log_file
from ecom.process import child
from ecom.runtime.saga import Saga
from ecom_lab.chaos.process import EXIT_STATUS
from ecom_lab.chaos.testbed import Testbed, frozen, wait_for
from ecom_lab.chaos.verdict import HarnessFailed

CONNECTED = "Connected to the broker"  # what a service logs at the start of a session
PROVISION_SECONDS = 120.0


def kill(bed: Testbed) -> str:
    """SIGKILL; started again a moment later."""
    service, replica = bed.random.choice(bed.services), bed.random.choice(bed.replicas)
    bed.runner.kill(service, replica)
    bed.wait(0.0, 0.3)
    bed.runner.start(service, replica)
    return f"{service} killed"


def freeze(bed: Testbed) -> str:
    """SIGSTOP until the broker has given it up, then SIGCONT: it wakes up with stale messages."""
    service = bed.random.choice(bed.services)
    sessions = connections(bed, service)
    with frozen(bed.pid(service)):
        bed.endure(4.0, 5.0)  # at a heartbeat of one second
    wait_for(lambda: connections(bed, service) > sessions, 20, f"{service} to be given up")
    return f"{service} frozen"


def connections(bed: Testbed, service: str) -> int:
    """How often a service has connected to the broker."""
    return log_file(bed.runner.folder, (service, "1")).read_text().count(CONNECTED)


def roll(bed: Testbed) -> Iterator[str]:
    """Round by round, each service is replaced by the other release while customers order."""
    if bed.database:  # as there it is not the services that make their tables
        what = bed.database.url, bed.runner.name, carried(bed.runner.saga)
        child.call("ecom_lab.chaos.process:provision", *what, seconds=PROVISION_SECONDS)
    for turn in range(bed.rounds):
        told = {"ECOM_CONTRACT": "next"} if turn % 2 == 0 else {}
        for service in bed.random.sample(bed.services, len(bed.services)):
            bed.burst(len(bed.services))
            bed.leave(service)
            bed.processes.start((service, "1"), target=bed.trial.program, extra=told)
        yield "all restarted as release N+1" if told else "all restarted as release N"


_HEARS = ("before commit", "after commit", "before ack", "after ack")
_CONFIRMS = ("on a confirm", "before commit of confirms", "after commit of confirms")
_SAYS = ("before publish", "after publish", *_CONFIRMS)
_ANSWERS = ("on an answer", "before commit of answers", "after commit of answers")
_ASKS = ("before perform", "after perform", *_ANSWERS)
_REPLIES = ("before reply", "after reply")


def points(saga: Saga, asked: Collection[str]) -> list[tuple[str, str]]:
    """All that a saga's services come to; `asked` are those that are given commands."""
    producers, found = {event.producer for event in saga.contract.events}, []
    for name, service in saga.services.items():
        its = [*_HEARS]
        its += _SAYS if name in producers else ()
        its += _ASKS if service.effects else ()
        its += _REPLIES if name in asked else ()
        found += [(name, point) for point in its]
    return found


def crash(bed: Testbed) -> Iterator[str]:
    """Arm every service with one failpoint after the other, until `rounds` of them have struck.

    All points come once before any comes twice.
    """
    plan, armed = _plan(bed), {}
    for service in bed.services:
        bed.leave(service)
        _start(bed, service, plan[service], armed)
    while armed:
        if len(bed.workload.attempted) >= bed.orders:
            raise HarnessFailed(f"{bed.orders} orders, and never was at {armed}")
        bed.workload.release(3)
        bed.wait(0.05, 0.2)
        for service in [each for each in armed if not bed.processes.is_alive((each, "1"))]:
            if (status := bed.processes.status((service, "1"))) != EXIT_STATUS:
                bed.problems.append(f"{service} ended with status {status} before its failpoint")
            yield f"{service} died {armed.pop(service)}"
            _start(bed, service, plan[service], armed)


def _plan(bed: Testbed) -> dict[str, Iterator[str]]:
    """Service → the points it will be armed with, one after the other."""
    every, whole = points(bed.runner.saga, bed.trial.asked), []
    while len(whole) < bed.rounds:
        whole += bed.random.sample(every, len(every))
    chosen = whole[: bed.rounds]
    return {each: iter([point for its, point in chosen if its == each]) for each in bed.services}


def _start(bed: Testbed, service: str, planned: Iterator[str], armed: dict[str, str]) -> None:
    """Start a service with its next failpoint; without one if it has had all of its own."""
    told = {}
    if point := next(planned, None):
        armed[service] = point
        told["ECOM_FAILPOINT"] = f"{point}/{bed.random.randint(1, 6)}"
    try:
        bed.processes.start((service, "1"), target=bed.trial.program, extra=told)
    except ServiceDied:
        if not told:
            raise  # else it has struck before the service was ready
