"""Services killed, frozen, replaced by a newer release: processes die as they please."""

import os
import signal
from collections.abc import Iterator

from ecom.harness.carried import carried
from ecom.harness.processes import log_file
from ecom.process import child
from ecom_lab.chaos.testbed import Testbed, wait_for

CONNECTED = "Connected to the broker"  # what a service logs at the start of a session
PROVISION_SECONDS = 120.0
RELEASE = "ecom_lab.chaos.process:main"  # which can be of the next release


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
    pid, log = bed.pid(service), log_file(bed.runner.folder, (service, "1"))
    sessions = log.read_text().count(CONNECTED)
    os.kill(pid, signal.SIGSTOP)
    try:
        bed.burst()
        bed.wait(4.0, 5.0)  # at a heartbeat of one second
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: log.read_text().count(CONNECTED) > sessions, 20, f"{service} to be given up")
    return f"{service} frozen"


def roll(bed: Testbed) -> Iterator[str]:
    """Round by round, each service is replaced by the other release while customers order."""
    if not bed.has_files:  # as there it is not the services that make their tables
        what = bed.database.url, bed.runner.name, carried(bed.runner.saga)
        child.call("ecom_lab.chaos.process:provision", *what, seconds=PROVISION_SECONDS)
    for turn in range(bed.rounds):
        told = {"ECOM_CONTRACT": "next"} if turn % 2 == 0 else {}
        for service in bed.random.sample(bed.services, len(bed.services)):
            bed.burst(len(bed.services))
            bed.leave(service)
            bed.processes.start((service, "1"), target=RELEASE, extra=told)
        yield "all restarted as release N+1" if told else "all restarted as release N"
