"""The dead-letter workbench: look at what failed, mend it, try it, replay it, or let it go.

Looking takes nothing away. A replay is confirmed by the broker before its dead letter is
acknowledged, so each step may crash: then a message is sent twice, at worst, and has its effect
once, for it keeps its event id. Letters are streamed, so there may be a hundred thousand.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from ecom.contract.envelope import rfc3339
from ecom.errors import ShopError
from ecom.harness.dead_letters.dead_letter import DeadLetter, read_letter
from ecom.harness.dead_letters.dry_run import Attempt, rehearse
from ecom.harness.dead_letters.session import Desk, Held, desk
from ecom.harness.dead_letters.trial import Trial
from ecom.runtime.saga import Saga
from ecom.stores.reader import rows

Which = str | Iterable[str] | pd.DataFrame  # ids, or rows of `list` or of `groups`
Body = bytes | str | Mapping[str, Any]

COLUMNS = ("service", "order_id", "type", "reason", "exception", "attempts", "first", "last", "id")
GROUP = ("service", "type", "reason", "error")
_REPLAYED = "SELECT coalesce(sum(value), 0) FROM counters WHERE name = 'replayed'"


class Workbench:
    """A shop's dead letters. Every method raises `ShopError` if the broker cannot be reached, or
    while somebody else has the letters in hand."""

    def __init__(self, saga: Saga, amqp_url: str, shop: str, folder: Path) -> None:
        self._saga = saga
        self._services = saga.contract.services
        self._url, self._shop, self._folder = amqp_url, shop, folder
        # Service → what its counter `replayed` says once it has taken all that was replayed here.
        self.awaited: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"Workbench of shop {self._shop!r}: list, groups, show, try_, edit, replay, drop"

    # ── looking ───────────────────────────────────────────────────────────────────────────────
    def groups(self, service: str | None = None) -> pd.DataFrame:
        """service, type, reason, error, letters (how many), first, last: the largest group first.

        `error` is the exception without the number of its order.
        """
        grouped = self._table(service).groupby(list(GROUP), sort=False)
        table = grouped.agg(letters=("id", "size"), first=("first", "min"), last=("last", "max"))
        order = ["letters", *GROUP]
        return table.reset_index().sort_values(
            order, ascending=[False] + [True] * len(GROUP), ignore_index=True
        )

    def show(self, id: str) -> DeadLetter:
        """One dead letter, whole."""
        with desk(self._url, self._shop) as at:
            return self._find(at, id)

    def try_(
        self, id: str, *, body: Body | None = None, headers: Mapping[str, Any] | None = None
    ) -> Trial:
        """What a replay would do as the service stands now, changing nothing; edited first, if
        `body` or `headers` are given. A call to the outside world is named, not made."""
        letter = self.show(id).edited(headers or {}, _bytes(body))
        headers, body = letter.to_replay(), letter.body
        return rehearse(Attempt(self._saga, self._folder, letter.service, headers, body))

    # ── acting ────────────────────────────────────────────────────────────────────────────────
    def edit(
        self, id: str, *, body: Body | None = None, headers: Mapping[str, Any] | None = None
    ) -> DeadLetter:
        """Replace the body, or some headers (None takes one out); the new version, same id.

        The broker has the new version safe before the old one goes; if both are there, the new
        one counts.
        """
        with desk(self._url, self._shop) as at:
            old = self._find(at, id)
            new = old.edited(headers or {}, _bytes(body))
            if new is not old:
                at.to_dead(new.service, new.to_bury(), new.body)
                for letter, held in self._letters(at, new.service):
                    if letter.digest == old.digest:
                        held.done()
        return new

    def replay(self, which: Which) -> int:
        """Give dead letters to their services again; how many. Each has its effect once, however
        often it is replayed. An effect that was given up is performed anew."""

        def send(at: Desk, letter: DeadLetter) -> None:
            at.to_service(letter.service, letter.to_replay(), letter.body)
            sent[letter.service] = sent.get(letter.service, 0) + 1

        sent: dict[str, int] = {}
        before = {service: self._replayed(service) for service in self._services}
        count = self._take(which, send)
        for service, number in sent.items():
            self.awaited[service] = max(before[service], self.awaited.get(service, 0)) + number
        return count

    def drop(self, which: Which, reason: str) -> int:
        """Let dead letters go for good; how many. Each, whole, is written to `dropped.log` in the
        shop's folder, with the reason: a line of JSON, on disk before the letter goes."""
        if not reason.strip():
            raise ShopError("Say why: drop(which, 'reason').")
        with open(self._folder / "dropped.log", "a") as log:

            def write(_: Desk, letter: DeadLetter) -> None:
                log.write(json.dumps(_obituary(letter, reason)) + "\n")
                log.flush()
                os.fsync(log.fileno())

            return self._take(which, write)

    # ── how ───────────────────────────────────────────────────────────────────────────────────
    def _table(self, service: str | None) -> pd.DataFrame:
        """A row each, by service, order and type, with `error` besides."""
        found, replaced = [], set()
        columns = [*COLUMNS, "error", "digest"]
        with desk(self._url, self._shop) as at:
            for letter, _ in self._letters(at, service):
                found.append([getattr(letter, column) for column in columns])
                replaced.add(letter.replaces)
        found = [row for row in found if row[-1] not in replaced]
        found.sort(key=lambda row: (row[0], len(row[1]), row[1], row[2], row[-3]))
        types = dict.fromkeys(columns, "str") | {"attempts": "int64"}
        return pd.DataFrame(found, columns=columns).astype(types)

    def _take(self, which: Which, act: Callable[[Desk, DeadLetter], None]) -> int:
        """Do something with each chosen letter, after which it goes."""
        wanted, key = _wanted(which)
        with desk(self._url, self._shop) as at:
            found, replaced = set(), set()
            for letter, _ in self._letters(at):
                found.add(key(letter))
                replaced.add(letter.replaces)
            if missing := wanted - found:
                raise ShopError(f"There is no dead letter {min(missing)}: see `list`.")
            count = 0
            for letter, held in self._letters(at):
                if key(letter) in wanted:
                    if letter.digest not in replaced:
                        act(at, letter)
                        count += 1
                    held.done()
        return count

    def _replayed(self, service: str) -> int:
        return rows(self._folder, service, _REPLAYED)[0][0]

    def list(self, service: str | None = None) -> pd.DataFrame:
        """service, order_id, type, reason, exception, attempts, first, last, id: one a letter."""
        return self._table(service)[[*COLUMNS]]

    def _letters(self, at: Desk, service: str | None = None) -> Iterator[tuple[DeadLetter, Held]]:
        """All dead letters, replaced versions included. Raises `ShopError` for no such service."""
        known = self._services
        if service is not None and service not in known:
            raise ShopError(f"There is no service {service!r}: choose of {', '.join(known)}.")
        for name in known if service is None else (service,):
            for held in at.look(name):
                yield read_letter(name, held.headers, held.body), held

    def _find(self, at: Desk, id: str) -> DeadLetter:
        """The newest version of a letter."""
        found, replaced = [], set()
        for letter, _ in self._letters(at):
            if letter.id == id:
                found.append(letter)
                replaced.add(letter.replaces)
        for letter in found:
            if letter.digest not in replaced:
                return letter
        raise ShopError(f"There is no dead letter {id!r}: see `list`.")


def _wanted(which: Which) -> tuple[set[Any], Callable[[DeadLetter], Any]]:
    """What is chosen, and by what of a letter."""
    if isinstance(which, str):
        return {which}, lambda letter: letter.id
    if not isinstance(which, pd.DataFrame):
        return set(which), lambda letter: letter.id
    if "id" in which:
        return set(which.id), lambda letter: letter.id
    if not set(GROUP) <= set(which.columns):
        raise ShopError("Give ids, or rows of `list()` or `groups()`.")
    chosen = set(which[[*GROUP]].itertuples(index=False, name=None))
    return chosen, lambda letter: tuple(getattr(letter, name) for name in GROUP)


def _bytes(body: Body | None) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else msgspec.json.encode(body)


def _obituary(letter: DeadLetter, why: str) -> dict[str, Any]:
    told = {column: getattr(letter, column) for column in COLUMNS}
    body = letter.body.decode(errors="backslashreplace")
    dropped = rfc3339(time.time())
    return {"dropped": dropped, "why": why, **told, "headers": letter.headers, "body": body}
