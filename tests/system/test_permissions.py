"""Who may do what at the broker: every denial is found, every permission works."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pika
import pytest
from click.testing import CliRunner
from helpers import EXAMPLES, broker_url, wire
from pika.exceptions import ChannelClosedByBroker

from ecom import Shop
from ecom.broker.lease import private_node
from ecom.broker.management import ask
from ecom.bus import parameters
from ecom.cli.main import main
from ecom.contract.topology import (
    PROVISIONER,
    dead_exchange,
    dead_queue,
    exchange,
    queue,
    sender,
    user,
    users,
)
from ecom.harness.processes import log_file, note_file
from ecom.harness.tenancy import grant
from ecom_lab.shop import CONTRACT, EVENTS, SERVICES

FOREIGN = {service: SERVICES[SERVICES.index(service) - 1] for service in SERVICES}
REFUSED = "ACCESS_REFUSED"


@pytest.fixture(scope="module")
def shop(broker):
    """An open shop; its services have stopped, so that nobody else consumes or publishes."""
    with Shop(amqp_url=broker, outside="files") as shop:
        for member in list(shop.processes._children):
            shop.processes.kill(member)
        yield shop


@pytest.fixture(scope="module")
def at(shop):
    """A new channel at the broker, as a service's user: `at("payment")`."""
    urls = {name: broker_url(shop, name) for name in users(CONTRACT)}
    lines = {name: pika.BlockingConnection(parameters(url)) for name, url in urls.items()}
    yield lambda service: lines[service].channel()
    for line in lines.values():
        line.close()


@pytest.fixture
def operator(shop):
    """A channel of the operator's."""
    with closing(pika.BlockingConnection(parameters(shop.amqp_url))) as connection:
        yield connection.channel()


@contextmanager
def refused(code: int = 403, because: str = REFUSED) -> Iterator[None]:
    with pytest.raises(ChannelClosedByBroker, match=because) as caught:
        yield
    assert caught.value.reply_code == code


def publish(channel, to, key, user_id=None, body=b"{}"):
    """Publish and wait for the confirm: a refusal comes instead of it."""
    channel.confirm_delivery()
    channel.basic_publish(to, key, body, pika.BasicProperties(user_id=user_id), mandatory=True)


DENIED = {  # what → what a service tries with a foreign queue
    "declare a queue": lambda ch, shop, _: ch.queue_declare(f"{shop}.mine", durable=True),
    "declare a queue without a name": lambda ch, *_: ch.queue_declare("", exclusive=True),
    "declare an exchange": lambda ch, shop, _: ch.exchange_declare(f"{shop}.mine", "topic"),
    "delete its queue": lambda ch, shop, me: ch.queue_delete(queue(shop, me)),
    "delete a foreign queue": lambda ch, shop, me: ch.queue_delete(queue(shop, FOREIGN[me])),
    "delete the exchange": lambda ch, shop, _: ch.exchange_delete(exchange(shop)),
    "bind its queue": lambda ch, shop, me: ch.queue_bind(queue(shop, me), exchange(shop), "#"),
    "unbind its queue": lambda ch, shop, me: ch.queue_unbind(queue(shop, me), exchange(shop), "#"),
    "bind an exchange": lambda ch, shop, _: ch.exchange_bind(
        dead_exchange(shop), exchange(shop), "#"
    ),
    "consume a foreign queue": lambda ch, shop, me: ch.basic_consume(
        queue(shop, FOREIGN[me]), lambda *_: None
    ),
    "get from a foreign queue": lambda ch, shop, me: ch.basic_get(queue(shop, FOREIGN[me])),
    "get from its dead letters": lambda ch, shop, me: ch.basic_get(dead_queue(shop, me)),
    "purge a foreign queue": lambda ch, shop, me: ch.queue_purge(queue(shop, FOREIGN[me])),
    "purge its dead letters": lambda ch, shop, me: ch.queue_purge(dead_queue(shop, me)),
    "publish into a foreign queue": lambda ch, shop, me: publish(ch, "", queue(shop, FOREIGN[me])),
    "publish into its own queue": lambda ch, shop, me: publish(ch, "", queue(shop, me)),
    "publish a foreign dead letter": lambda ch, shop, me: publish(
        ch, dead_exchange(shop), FOREIGN[me]
    ),
    "publish under no key": lambda ch, shop, _: publish(ch, exchange(shop), ""),
    "publish to another exchange": lambda ch, *_: publish(ch, "amq.topic", "order.created"),
}


