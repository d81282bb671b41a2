"""A saga of another trade: street lamps are dimmed when a sensor says so, and back after a while.

Three services, three events, a timer and an effect: small enough to be read at once, and enough to
show that nothing of the machinery knows a shop.
"""

import asyncio
import json
from collections.abc import Coroutine
from functools import partial
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ecom.contract.contract import EVERYTHING, Contract, Event
from ecom.process.driver import Process, main
from ecom.runtime.messages import Failed, Perform, Performed
from ecom.runtime.saga import Saga
from ecom.runtime.service import Service, Work
from ecom.settings import Settings
from ecom.stores.base import Row

DIMMED_SECONDS = 0.5
STREETS = [f"street-{n}" for n in range(50)]


class DuskReported(Event, frozen=True):
    """A sensor has seen dusk in a street."""

    key, producer = "sensor.dusk", "sensor"

    street: str
    level: int


class LampsDimmed(Event, frozen=True):
    """The street's lamps burn lower."""

    key, producer = "lamp.dimmed", "lamp"

    street: str
    level: int


class LampsRestored(Event, frozen=True):
    """The street's lamps burn as before."""

    key, producer = "lamp.restored", "lamp"

    street: str


class Reading(Row, frozen=True):
    """What became of a sensor's report."""

    table = "readings"

    street: str
    state: str  # REPORTED, DIMMED, RESTORED


class Street(Row, frozen=True):
    """How bright a street's lamps are."""

    table = "streets"

    street: str
    level: int
    state: str  # ASKED, DIM, BRIGHT


class Report(Struct, frozen=True):
    """Command: dusk was seen."""

    street: str
    level: int


class SetLevel(Struct, frozen=True):
    """Effect: turn the street's lamps to this level."""

    street: str
    level: int


class LevelSet(Struct, frozen=True):
    """The lamps have turned to the level."""

    street: str


class Restore(Struct, frozen=True):
    """Timer: dimmed long enough."""

    street: str


def report(command: Report, work: Work) -> Reading:
    reading = work[Reading].get(command.street)
    if reading is None:
        reading = Reading(command.street, "REPORTED")
        work[Reading].put(reading)
        work.emit(DuskReported(command.street, command.level))
    return reading


def note_dimmed(event: LampsDimmed, work: Work) -> None:
    reading = work[Reading].get(event.street)
    if reading.state == "REPORTED":
        work[Reading].put(replace(reading, state="DIMMED"))


def note_restored(event: LampsRestored, work: Work) -> None:
    work[Reading].put(replace(work[Reading].get(event.street), state="RESTORED"))


def dim(event: DuskReported, work: Work) -> None:
    work[Street].put(Street(event.street, event.level, "ASKED"))
    work.request(SetLevel(event.street, event.level), key=f"dim/{event.street}")


def dimmed(result: LevelSet, work: Work) -> None:
    street = work[Street].get(result.street)
    if street.state == "ASKED":
        work[Street].put(replace(street, state="DIM"))
        work.set_timer(work.now + DIMMED_SECONDS, Restore(street.street))
        work.emit(LampsDimmed(street.street, street.level))


def restore(timer: Restore, work: Work) -> None:
    work[Street].put(Street(timer.street, 100, "BRIGHT"))
    work.emit(LampsRestored(timer.street))


def ignore(event: Event, work: Work) -> None:
    """The inbox has it: that is log enough."""


def lamps() -> Saga:
    """The saga of the street lamps."""
    sensor = Service(
        name="sensor",
        rows=(Reading,),
        handlers={Report: report, LampsDimmed: note_dimmed, LampsRestored: note_restored},
    )
    lamp = Service(
        name="lamp",
        rows=(Street,),
        handlers={DuskReported: dim, LevelSet: dimmed, Restore: restore},
        effects=(SetLevel,),
    )
    events = (DuskReported, LampsDimmed, LampsRestored)
    log = Service(name="log", rows=(), handlers=dict.fromkeys(events, ignore))
    listens = {
        "sensor": ("lamp.dimmed", "lamp.restored"),
        "lamp": ("sensor.dusk",),
        "log": (EVERYTHING,),
    }
    contract = Contract("lamps", events, listens)
    return Saga(contract, {service.name: service for service in (sensor, lamp, log)})


# ── as processes ──────────────────────────────────────────────────────────────────────────────
class Switches:
    """The world outside: a line for each time that the lamps of a street were turned."""

    def __init__(self, settings: Settings) -> None:
        self._book = settings.folder / "switches"

    async def perform(self, output: Perform) -> Performed | Failed:
        known = self._book.read_text() if self._book.exists() else ""
        line = json.dumps([output.row.key, output.effect.level]) + "\n"
        if line not in known:
            with self._book.open("a") as book:
                book.write(line)
        return Performed(output.row.seq, LevelSet(output.effect.street))

    async def close(self) -> None:
        return None


def reporting(process: Process) -> tuple[str, Coroutine[Any, Any, None]]:
    """In place of an HTTP API: every street reports dusk, once however often the process starts."""

    async def reports() -> None:
        for street in STREETS:
            await process.ask(f"dusk-{street}", Report(street, 40))
        await asyncio.Event().wait()

    return "", reports()


def serve(name: str, settings: Settings) -> None:
    outside = Switches(settings) if name == "lamp" else None
    api = reporting if name == "sensor" else None
    saga = lamps()
    main(saga, name, settings, partial(Process, saga, name, settings, outside, api))
