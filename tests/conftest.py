"""One broker for the whole run, and shops on it: all real."""

import time
from collections.abc import Callable

import pytest

from ecom import Shop
from ecom.broker import lease


@pytest.fixture(scope="session")
def broker():
    """The address of a RabbitMQ, held for the session. Without one, tests fail: none is skipped."""
    with lease() as url:
        yield url


@pytest.fixture
def shop(broker):
    """An open shop with the catalogue's stock, gone after the test."""
    with Shop(amqp_url=broker) as shop:
        yield shop


@pytest.fixture
def wait_for():
    """Wait until a condition holds: a test never sleeps for a guessed time."""

    def wait(condition: Callable[[], object], seconds: float = 20.0) -> object:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {condition}"
            time.sleep(0.01)
        return found

    return wait
