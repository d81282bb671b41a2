"""The laboratory as a notebook sees it: designs without some safeguards, and their stories."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ecom.harness.history.diagram import Diagram
from ecom_lab.simulator.ablations.catalogue import BY_NAME
from ecom_lab.simulator.ablations.domain import both
from ecom_lab.simulator.checker import Explorer, Violation
from ecom_lab.simulator.drawing import diagram
from ecom_lab.simulator.model import World
from ecom_lab.simulator.scenario import Design, Scenario
from ecom_lab.simulator.suites import run


@dataclass(frozen=True, repr=False)
class Story:
    """The shortest history that breaks a promise; its text tells it step by step."""

    violation: Violation

    @property
    def diagram(self) -> Diagram:
        """The same as a picture."""
        return diagram(self.violation.steps, self.violation.problem)

    def __repr__(self) -> str:
        it = self.violation
        steps = [f"{number:3}  {step}" for number, step in enumerate(it.steps, 1)]
        lost = f"lost: £{it.pounds:.2f}, {it.units} units" if it.pounds or it.units else ""
        return "\n".join([*steps, "", f"{it.invariant}: {it.problem}", *([lost] if lost else [])])


def shortest(scenario: Scenario, without: Iterable[str] = ()) -> Story | None:
    """The shortest story in this world without these safeguards; None if no promise is broken.

    Raises `KeyError` for a safeguard that `ablations` does not know.
    """
    violations = run(Explorer(World(scenario, lacking(without)))).violations
    return Story(violations[0]) if violations else None


def lacking(names: Iterable[str]) -> Design:
    """A design that lacks all these safeguards at once; at most one of them the machinery's."""
    design = Design()
    for name in names:
        design = _without(design, BY_NAME[name].design)
    return design


def _without(design: Design, less: Design) -> Design:
    real = Design()
    lost = {
        name: getattr(less, name)
        for name in ("runtime", "disk", "provider", "mailer", "mandatory", "keys", "locked")
        if getattr(less, name) != getattr(real, name)
    }
    changes = dict(design.changes)
    for service, change in less.changes.items():
        changes[service] = both(changes[service], change) if service in changes else change
    return replace(design, **lost, changes=changes, hears={**design.hears, **less.hears})
