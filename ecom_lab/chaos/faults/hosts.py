"""Hosts killed, cut off, slowed; the primary lost, and its standby promoted; a rolling release.

What an operator does is what docs/DEPLOY.md says, and no more.
"""

from collections.abc import Callable, Iterator
from functools import partial

from ecom.contract.topology import PROVISIONER
from ecom_lab.chaos.deployment import HOSTS
from ecom_lab.chaos.hosts import LINES, Host
from ecom_lab.chaos.testbed import Testbed, salvo

RELEASE = "ecom_lab.chaos.process"  # which can be of the next release
in_turn = partial(salvo, gap=(1.0, 3.0), in_turn=True)


def _host(bed: Testbed, role: str) -> Host:
    database = bed.runner.database
    (neither,) = {bed.runner.hosts[n] for n in HOSTS} - {database.primary, database.standby}
    return {"primary": database.primary, "standby": database.standby, "neither": neither}[role]


def kill(role: str, bed: Testbed) -> str:
    """A host loses its power, and has it again a while later."""
    host = _host(bed, role)
    host.kill()
    bed.burst()
    if role == "primary":
        bed.runner.database.promote()
    bed.wait(bed.seconds, bed.seconds)
    host.boot()
    bed.runner.restore(host)
    return f"host with {role} killed"


_BAD: dict[str, Callable[[Host], None]] = {
    "cut off": lambda host: host.cut(*LINES),  # nobody reaches it, and it reaches nobody
    "cut off from databases": lambda host: host.cut("back"),  # brokers and services are not
    "slow": lambda host: host.slow("256kbit"),  # all that it sends and gets
}


def bad_lines(role: str, how: str, bed: Testbed) -> str:
    """A host's lines are bad for a while; nobody does anything but wait."""
    host = _host(bed, role)
    _BAD[how](host)
    bed.endure(bed.seconds, bed.seconds)
    host.mend()
    return f"host with {role} {how}"


ROLES = ("primary", "standby", "neither")
KILLS = [partial(kill, role) for role in ROLES]
BAD_LINES = [
    partial(bad_lines, ROLES[(n + at) % 3], how) for at in range(3) for n, how in enumerate(_BAD)
]


def fail_over(bed: Testbed) -> str:
    """The primary dies, whose host goes on; the standby is promoted under load."""
    database = bed.runner.database
    before = database.primary
    database.kill()
    database.promote()
    bed.burst()
    before.mend()  # if it was cut off
    database.restore(before)
    return "primary killed, standby promoted"


def fence(bed: Testbed) -> str:
    """The primary is cut off, with services beside it; it is ended before the standby is promoted,
    and only then has its host its lines again."""
    bed.runner.database.primary.cut(*LINES)
    bed.wait(bed.seconds, bed.seconds)
    fail_over(bed)
    return "primary cut off, ended, standby promoted"


def roll(bed: Testbed) -> Iterator[str]:
    """Round by round, host after host has the other release, its provisioner first."""
    for turn in range(bed.rounds):
        told = {"ECOM_CONTRACT": "next"} if turn % 2 == 0 else {}
        if told:
            bed.runner.start((PROVISIONER, "1"), module=RELEASE, **told)
        for number in bed.random.sample(HOSTS, len(HOSTS)):
            bed.burst(len(HOSTS))
            members = [(service, str(number)) for service in bed.services]
            bed.runner.leave(*members)
            bed.runner.start(*members, module=RELEASE, **told)
        yield "all hosts on release N+1" if told else "all hosts on release N"
