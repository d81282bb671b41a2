"""A saga of your own, running on a real broker: commands, its records, and its books."""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pandas as pd
from msgspec import Struct

from ecom.broker.management import client
from ecom.errors import ServiceDown, ShopError
from ecom.harness.carried import carried
from ecom.harness.history import history as told
from ecom.harness.history.history import History, Words
from ecom.harness.history.replay import Past, published
from ecom.harness.outside import Answers, Booked, Booking, booking, ledger_of
from ecom.harness.processes import Program
from ecom.harness.records import by_number, table
from ecom.harness.runner import Runner
from ecom.process.databases import Files, fill
from ecom.runtime.saga import Saga
from ecom.settings import one_of
from ecom.stores.base import Row
from ecom.stores.query import key_of
from ecom.stores.reader import Reader


class Books(Reader):
    """What invariants are given: all rows, and what was booked in the world outside."""

    def __init__(self, saga: Saga, folder: Path) -> None:
        super().__init__(folder)
        self._saga = saga

    def rows(self, service: str, kind: type[Row]) -> dict[Any, Any]:
        """The rows of one table, by key."""
        return {key_of(row): row for row in self[service].rows(kind)}

    def ledger(self, service: str) -> list[Booking]:
        """What the world outside of a service has booked."""
        rows = self[f"{service}-outside"].rows(Booked)
        return [booking(row, self._saga.services[service]) for row in rows]


Invariant = Callable[[Any], Iterator[str]]  # yields every way in which books violate it


@dataclass(frozen=True, repr=False)
class Verdict:
    """Whether every invariant holds; if not, each sentence says which does not, and how."""

    problems: tuple[str, ...] = ()

    @property
    def balanced(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def __repr__(self) -> str:
        return "The books balance." if self.balanced else "; ".join(self.problems)


class Running(Runner):
    """Runs a saga of your own. `rows` are what a service's tables have at first; `outside` is what
    answers a service's effects, each under its key once; `invariants` are what `books` checks;
    `database` is where services keep their rows: in "files", in a private PostgreSQL ("postgres"),
    or in the one of this URL, whose role may make schemas and roles."""

    def __init__(
        self,
        saga: Saga,
        *,
        rows: Mapping[str, Iterable[Row]] = {},
        outside: Mapping[str, Answers] = {},
        invariants: Iterable[Invariant] = (),
        name: str | None = None,
        folder: Path | str | None = None,
        amqp_url: str | None = None,
        database: str = "files",
    ) -> None:
        super().__init__(saga, name, folder, amqp_url, database)
        self._rows, self._outside, self._invariants = rows, outside, tuple(invariants)
        for name in {*rows, *outside} - saga.services.keys():
            one_of("service", name, saga.services)
        for it in saga.services.values():
            if it.effects and it.name not in outside:
                raise ShopError(f"Who performs the effects of {it.name}? Say so by `outside`.")

    def _begin(self, closing: ExitStack) -> None:
        self._token = secrets.token_urlsafe(32)
        shown = {"Authorization": f"Bearer {self._token}"}
        self._http = closing.enter_context(client(headers=shown))

    def _provision(self) -> dict[str, str]:
        urls = {}
        for name, service in self.saga.services.items():
            if self._server:
                urls[name] = self._server.provision(service, secrets.token_hex(16))
            else:
                Files(self.folder).provide(service)
            fill(self._server or Files(self.folder), name, self._rows.get(name, ()))
            if name in self._outside:
                ledger_of(self.folder, name).close()
        return urls

    def _programs(self, secrets: dict[str, dict[str, str]]) -> dict[str, Program]:
        what, token = carried((self.saga, self._outside)), {"ECOM_HTTP_TOKEN": self._token}
        serve, here = "ecom.harness.member:serve", os.getcwd()
        return {
            it: Program(serve, (what, it, here), (), told | token) for it, told in secrets.items()
        }

    def command(self, service: str, message: Struct) -> Any:
        """Have a service handle a command: what its handler returned, if it is a row or a message
        of the service as such. Raises `ShopError` if it was refused; `ServiceDown`, and then it may
        have been handled: a command that has an id of its own can be given again."""
        url = self._staffed().note(self.processes.member(service)[0])["http"]
        its = self.saga.services[service]
        if type(message) not in its.handlers:
            raise ShopError(f"{service} does not handle {type(message).__name__}.")
        body = msgspec.json.encode(message)
        try:
            answer = self._http.post(f"{url}/{type(message).__name__}", content=body)
        except httpx.TransportError as error:
            raise ServiceDown(f"{service} does not answer: {error}.") from error
        if not answer.is_success:
            raise ShopError(f"{service} refused {type(message).__name__}: {answer.text}.")
        name, value = answer.json()
        kinds = its.kinds | {kind.__name__: kind for kind in its.rows}
        return msgspec.convert(value, kinds[name]) if name in kinds else value

    def events(self, subject: str | None = None) -> pd.DataFrame:
        """Whose it is, type, producer, caused_by: the events of a week, causes before effects.

        `caused_by` is the type of the event that led to this one, or "".
        """
        contract, log = self.saga.contract, published(self.saga, self.folder)
        place, types = [*contract.by_key], {it.id: it.event.key for it in log}
        found = [
            (it.subject, it.event.key, it.event.producer, types.get(it.causation, ""))
            for it in log
            if subject in (None, it.subject)
        ]
        found.sort(key=lambda row: (by_number(row[0]), place.index(row[1])))
        columns = [contract.subject_field, "type", "producer", "caused_by"]
        return pd.DataFrame(found, columns=columns, dtype="str")

    def table(self, service: str, name: str) -> pd.DataFrame:
        """A table of a service's database as it is, by its key. Raises `ShopError`."""
        return table(self.folder, tuple(self.saga.services), service, name)

    def history(self, subject: str) -> History:
        """All that happened to one saga, causes before effects; shows itself as a diagram."""
        past = Past(self.folder, self.saga, published(self.saga, self.folder), self._rows)
        return told.history(past, subject, subject, Words())

    def books(self) -> Verdict:
        """Whether all invariants hold. Meaningful once `settle` has returned."""
        with Books(self.saga, self.folder) as books:
            found = [(it.__name__, problem) for it in self._invariants for problem in it(books)]
        return Verdict(tuple(f"{name.replace('_', '-')}: {how}" for name, how in found))
