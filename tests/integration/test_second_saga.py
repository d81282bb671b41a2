"""A saga of another trade goes through the same machinery: in memory, and on a real RabbitMQ."""

import uuid

import lamps
import pytest
from dusk import SAGA, Dusk
from lamps import STREETS, Reading, Report, SetLevel, Street

from ecom.bus import declare, remove_topology
from ecom.contract import topology
from ecom.contract.contract import Contract, Event
from ecom.contract.topology import users
from ecom.harness.tenancy import grant
from ecom.process import child
from ecom.process.databases import Files
from ecom.runtime.messages import Command, Tick
from ecom.runtime.saga import Saga
from ecom.settings import Settings
from ecom.stores.memory import MemoryStore
from ecom.stores.sqlite import SqliteStore


def test_it_runs_in_memory():
    """From the report to the restored lamps, over a timer: each effect asked for once."""
    world = Dusk({name: MemoryStore() for name in SAGA.services})
    world.inputs.append(("sensor", Command("dusk-1", Report("elm", 40))))
    world.run(0.0)
    assert world.stores["sensor"].fetch(Reading, "elm").state == "DIMMED"
    world.inputs.append(("lamp", Tick()))
    world.run(lamps.DIMMED_SECONDS + 1)
    assert world.stores["sensor"].fetch(Reading, "elm").state == "RESTORED"
    assert world.stores["lamp"].fetch(Street, "elm") == Street("elm", 100, "BRIGHT")
    assert world.switched == [SetLevel("elm", 40)]


def test_its_topology_and_rights_follow_from_its_contract():
    """Queues, bindings and users are its own, and no word of a shop is among them."""
    contract = SAGA.contract
    assert set(topology.queues(contract, "x")) == {
        f"x.{name}{dead}" for name in ("sensor", "lamp", "log") for dead in ("", ".dead")
    }
    assert ("x.lamp", "sensor.dusk") in topology.bindings(contract, "x")
    assert ("x.log", "#") in topology.bindings(contract, "x")
    assert users(contract) == ("sensor", "lamp", "log", "provisioner")
    assert grant(contract, "x", "lamp")[-1]["x.events"] == r"^lamp\."


class Dawn(Event, frozen=True):
    """By a key that its producer may not publish."""

    key, producer = "sun.rises", "sensor"

    street: str


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"listens": {"sensor": (), "lamp": ("sensor.dawn",)}}, "no such event"),
        ({"listens": {"sensor": ()}}, "no such service"),
        ({"events": (lamps.DuskReported, lamps.DuskReported)}, "one routing key"),
        ({"events": (Dawn,)}, "must begin with its producer"),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused(change, complaint):
    """At once, in a sentence: not by a queue that nobody reads."""
    given = {"name": "x", "events": SAGA.contract.events, "listens": SAGA.contract.listens}
    with pytest.raises(ValueError, match=complaint):
        Contract(**{**given, **change})


def test_services_that_do_not_hear_what_they_handle_are_refused():
    """Else the queue would have no binding for it, and nothing would ever come."""
    deaf = Contract("x", SAGA.contract.events, {**SAGA.contract.listens, "lamp": ()})
    with pytest.raises(ValueError, match=r"lamp handles sensor\.dusk and does not listen"):
        Saga(deaf, SAGA.services)


@pytest.fixture
def folder(broker, tmp_path):
    """A folder of databases, with queues of the same name at the broker."""
    name = f"lamps-{uuid.uuid4().hex[:8]}"
    for service in SAGA.services.values():
        Files(tmp_path).provide(service)
    declare(SAGA.contract, broker, name)
    yield tmp_path, name
    remove_topology(SAGA.contract, broker, name)


def test_it_runs_on_a_real_rabbitmq_and_survives_a_kill(broker, folder, wait_for):
    """Fifty streets: the lamp service is killed in the middle, and each street is dimmed once."""
    path, name = folder
    settings = Settings(broker, path, name)

    def start(service):
        with open(path / f"{service}.log", "ab") as log:
            return child.start("lamps:serve", service, settings, log=log)

    processes = {service: start(service) for service in SAGA.services}
    stores = {service: SqliteStore(Files(path).path(service)) for service in SAGA.services}
    try:
        wait_for(lambda: stores["lamp"].select(Street, {}, None))
        processes["lamp"].kill()
        processes["lamp"].wait()
        processes["lamp"] = start("lamp")
        restored = {"state": "RESTORED"}
        wait_for(lambda: len(stores["sensor"].select(Reading, restored, None)) == len(STREETS))
        switched = (path / "switches").read_text().splitlines()
        assert len(switched) == len(set(switched)) == len(STREETS)
    finally:
        for store in stores.values():
            store.close()
        for process in processes.values():
            process.terminate()
            process.wait()
