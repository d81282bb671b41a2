"""A world outside to practise on, for any saga: it does each thing once, and keeps a ledger."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from ecom.contract.contract import subject_of
from ecom.harness.journal import Journal
from ecom.process.performers import Performers
from ecom.runtime.service import Service
from ecom.stores.base import Row

# What a part of the world outside answers to an effect. Raises `Impossible` for what it never does.
Answers = Callable[[Any], Struct]


class Booking(NamedTuple):
    """A line of a ledger: what was done under a key, and what was answered."""

    subject: str
    key: str
    effect: Struct
    answer: Struct


class Booked(Row, frozen=True):
    """A line as it is kept: effect and answer, each with the name of its type."""

    table = "ledger"

    key: str
    effect: tuple[str, Any]
    answer: tuple[str, Any]


def ledger_of(folder: Path, service: str) -> Journal[Booked]:
    """What was asked and answered outside of a service: `SERVICE-outside.db`, table `ledger`."""
    return Journal(folder / f"{service}-outside.db", Booked)


def booking(row: Booked, service: Service) -> Booking:
    """The line, in the words of its service."""
    effect, answer = (
        msgspec.convert(value, service.kinds[name]) for name, value in (row.effect, row.answer)
    )
    return Booking(subject_of(effect), row.key, effect, answer)


def performers(folder: Path, service: Service, answers: Answers) -> Performers:
    """Whoever carries out a service's effects, and books each under its key, in a file."""
    ledger = ledger_of(folder, service.name)

    async def perform(key: str, effect: Struct) -> Struct:
        known = ledger.read(key)
        if known is None:
            known = await ledger.write_once(Booked(key, _named(effect), _named(answers(effect))))
        return booking(known, service).answer

    async def close() -> None:
        ledger.close()

    return Performers(dict.fromkeys(service.effects, perform), close)


def _named(message: Struct) -> tuple[str, Any]:
    return type(message).__name__, msgspec.to_builtins(message)