@pytest.mark.parametrize("what", DENIED)
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_not(shop, at, service, what):
    """Nothing but its own work: the broker refuses, and closes the channel."""
    with refused():
        DENIED[what](at(service), shop.name, service)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_publish_its_own_events_and_no_others(shop, at, service):
    """Each of all routing keys, tallies and echoes included, by each service."""
    control = [f"{each}.{what}" for each in SERVICES for what in ("tally", "missing", "echo")]
    for key in (*EVENTS, *control):
        channel = at(service)
        if key.startswith(f"{service}."):
            publish(channel, exchange(shop.name), key, user(shop.name, service))
        else:
            with refused():
                publish(channel, exchange(shop.name), key)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_do_its_work(shop, at, operator, service):
    """Look at its queue, consume and acknowledge, and set a dead letter aside."""
    channel, name = at(service), queue(shop.name, service)
    operator.queue_purge(name)
    publish(operator, "", name, body=b"work")
    channel.queue_declare(name, passive=True)
    method, _, body = next(channel.consume(name, inactivity_timeout=10))
    channel.basic_ack(method.delivery_tag)
    channel.cancel()
    assert body == b"work"
    publish(channel, dead_exchange(shop.name), service, user(shop.name, service))
    assert operator.queue_purge(dead_queue(shop.name, service)).method.message_count == 1


@pytest.mark.parametrize("service", SERVICES)
def test_nobody_publishes_under_another_name(shop, at, service):
    """The broker vouches for `user_id`: a forged one closes the channel."""
    with refused(406, "user_id"):
        key = next((key for key in EVENTS if key.startswith(service)), f"{service}.echo")
        publish(at(service), exchange(shop.name), key, user(shop.name, FOREIGN[service]))


def test_the_provisioner_declares_and_says_nothing(shop, at, operator):
    """It puts back what somebody took, and publishes under no key, nor into a queue."""
    name = queue(shop.name, "payment")
    for key in ("order.created", "payment.processed", "audit.echo", ""):
        with refused():
            publish(at(PROVISIONER), exchange(shop.name), key)
    for to, key in (("", name), (dead_exchange(shop.name), "payment")):
        with refused():
            publish(at(PROVISIONER), to, key)
    with refused():
        at(PROVISIONER).queue_declare(f"{shop.name}.mine", durable=True)
    operator.queue_delete(name)
    shop.start(PROVISIONER)
    shop.kill(PROVISIONER)
    publish(operator, exchange(shop.name), "inventory.processed")
    assert operator.queue_purge(name).method.message_count == 1


def test_another_shops_vhost_is_closed(shop, broker):
    """To every user of this shop; nor do they get into the broker's own."""
    for vhost in ("somebody-else", "%2F"):
        node = private_node(broker)
        ask(node.http, "POST", "/definitions", said={"vhosts": [{"name": "somebody-else"}]})
        for service in users(CONTRACT):
            own, _, _ = broker_url(shop, service).rpartition("/")
            there = parameters(f"{own}/{vhost}")
            with pytest.raises(pika.exceptions.ProbableAccessDeniedError, match="refused"):
                pika.BlockingConnection(there)
    ask(node.http, "DELETE", "/vhosts/somebody-else")


def test_nobody_gets_in_with_a_known_password(shop):
    """No guest, and no service whose password is its name."""
    place = shop.amqp_url.rpartition("@")[2]
    for name, password in (("guest", "guest"), (user(shop.name, "order"), "order")):
        with pytest.raises(pika.exceptions.ProbableAuthenticationError):
            pika.BlockingConnection(parameters(f"amqp://{name}:{password}@{place}"))


