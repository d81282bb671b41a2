"""Counterexamples as a notebook sees them: the shortest story in which a promise is violated."""

from dataclasses import dataclass

from ecom.harness.history.diagram import Diagram
from ecom.harness.history.step import Step as Line
from ecom.runtime.saga import Saga
from ecom_lab.simulator.checker import Violation
from ecom_lab.simulator.drawing import diagram, done
from ecom_lab.simulator.model import Model
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.suites import Job, explore, quietly


@dataclass(frozen=True, repr=False)
class Story:
    """The shortest history that violates a promise; its text tells it step by step."""

    violation: Violation
    saga: Saga
    done: tuple[list[Line], ...] = ()  # by each step: states changed, and what was done outside

    @property
    def diagram(self) -> Diagram:
        """The same as a picture."""
        failures = {event.key for event in self.saga.contract.events if event.failure}
        places = ("customer", *self.saga.contract.services)
        return diagram(self.violation.steps, self.violation.problem, failures, places, self.done)

    def __repr__(self) -> str:
        it = self.violation
        steps = [f"{number:3}  {step}" for number, step in enumerate(it.steps, 1)]
        told = *it.letters, f"{it.promise}: {it.problem}", it.losses
        return "\n".join([*steps, "", *filter(None, told)])


def shortest(scenario: Scenario) -> Story | None:
    """The shortest story in this world; None if no promise is violated."""
    violations = explore(Job(scenario)).violations
    if not violations:
        return None
    shown = quietly(lambda: tuple(done(Model(scenario), violations[0].steps)))
    return Story(violations[0], scenario.saga, shown)
