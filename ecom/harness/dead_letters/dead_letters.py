"""Dead letters, to be shown, tried, edited, replayed and dropped.

Looking removes nothing. A replay is confirmed by the broker before its dead letter is acknowledged,
so each step may crash: at worst a message is sent twice, and has its effect once, as it keeps its
event id. Letters are streamed, so there may be a hundred thousand.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
from msgspec.structs import replace

from ecom.amqp.blocking import Operator, operator
from ecom.broker.lease import private_node
from ecom.contract.envelope import rfc3339
from ecom.contract.topology import dead_queue, queue, sender, user
from ecom.errors import ShopError
from ecom.harness.dead_letters.dead_letter import DeadLetter, read_letter
from ecom.harness.dead_letters.dry_run import DryRun, dry_run
from ecom.harness.quiescence import taken_back
from ecom.runtime.dead_letters import DROPPED_HEADER, MAX_TEXT, USER
from ecom.runtime.messages import Delivery
from ecom.runtime.saga import Saga
from ecom.settings import one_of, private, shown, text
from ecom.stores.reader import Reader

Which = str | Iterable[str] | pd.DataFrame  # ids, or rows of `list` or of `groups`
Body = bytes | str | Mapping[str, Any]
InHand = tuple[DeadLetter, Callable[[], None]]  # and what removes it from its queue

COLUMNS = ("service", "subject", "type", "reason", "exception", "attempts", "first", "last", "id")
GROUP = ("service", "type", "reason", "error")


class DeadLetters:
    """A shop's dead letters. Every method raises `ShopError` if the broker cannot be reached, or
    while another operator has the letters in hand. What is dropped or overridden is written to
    `logs`, which is the shop's folder unless that is a temporary one."""

    def __init__(
        self, saga: Saga, amqp_url: str, shop: str, folder: Path, logs: Path | None = None
    ) -> None:
        self._saga = saga
        self._services = saga.contract.services
        self._names = [saga.contract.subject_field if it == "subject" else it for it in COLUMNS]
        self._url, self._shop, self._folder = amqp_url, shop, folder
        self._logs = logs or folder
        # Service → how many replayed or dropped here it has noted, once it has noted all.
        self.awaited: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"Dead letters of {self._shop!r}: list, groups, show, dry_run, replay, drop"

    # ── looking ───────────────────────────────────────────────────────────────────────────────
    def groups(self, service: str | None = None) -> pd.DataFrame:
        """service, type, reason, error, letters (how many), first, last: the largest group first.

        `error` is the exception without its subject.
        """
        grouped = self._table(service).groupby(list(GROUP), as_index=False)
        table = grouped.agg(letters=("id", "size"), first=("first", "min"), last=("last", "max"))
        return table.sort_values("letters", ascending=False, kind="stable", ignore_index=True)

    def show(self, id: str) -> DeadLetter:
        """One dead letter, whole."""
        with self._operator() as at:
            for letter, _ in self._letters(at):
                if letter.id == id:
                    return letter
        raise _no_letter(id)

    def dry_run(self, id: str, *, body: Body | None = None) -> DryRun:
        """What a replay would do as the service stands now, changing nothing; with another `body`,
        if that is given. Effects are named, not performed."""
        letter = self.show(id).edited(as_bytes(body))
        if letter.forged:
            return DryRun("would not be replayed", letter.exception)
        replayed = self._own_user(letter), letter.to_replay(), letter.body
        return dry_run(self._saga, self._folder, letter.service, *replayed)

    def event_ids(self, service: str) -> set[str]:
        """The ids of the events among a service's dead letters; none if the broker cannot be
        reached, or another operator has them in hand."""
        try:
            with self._operator() as at:
                letters = [it for it, _ in self._letters(at, service) if not it.forged]
        except ShopError:
            return set()
        return {it.headers.get("ce-id", "") for it in letters}

    # ── acting ────────────────────────────────────────────────────────────────────────────────
    def replay(self, which: Which, *, body: Body | None = None, override: str = "") -> int:
        """Deliver dead letters to their services again; returns how many. Each has its effect once,
        however often it is replayed. An effect that failed for good is performed again.

        With a `body`, they are replayed as edited.

        Forged letters stay where they are: then it raises `ShopError`, when all others are
        replayed. A service refuses an event that its producer did not publish, also when it is
        replayed. With `override`, which says why, both are handled all the same; each such letter,
        whole, is written to `overridden.log` in the shop's folder before it is sent.
        """
        forged, override = list[str](), text("override", override)

        def send(at: Operator, letter: DeadLetter) -> bool:
            if letter.forged and not override:
                forged.append(letter.id)
                return False
            new = letter.edited(as_bytes(body))
            if override:
                self._write("overridden", override, new)
            at.send(queue(self._shop, new.service), new.to_replay(override), new.body)
            return True

        replayed = self._take(which, send)
        if forged:
            raise ShopError(
                f"Replayed {replayed}. {len(forged)} of them stay, as neither their service nor "
                f"the broker has set them aside: {', '.join(forged[:9])}. Look at them with "
                "`show`; to replay them all the same, give `override`, a reason."
            )
        return replayed

    def drop(self, which: Which, reason: str) -> int:
        """Delete dead letters; returns how many. Each, whole, is written to `dropped.log` in the
        shop's folder, with the reason: a line of JSON, on disk before the letter goes. Its service
        is told, and counts it no more."""
        if not text("reason", reason).strip():
            raise ShopError("Say why: drop(which, 'reason').")

        def write(at: Operator, letter: DeadLetter) -> bool:
            self._write("dropped", reason, letter)
            told = letter.mark | {DROPPED_HEADER: reason[:MAX_TEXT]}
            at.send(queue(self._shop, letter.service), told, b"")
            return True

        return self._take(which, write)

    def _write(self, what: str, why: str, letter: DeadLetter) -> None:
        """Add to the log of what was done, when and why; it is on disk when this returns."""
        record = {what: rfc3339(time.time()), "why": why}
        record |= zip(self._names, attrgetter(*COLUMNS)(letter), strict=True)
        record |= {"headers": letter.headers, "body": letter.body.decode(errors="backslashreplace")}
        with open(self._logs / f"{what}.log", "a", opener=private) as log:
            log.write(json.dumps(record) + "\n")
            log.flush()
            os.fsync(log.fileno())

    # ── how ───────────────────────────────────────────────────────────────────────────────────
    def list(self, service: str | None = None) -> pd.DataFrame:
        """A letter a row, of these `COLUMNS`; its subject as its events call it (`order_id`)."""
        return self._table(service)[[*self._names]]

    def _table(self, service: str | None) -> pd.DataFrame:
        """A row each, by service, subject and type, with `error` besides."""
        columns, values = [*self._names, "error"], attrgetter(*COLUMNS, "error")
        with self._operator() as at:
            found = [values(letter) for letter, _ in self._letters(at, service)]
        found.sort(key=lambda row: (row[0], len(row[1]), row[1], row[2], row[-2]))
        types = dict.fromkeys(columns, "str") | {"attempts": "int64"}
        return pd.DataFrame(found, columns=columns).astype(types)

    def _take(self, which: Which, act: Callable[[Operator, DeadLetter], bool]) -> int:
        """Do something with each chosen letter, after which it goes, unless `act` says that it
        stays; how many went."""
        wanted, key = _wanted(which)
        found, gone = set(), 0
        with Reader(self._folder) as read:
            for it in self._services:
                noted = taken_back(read[it].counters())
                self.awaited[it] = max(noted, self.awaited.get(it, 0))
        with self._operator() as at:
            for letter, done in self._letters(at):
                if key(letter) in wanted:
                    found.add(key(letter))
                    if act(at, letter):
                        self.awaited[letter.service] += 1
                        gone += 1
                        done()
        if missing := wanted - found:
            raise _no_letter(min(missing), gone)
        return gone

    def _operator(self) -> AbstractContextManager[Operator]:
        return operator(self._url, f"{self._shop}.dead-letters")

    def _letters(self, at: Operator, service: str | None = None) -> Iterator[InHand]:
        """All dead letters. Raises `ShopError` for a service there is not."""
        known = self._services
        for name in known if service is None else (one_of("service", service, known),):
            for message, done in at.look(dead_queue(self._shop, name)):
                yield self._read(name, message, at.user), done

    def _read(self, service: str, it: Delivery, operator: str) -> DeadLetter:
        """A letter in this service's queue: as it is, if the service or an operator published it,
        or the broker, on whose own letters is the name of the event's producer."""
        letter, who = read_letter(service, it.headers, it.body, it.user), it.user
        kind = self._saga.contract.by_key.get(letter.type)
        by_service = _service_of(who, self._services)
        if who == operator:  # perhaps a replay that killed
            return replace(letter, publisher=str((it.headers or {}).get(USER) or who))
        if letter.from_broker:
            ours = it.key == service and kind and by_service == kind.producer
        else:
            ours = by_service == service
        if not ours:
            return letter.as_forged()
        if kind and not letter.publisher and letter.reason == "failed":  # of an earlier release
            publisher = sender(self._own_user(letter), service, kind.producer)
            letter = replace(letter, publisher=publisher)
        return letter

    def _own_user(self, letter: DeadLetter) -> str:
        """As whom the letter's service is connected."""
        for known in (letter.by, letter.publisher):
            if other := _service_of(known, self._services):
                return sender(known, other, letter.service)
        is_private = private_node(self._url) is not None
        return user(self._shop, letter.service) if is_private else letter.by