@pytest.mark.parametrize(
    ("own", "service", "publisher"),
    [
        ("shop.payment", "payment", "shop.inventory"),
        ("ecom", "payment", "ecom"),
        ("payment", "payment", "inventory"),
    ],
)
def test_the_sender_is_called_as_we_are_but_for_the_service(own, service, publisher):
    """With one user for all, everybody is that user."""
    assert sender(own, service, "inventory") == publisher


def test_an_event_of_a_stranger_is_set_aside(broker, wait_for):
    """Whoever has a right too many at the broker is not believed all the same; the reason names
    both. A stranger's tally is not even answered."""
    with Shop(amqp_url=broker, outside="files") as shop:
        headers, body = wire(EXAMPLES["order.created"])
        with closing(pika.BlockingConnection(parameters(shop.amqp_url))) as connection:
            channel = connection.channel()
            for name in (None, "ecom"):
                properties = pika.BasicProperties(headers=headers, user_id=name)
                channel.basic_publish(exchange(shop.name), "order.created", body, properties)
                channel.basic_publish(exchange(shop.name), "order.tally", b"no tally")
            wait_for(lambda: len(shop.dead.list("inventory")) == 2)
        letters = shop.dead.list("inventory")
        assert set(letters.reason) == {"malformed"}
        ours = f"{shop.name}.order"
        assert sorted(re.findall("publish, and (.*) did", "\n".join(letters.exception))) == [
            "'ecom'",
            "None",
        ]
        assert all(ours in text for text in letters.exception)
        assert "Not a tally" not in log_file(shop.folder, ("inventory", "1")).read_text()
        assert shop.events().empty


def test_without_a_provisioner_a_service_says_what_is_missing(shop, operator, wait_for):
    """And starts to work as soon as its queue is back."""
    operator.queue_delete(queue(shop.name, "audit"))
    shop.processes._spawn(("audit", "1"))
    log = log_file(shop.folder, ("audit", "1"))
    wait_for(lambda: "the shop's provisioner declares it" in log.read_text())
    assert f"no queue '{shop.name}.audit'" in log.read_text()
    assert not note_file(shop.folder, ("audit", "1")).exists()
    shop.start(PROVISIONER)
    wait_for(note_file(shop.folder, ("audit", "1")).exists)
    shop.kill("audit")
    shop.kill(PROVISIONER)


def test_an_operator_in_another_terminal_finds_the_shops_dead_letters(shop, at):
    """`ecom dead` looks into the shop's own vhost, as the administrator."""
    publish(at("audit"), dead_exchange(shop.name), "audit", user(shop.name, "audit"))
    found = CliRunner().invoke(main, ["dead", "list", "--name", shop.name])
    assert "audit" in found.output, found.output
    assert found.exit_code == 0


SAY = """rabbitmqctl() { printf '%s\\n' "$*"; }\n"""  # what each command would be told


def test_the_handbook_grants_what_the_code_grants():
    """The lines for an operator of another broker are those of the private one."""
    handbook = (Path(__file__).parents[2] / "docs" / "SECURITY.md").read_text()
    script = SAY + handbook.partition("```sh\n")[2].partition("```")[0]
    said = subprocess.run(["sh", "-eu", "-c", script], capture_output=True, text=True, check=True)
    granted = ["add_vhost shop", *(f"add_user {user('shop', name)}" for name in users(CONTRACT))]
    for name in users(CONTRACT):
        *rights, topics = grant(CONTRACT, "shop", name)
        who = f"-p shop {user('shop', name)}"
        granted.append(" ".join(["set_permissions", who, *rights]))
        granted += [f"set_topic_permissions {who} {at} {keys} .*" for at, keys in topics.items()]
    assert sorted(said.stdout.splitlines()) == sorted(granted)
