"""The runtime around a service, without any I/O: inputs in, outputs out, one transaction between.

`Runtime.step` takes a batch of inputs (deliveries, confirms, effect results, commands, ticks) and
yields outputs in the one order that is safe: commit, ack, reply, publish, perform. Whoever drives
it (`ecom.process.driver`, or a simulator) carries each out before asking for the next; after a
crash between any two, the next start recovers.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, assert_never

from msgspec import Struct
from msgspec.structs import replace

from ecom.contract.contract import Event
from ecom.contract.envelope import Envelope, Refused, decode, derived_id
from ecom.contract.topology import echo, is_control, sender
from ecom.runtime import dead_letters, inbox, messages, replicas, retention, streams
from ecom.runtime.gap_detection import GapDetection, Gaps
from ecom.runtime.messages import Delivery
from ecom.runtime.relay import Relay, Window
from ecom.runtime.saga import Saga
from ecom.runtime.service import LEASE, Cause, Impossible, Work, about
from ecom.runtime.tables import Effect, Handled, Inbox, Outbox, Replica, Timer
from ecom.stores.base import Store, Transaction
from ecom.stores.query import AtMost

WINDOW = 2_000  # messages published and not yet confirmed, at most
CONCURRENCY = 200  # effects performed at a time, at most

Read = tuple[Envelope, Event] | None  # what a message is; None: it is still to be read

log = logging.getLogger("ecom")


class Memory(Struct, frozen=True):
    """Everything that a process keeps between two steps, and so loses in a crash."""

    outbox: Window[Outbox] = Window(is_open=False)
    effects: Window[Effect] = Window(is_open=True)
    gaps: Gaps = Gaps()
    leased: float = 0.0  # until when its lease lasts
    asked: float = replicas.BEFORE  # when it last published an echo, on this connection


class Runtime:
    """One replica of one service. `jitter` returns numbers in [0, 1) for the backoff; `user` is as
    whom we are connected to the broker (see `ecom.contract.topology`)."""

    def __init__(
        self,
        saga: Saga,
        name: str,
        store: Store,
        replica: str,
        jitter: Callable[[], float],
        user: str = "",
        windows: tuple[int, int] = (WINDOW, CONCURRENCY),
    ) -> None:
        self.service = saga.services[name]
        self._contract, self._store = saga.contract, store
        self._replica, self._jitter = replica, jitter
        self._keeps_log = saga.contract.consumes_all(name)  # which has an order of its own
        self._users = {it: sender(user, name, it) for it in saga.contract.services}
        self._mark = streams.mark(replica, store.is_shared)
        self._gaps = GapDetection(saga.contract, name, self._mark)
        self._announcements: list[messages.Announce] = []  # in this step
        self._replies: list[messages.Reply] = []
        self._notes: list[Any] = []
        self._outbox = Relay(Outbox, replica, windows[0])
        self._effects = Relay(Effect, replica, windows[1])
        self._untidy = 0.0  # when there may be something to forget
        self.restore(Memory())
        self.replicas = 1  # that are alive, with us, at our last tick; only for whoever drives us

    def volatile(self) -> Memory:
        """What is in memory between two steps."""
        windows = self._outbox.window.copy(), self._effects.window.copy()
        return Memory(*windows, self._gaps.known, self._leased, self._asked)

    def restore(self, memory: Memory) -> None:
        """Remember what another runtime of this service had in memory, over the same tables."""
        self._outbox.window, self._effects.window = memory.outbox.copy(), memory.effects.copy()
        self._gaps.known = memory.gaps
        self._leased, self._asked = memory.leased, memory.asked

    def leave(self, now: float) -> None:
        """Let the others take what we have not done: we end, and our connection is closed. Raises
        `StoreUnavailable`; they take it all the same when our lease has run out."""
        tx = Transaction(self._store)
        replicas.left(self._replica, tx, now)
        tx.commit()

    def step(self, inputs: Sequence[messages.Input], now: float) -> Iterator[messages.Output]:
        """Handle a batch in one transaction. Raises `StoreUnavailable`: then nothing happened."""
        kinds = {type(it) for it in inputs}
        acks = {it.channel: it.tag for it in inputs if isinstance(it, Delivery)}
        tx = Transaction(self._store)
        self._announcements, self._replies, self._notes = [], [], []
        try:
            leased = replicas.renewed(self._leased, self._replica, tx, now)
            inbox.read_ahead(inputs, self.service, tx)
            self._gaps.note(inputs, self._users, tx)
            for each in inputs:
                self._take(each, tx, now)
            if self._notes and not self._keeps_log:
                tx[Handled].put(Handled(tx.number(Handled), now, self._notes))
            ticked = messages.Tick in kinds
            dead = self._lapsed(tx, now) if ticked else []
            publishing = self._outbox.choose(tx, now, ticked, dead)
            chosen = self._effects.choose(tx, now, ticked, dead)
            performing = [it for row in chosen if (it := self._to_perform(row, tx, now))]
            if messages.TallyDue in kinds:
                published = {*self._outbox.window.under_way, *(row.seq for row in publishing)}
                self._announcements += self._gaps.tally(tx, published, now)
        except BaseException:
            tx.rollback()
            raise
        yield messages.Commit(tx)
        self._leased = leased
        self._outbox.started(publishing)
        self._effects.started(it.row for it in performing)
        yield from (messages.Ack(channel, tag) for channel, tag in acks.items())
        yield from self._replies
        yield from map(messages.Publish, publishing)
        yield from performing
        yield from self._announcements

    # ── what each input means ─────────────────────────────────────────────────────────────────
    def _take(self, it: messages.Input, tx: Transaction, now: float) -> None:
        match it:
            case Delivery():
                self._delivery(it, tx, now)
            case messages.Confirmed():
                self._outbox.done(it.seqs, tx, now)
            case messages.Performed():
                self._performed(it, tx, now)
            case messages.Command():
                work = self._work(Cause(it.id, it.id, it.traceparent), tx, now)
                answer, error = self._run(it.message, work, it.id)
                self._replies.append(messages.Reply(it.token, answer if error is None else error))
            case messages.Tick():
                self._tick(tx, now)
            case messages.Failed():
                self._failed(it, tx, now)
            case messages.Rejected():
                self._outbox.rejected(it.seqs, it.error, tx, now)
            case messages.PublisherUp():
                # Whatever is not known to be sent is sent (again), oldest first.
                self._outbox.window = Window(is_open=True)
                replicas.reconnected(self._replica, tx, now)
                self._asked = replicas.BEFORE
            case messages.PublisherDown():
                self._outbox.window = replace(self._outbox.window, is_open=False)
                replicas.reconnected(self._replica, tx, now)
            case messages.TallyDue():
                pass
            case _:
                assert_never(it)

    def _delivery(self, delivery: Delivery, tx: Transaction, now: float) -> None:
        headers = delivery.headers or {}
        if is_control(delivery.key):
            who = delivery.key.rpartition(".")[0]
            if who in self._users and delivery.user == self._users[who]:
                if delivery.key == echo(self.service.name):
                    replicas.heard(self._replica, delivery.body, tx)
                self._announcements += self._gaps.answer(delivery, tx, now)
            return
        if not delivery.exchange and dead_letters.taken_back(headers, tx, now):
            return
        try:
            if dead_letters.EFFECT_HEADER in headers and not delivery.exchange:
                dead_letters.replay_effect(delivery, self.service, tx, now)
                return
            envelope, event = read = decode(self._contract, headers, delivery.body)
            dead_letters.check(delivery, envelope.type, self._users[event.producer])
        except Refused as refused:
            work = self._work(Cause("", "", ""), tx, now)
            dead_letters.refuse(work, delivery, str(refused))
            return
        key, seen = inbox.find(envelope, self._contract, tx)
        if seen is None or (seen.state == "dead" and not delivery.exchange):
            row = Inbox(key, envelope.type, envelope.subject, "done", now)
            self._event(row, read, delivery, tx, now)
        else:
            tx.count(f"duplicates{self._mark}")

    def _event(self, row: Inbox, read: Read, it: Delivery, tx: Transaction, now: float) -> None:
        """Handle an event for the `row.attempts`-th time; its inbox row says how that ended."""
        error: Exception | None
        reason = "failed"
        try:
            envelope, event = read or decode(self._contract, it.headers, it.body)
            cause = Cause(envelope.id, envelope.correlation, envelope.traceparent)
            error = self._run(event, self._work(cause, tx, now, envelope, it.body), envelope.id)[1]
        except Refused as refused:  # it has waited here: another release could read it
            error, reason = refused, "malformed"
        if error is not None:
            said = dead_letters.describe(error)
            row = replace(row, state="dead", last_error=said)
            log.warning("Failed to handle %s: %s", row.type, said, extra=about(row))
            headers = dead_letters.kept(it)
            policy = self.service.retry_for(self._contract.by_key.get(row.type))
            if not isinstance(error, Impossible | Refused) and row.attempts < policy.attempts:
                due = now + policy.delay(row.attempts, self._jitter())
                tx[Inbox].put(replace(row, state="waiting", due=due, headers=headers, body=it.body))
                return
            log.info("Where %s failed", row.type, extra=about(row), exc_info=error)
            work = self._work(Cause("", "", ""), tx, now)
            dead_letters.set_aside(work, headers, it.body, reason, said, row.attempts, row.at)
        tx[Inbox].put(row)
        tx.count(f"handled:{row.type}{self._mark}")

    def _performed(self, performed: messages.Performed, tx: Transaction, now: float) -> None:
        row = self._effects.pending(performed.seq, tx)
        if row is None:
            row = tx[Effect].get(performed.seq)
            if row is None or row.state != "dead":
                return
            log.warning("Done, though it was given up: %s", row.key, extra=about(row))
        error = self._result(row, performed.result, tx, now)
        if error is None:
            self._effects.finish(row, tx, now, attempts=row.attempts + 1, state="done")
        else:
            final = isinstance(error, Impossible)
            self._failed(messages.Failed(row.seq, dead_letters.describe(error), final), tx, now)

    def _to_perform(self, row: Effect, tx: Transaction, now: float) -> messages.Perform | None:
        """How to do it. What only another release can read fails, and may yet be tried there."""
        try:
            return messages.Perform(row, self.service.message_of(row))
        except Refused as refused:
            self._failed(messages.Failed(row.seq, str(refused)), tx, now)
            return None

    def _failed(self, failed: messages.Failed, tx: Transaction, now: float) -> None:
        if (row := self._effects.failing(failed.seq, tx)) is None:
            return
        kind, error = self.service.kinds.get(row.type), failed.error
        policy = self.service.retry_for(kind)
        attempts = row.attempts + 1
        again = replace(row, attempts=attempts, last_error=error)
        log.warning("Failed to do %s: %s", row.key, error, extra=about(again))
        given_up = failed.final or (not failed.unknown and attempts >= policy.attempts)
        told = self.service.given_up.get(kind) if kind and given_up else None
        unheard = self._result(row, told(row.subject, row.key), tx, now) if told else None
        if not given_up or (unheard and not isinstance(unheard, Impossible)):
            self._effects.later(again, now + policy.delay(attempts, self._jitter()), tx)
            return
        self._effects.finish(row, tx, now, attempts=attempts, last_error=error, state="dead")
        work = self._work(Cause(row.id, row.correlation, row.traceparent), tx, now)
        dead_letters.set_effect_aside(work, row, error, attempts)

    def _result(self, row: Effect, result: Struct, tx: Transaction, now: float) -> Exception | None:
        """Handle what became of an effect."""
        cause = Cause(derived_id(row.id, type(result).__name__), row.correlation, row.traceparent)
        return self._run(result, self._work(cause, tx, now), row.seq)[1]

    def _tick(self, tx: Transaction, now: float) -> None:
        for row in tx[Inbox].take(limit=replicas.AT_ONCE, due=AtMost(now)):
            attempts = row.attempts + 1
            it = Delivery(0, 0, "", row.type, row.headers, row.body or b"")
            again = replace(row, state="done", attempts=attempts, due=None, headers=None, body=None)
            self._event(again, None, it, tx, now)
        timers, echoes = replicas.deadlines(self.service.name, self._asked, tx, now)
        self._asked = now if echoes else self._asked
        self._announcements += echoes
        for timer in timers:
            id_ = derived_id(timer.correlation, timer.id)
            work = self._work(Cause(id_, timer.correlation, timer.traceparent), tx, now)
            try:
                error, pause = self._run(self.service.message_of(timer), work, id_)[1], 1.0
            except Refused as refused:  # another release could read it
                error, pause = refused, LEASE
            if error is None:
                tx[Timer].delete(timer.id)
            else:
                said, extra = dead_letters.describe(error), {"subject": timer.subject, "event": id_}
                log.warning("Failed to handle %s: %s", timer.type, said, extra=extra)
                tx[Timer].put(replace(timer, due=now + pause))  # a deadline never gives up
        if now >= self._untidy:
            self._untidy = now if retention.tidy(tx, now) else now + retention.EVERY

    def _lapsed(self, tx: Transaction, now: float) -> list[str]:
        """The replicas whose leases have run out."""
        others = [row for row in tx[Replica].look() if row.name != self._replica]
        dead = [row.name for row in others if row.until <= now]
        self.replicas = 1 + len(others) - len(dead)
        return dead

    # ── how ───────────────────────────────────────────────────────────────────────────────────
    def _run(self, message: Struct, work: Work, id: str | int) -> tuple[Any, Exception | None]:
        """Run the handler; a message that it has handled is noted under this id."""
        answer, error = self.service.handle(message, work)
        if error is None:
            self._notes.append(id if work.envelope else (id, type(message).__name__, message))
        return answer, error

    def _work(self, cause: Cause, tx: Transaction, now: float, *event: Any) -> Work:
        who = self.service.name, self._replica, self._mark
        return Work(*who, tx, tx.savepoint(), cause, now, *event)
