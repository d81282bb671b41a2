"""One broker for the whole run, and shops on it: all real."""

import signal
import time
import uuid
from collections.abc import Callable
from contextlib import closing

import pika
import pytest
from outer import outer
from scheduling import pytest_xdist_make_scheduler  # noqa: F401

from ecom import Shop
from ecom.broker.lease import lease
from ecom.bus import declare, parameters, remove_topology
from ecom.harness.postgres import Cluster, NoPostgres, find_postgres
from ecom.shop.provision import provision
from ecom_lab.shop import CONTRACT, SAGA


def pytest_configure():
    """Started by a shell in the background we ignore Ctrl-C, and so would all that we start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def broker():
    """The address of a RabbitMQ, held for the session. Without one, tests fail: none is skipped."""
    with lease() as url:
        yield url


@pytest.fixture(scope="module")
def cluster():
    """A private PostgreSQL. Where it is not installed, tests that need it are skipped."""
    try:
        find_postgres()
    except NoPostgres as error:
        pytest.skip(str(error))
    with Cluster() as it:
        yield it


@pytest.fixture
def shop(broker):
    """An open shop with the catalogue's stock, gone after the test."""
    with Shop(amqp_url=broker) as shop:
        yield shop


@pytest.fixture
def bare(broker, tmp_path):
    """The name of a shop that has queues and databases, and no services that would interfere."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    provision(SAGA, tmp_path)
    declare(CONTRACT, broker, name)
    yield name
    remove_topology(CONTRACT, broker, name)


@pytest.fixture
def place(broker):
    """Where `channel` leads to: a test whose shop has a vhost of its own gives `shop.amqp_url`."""
    return broker


@pytest.fixture
def channel(place):
    """A channel of our own, for an operator."""
    with closing(pika.BlockingConnection(parameters(place))) as connection:
        yield connection.channel()


@pytest.fixture
def put(channel, place):
    """Publish a persistent message, to a queue or (with `exchange`) under a key, as who we are."""
    ours = parameters(place)[0].credentials.username

    def publish(key, headers, body, exchange=""):
        properties = pika.BasicProperties(headers=headers, delivery_mode=2, user_id=ours)
        channel.basic_publish(exchange, key, body, properties)

    channel.confirm_delivery()
    return publish


@pytest.fixture(scope="session")
def wait_for():
    """Wait until a condition holds: a test never sleeps for a guessed time."""

    def wait(condition: Callable[[], object], seconds: float = 20.0) -> object:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {condition}"
            time.sleep(0.01)
        return found

    return wait


@pytest.fixture
def outside(tmp_path):
    """The sandbox's servers, none of them started yet."""
    with outer(tmp_path) as outside:
        yield outside
