"""Bad lines: connections cut, swallowed, slowed and clogged between the services and the broker."""

from ecom_lab.chaos.testbed import Testbed


def cut(bed: Testbed) -> str:
    """Every connection is reset."""
    bed.broker.cut()
    return "lines cut"


def cut_before_confirm(bed: Testbed) -> str:
    """What is published arrives, its confirm never does."""
    bed.broker.deafen()
    bed.burst()
    bed.broker.cut()
    return "lines cut before confirms"


def half_open(bed: Testbed) -> str:
    """All lines fall silent and nobody is told: heartbeats must find it out."""
    bed.broker.forget()
    bed.burst()
    return "lines half-open"


def slow(bed: Testbed) -> str:
    """Everything crawls; then the lines are cut amid what is on its way."""
    bed.broker.slow(0.05)
    bed.burst()
    bed.wait(0.2, 0.6)
    bed.broker.cut()
    return "lines slow, then cut"


def clogged(bed: Testbed) -> str:
    """All lines stop, and come back in random order."""
    bed.broker.clog(bed.random, bed.random.uniform(0.1, 0.5))
    bed.broker.cut()
    return "lines clogged, released at random, cut"