def _no_letter(which: Any, others: int = 0) -> ShopError:
    done = f" Of the others, {others} are done with." if others else ""
    return ShopError(f"There is no dead letter {shown(which)}: see `list`.{done}")


def _wanted(which: Which) -> tuple[set[Any], Callable[[DeadLetter], Any]]:
    """What is chosen, and by what of a letter."""
    is_frame = isinstance(which, pd.DataFrame)
    if is_frame and "id" not in which and set(GROUP) <= set(which.columns):
        return set(which[[*GROUP]].itertuples(index=False, name=None)), attrgetter(*GROUP)
    ids = which.get("id") if is_frame else [which] if isinstance(which, str) else which
    try:
        return {text("the id of a dead letter", it) for it in ids}, attrgetter("id")
    except (TypeError, RecursionError) as error:
        raise ShopError("Give ids, or rows of `list()` or `groups()`.") from error


def as_bytes(body: Body | None) -> bytes | None:
    """A body as it is sent. Raises `ShopError` for what is none."""
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return text("body", body).encode()
    try:
        return msgspec.json.encode(dict(body))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ShopError(f"body must be text or a dictionary of it, not {shown(body)}.") from error


def _service_of(user: str | None, services: Iterable[str]) -> str:
    """The service whose user this is, as its name ends in the service's; "" if it is no one's."""
    ours = (service for service in services if user and user.endswith(service))
    return max(ours, key=len, default="")
