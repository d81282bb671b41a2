"""Fixtures for tests of a saga of your own: `pytest_plugins = ["ecom_lab.fixtures"]`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ecom.settings import all_installed

with all_installed():
    from ecom.harness.running import Running
    from ecom_lab.simulator.checker import Result
    from ecom_lab.simulator.counterexample import Story
    from ecom_lab.simulator.scenario import Scenario
    from ecom_lab.simulator.suites import Job, explore


@pytest.fixture
def explored() -> Callable[[Scenario], Result]:
    """Explores a scenario to its end. The test fails by the shortest story that violates a promise,
    and by nothing else of ours; and if there is too much to be explored."""

    def explored(scenario: Scenario) -> Result:
        result = explore(Job(scenario))
        for violation in result.violations:
            pytest.fail(repr(Story(violation, scenario.saga)), pytrace=False)
        if not result.exhaustive:
            pytest.fail(f"There is more than {result.states:,} states.", pytrace=False)
        return result

    return explored


@pytest.fixture
def running() -> Iterator[Callable[..., Running]]:
    """Runs a saga on a real broker, by the arguments of `Running`, until the test has ended."""
    with ExitStack() as stack:
        yield lambda *saga, **more: stack.enter_context(Running(*saga, **more))
