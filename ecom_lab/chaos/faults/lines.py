"""Bad lines: connections cut, swallowed, slowed and clogged between the services and the broker."""

from ecom_lab.chaos.environments import proxied
from ecom_lab.chaos.fault import Fault, Size, salvo
from ecom_lab.chaos.testbed import Stage


def cut(stage: Stage) -> str:
    """Every connection is reset."""
    stage.broker.cut()
    return "lines cut"


def cut_before_confirm(stage: Stage) -> str:
    """What is published arrives, its confirm never does."""
    stage.broker.deafen()
    stage.burst()
    stage.broker.cut()
    return "lines cut before confirms"


def half_open(stage: Stage) -> str:
    """All lines fall silent and nobody is told: heartbeats must find it out."""
    stage.broker.forget()
    stage.burst()
    return "lines half-open"


def slow(stage: Stage) -> str:
    """Everything crawls; then the lines are cut amid what is on its way."""
    stage.broker.slow(0.05)
    stage.burst()
    stage.wait(0.2, 0.6)
    stage.broker.cut()
    return "lines slow, then cut"


def clogged(stage: Stage) -> str:
    """All lines stop, and come back in random order."""
    stage.broker.clog(stage.random, stage.random.uniform(0.1, 0.5))
    stage.broker.cut()
    return "lines clogged, released at random, cut"


FAULTS = (
    Fault(
        "bad-lines", "TCP between service and broker cut, half-open, slow, clogged",
        salvo(cut, cut_before_confirm, half_open, slow, clogged, gap=(0.1, 0.5)),
        small=Size(400, 10), full=Size(10_000, 300), ground=proxied,
    ),
)  # fmt: skip
