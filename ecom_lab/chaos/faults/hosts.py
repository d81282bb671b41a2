"""Hosts killed, cut off, slowed; the primary lost, and its standby promoted; a rolling release.

What an operator does is what docs/DEPLOY.md says, and no more.
"""

from collections.abc import Callable, Iterator
from itertools import cycle, islice

from ecom.contract.permissions import PROVISIONER
from ecom_lab.chaos.deployment import HOSTS
from ecom_lab.chaos.fault import Injection, Strike
from ecom_lab.chaos.faults.services import RELEASE
from ecom_lab.chaos.hosts import LINES, Host
from ecom_lab.chaos.testbed import Testbed

ROLES = ("primary", "standby", "neither")


def in_turn(*strikes: Strike) -> Injection:
    """Each of `strikes` after the other, amid orders."""

    def inject(bed: Testbed) -> Iterator[str]:
        for strike in islice(cycle(strikes), bed.rounds):
            bed.burst()
            yield strike(bed)
            bed.wait(1.0, 3.0)

    return inject


def _host(bed: Testbed, role: str) -> Host:
    database = bed.runner.database
    others = [it for it in HOSTS if it not in (database.primary.number, database.standby.number)]
    return {
        "primary": database.primary,
        "standby": database.standby,
        "neither": bed.runner.hosts[others[0]],
    }[role]


def kill(role: str) -> Strike:
    """A host loses its power, and has it again a while later."""

    def strike(bed: Testbed) -> str:
        host = _host(bed, role)
        host.kill()
        bed.burst()
        if role == "primary":
            bed.runner.database.promote()
        bed.wait(bed.seconds, bed.seconds)
        host.boot()
        bed.runner.restore(host)
        return f"host with {role} killed"

    return strike


def _meanwhile(role: str, what: str, strike: Callable[[Host], None]) -> Strike:
    """This is so for a while; nobody does anything but wait."""

    def inject(bed: Testbed) -> str:
        host = _host(bed, role)
        strike(host)
        bed.burst()
        bed.wait(bed.seconds, bed.seconds)
        host.mend()
        return f"host with {role} {what}"

    return inject


def cut(role: str) -> Strike:
    """Nobody reaches a host, and it reaches nobody."""
    return _meanwhile(role, "cut off", lambda host: host.cut(*LINES))


def cut_database(role: str) -> Strike:
    """A host's line for databases is cut: brokers and services reach each other."""
    return _meanwhile(role, "cut off from databases", lambda host: host.cut("back"))


def slow(role: str) -> Strike:
    """All that a host sends and gets crawls."""
    return _meanwhile(role, "slow", lambda host: host.slow("256kbit"))


_KINDS = (cut, cut_database, slow)
LINES_OF_ALL = [kind(ROLES[(n + at) % 3]) for at in range(3) for n, kind in enumerate(_KINDS)]


def fail_over(bed: Testbed) -> str:
    """The primary dies, whose host goes on; the standby is promoted under load."""
    _replace_primary(bed)
    return "primary killed, standby promoted"


def fence(bed: Testbed) -> str:
    """The primary is cut off, with services beside it; it is ended before the standby is promoted,
    and only then has its host its lines again."""
    host = bed.runner.database.primary
    host.cut(*LINES)
    bed.wait(bed.seconds, bed.seconds)
    _replace_primary(bed)
    return "primary cut off, ended, standby promoted"


def _replace_primary(bed: Testbed) -> None:
    database = bed.runner.database
    before = database.primary
    database.kill()
    database.promote()
    bed.burst()
    before.mend()
    database.restore(before)


def roll(bed: Testbed) -> Iterator[str]:
    """Round by round, host after host has the other release, its provisioner first."""
    for turn in range(bed.rounds):
        told = {"ECOM_CONTRACT": "next"} if turn % 2 == 0 else {}
        if told:
            bed.runner.start((PROVISIONER, "1"), target=RELEASE, **told)
        for number in bed.random.sample(HOSTS, len(HOSTS)):
            bed.burst(len(HOSTS))
            bed.runner.leave(number)
            members = [(service, str(number)) for service in bed.services]
            bed.runner.start(*members, target=RELEASE, **told)
        yield "all hosts on release N+1" if told else "all hosts on release N"
