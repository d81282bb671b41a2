"""The history of a saga of another trade: nothing needs to be said of it."""

import pytest
from dusk import SAGA, Dusk
from lamps import Reading, Report, Street

from ecom.harness.history.history import Words, history
from ecom.harness.history.replay import Past, published, tables_at
from ecom.process.databases import Files
from ecom.runtime.messages import Command, Tick
from ecom.stores.sqlite import SqliteStore

TOLD = """\
elm
  1  caller → sensor            Report
  2  sensor                     REPORTED
  3  sensor → lamp              sensor.dusk
  4  lamp                       ASKED
  5  lamp → outside             SetLevel
  6  outside → lamp             LevelSet
  7  lamp                       ASKED → DIM
  8  lamp → sensor              lamp.dimmed
  9  sensor                     REPORTED → DIMMED
 10  lamp                       Restore
 11  lamp                       DIM → BRIGHT
 12  lamp → sensor              lamp.restored
 13  sensor                     DIMMED → RESTORED"""


@pytest.fixture
def world(tmp_path):
    """Dusk has been seen in two streets; their lamps are to be restored."""
    for service in SAGA.services.values():
        Files(tmp_path).provide(service)
    stores = {name: SqliteStore(Files(tmp_path).path(name)) for name in SAGA.services}
    world = Dusk(stores)
    for street in ("elm", "oak"):
        world.inputs.append(("sensor", Command(f"dusk-{street}", Report(street, 40))))
    world.run(1.0)
    yield world
    for store in stores.values():
        store.close()


def past_of(folder):
    return Past(folder, SAGA, published(SAGA, folder))


def test_all_that_happened_in_it_is_told(world, tmp_path):
    """Command, events, effect, result, timer and states, under the names of their types."""
    world.inputs.append(("lamp", Tick()))
    world.run(9.0)
    account = history(past_of(tmp_path), "elm", "elm", Words())
    assert repr(account) == TOLD
    assert account.awaited == []


def test_what_is_awaited_is_told(world, tmp_path):
    """A timer that runs, and an event that its listener has yet to handle."""
    account = history(past_of(tmp_path), "elm", "elm", Words())
    assert account.awaited == ["lamp Restore [awaited]"]
    world.step("sensor", Command("dusk-ash", Report("ash", 40)), 2.0)
    account = history(past_of(tmp_path), "ash", "ash", Words())
    assert account.awaited == ["sensor → lamp sensor.dusk [awaited]"]


def test_its_tables_are_rebuilt_as_they_stood(world, tmp_path):
    """After each event of its log; and after all of them, as they are."""
    past = past_of(tmp_path)
    assert [logged.event.key for logged in past.log] == ["sensor.dusk"] * 2 + ["lamp.dimmed"] * 2
    assert tables_at(past, 0) == {Reading: [], Street: []}
    assert tables_at(past, 1) == {
        Reading: [Reading("elm", "REPORTED")],
        Street: [Street("elm", 40, "ASKED")],
    }
    today = {Reading: world.stores["sensor"], Street: world.stores["lamp"]}
    assert tables_at(past, 4) == {kind: it.select(kind, {}, None) for kind, it in today.items()}
