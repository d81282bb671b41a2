"""Services killed, frozen, replaced by a newer release: processes die as they please."""

import os
import signal
from collections.abc import Iterator

from ecom.harness.processes import log_file
from ecom_lab.chaos.environments import impatient
from ecom_lab.chaos.fault import Fault, Size, salvo
from ecom_lab.chaos.testbed import Stage, wait_for
from ecom_lab.shop import SERVICES

CONNECTED = "Connected to the broker"  # what a service logs at the start of a session
RELEASE = "ecom_lab.chaos.process"  # which can be of the next release


def kill(stage: Stage) -> str:
    """SIGKILL; started again a moment later."""
    service = stage.random.choice(SERVICES)
    stage.shop.kill(service)
    stage.wait(0.0, 0.3)
    stage.shop.start(service)
    return f"{service} killed"


def freeze(stage: Stage) -> str:
    """SIGSTOP until the broker has given it up, then SIGCONT: it wakes up with stale messages."""
    service = stage.random.choice(SERVICES)
    pid, log = stage.pid(service), log_file(stage.shop.folder, (service, "1"))
    sessions = log.read_text().count(CONNECTED)
    os.kill(pid, signal.SIGSTOP)
    try:
        stage.burst()
        stage.wait(4.0, 5.0)  # at a heartbeat of one second
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: log.read_text().count(CONNECTED) > sessions, 20, f"{service} to be given up")
    return f"{service} frozen"


def roll(stage: Stage) -> Iterator[str]:
    """Round by round, each service is replaced by the other release while customers order."""
    for turn in range(stage.rounds):
        told = {"ECOM_CONTRACT": "next"} if turn % 2 == 0 else {}
        for service in stage.random.sample(SERVICES, len(SERVICES)):
            stage.burst(len(SERVICES))
            stage.leave(service)
            stage.crew.start((service, "1"), module=RELEASE, told=told)
        yield "all restarted as release N+1" if told else "all restarted as release N"


FAULTS = (
    Fault(
        "service-kills", "SIGKILL of a random service every 0.5 to 2 s",
        salvo(kill, gap=(0.0, 1.0)), small=Size(300, 4), full=Size(10_000, 300),
    ),
    Fault(
        "frozen-services", "SIGSTOP past the heartbeat, then SIGCONT",
        salvo(freeze), small=Size(100, 1), full=Size(2_500, 50), ground=impatient,
    ),
    Fault(
        "rolling-restarts", "all services replaced one by one, releases N and N+1 mixed",
        roll, small=Size(100, 1), full=Size(2_000, 10), bites=False,
    ),
)  # fmt: skip
