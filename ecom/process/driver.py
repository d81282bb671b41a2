"""One service as an operating-system process, handed its saga, performers and HTTP API.

Drives the sans-IO runtime with pika, a database, a clock and performers, in one event loop. The
process ends cleanly on SIGTERM, which also comes when its starter has ended (see `child`).
"""

import asyncio
import logging
import random
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from ecom.bus import Bus
from ecom.contract.topology import PROVISIONER
from ecom.errors import ShopError
from ecom.process.clock import Clock
from ecom.process.databases import databases
from ecom.process.lifecycle import collect_rarely, run, until_stopped, write_note
from ecom.process.performers import Performers
from ecom.process.provisioner import provide
from ecom.runtime import messages
from ecom.runtime.gap_detection import HELLO
from ecom.runtime.messages import Command, Confirmed, Input, Output, Performed, Tick
from ecom.runtime.runtime import Runtime
from ecom.runtime.saga import Saga
from ecom.settings import Settings
from ecom.stores.base import StoreUnavailable
from ecom.telemetry.logs import write_logs
from ecom.telemetry.metrics import Metrics, port_of
from ecom.telemetry.tracing import tracer_for

BATCH = 1_000  # inputs in one transaction, at most
# Seconds: the longest that a confirm waits to be noted, or an answer while many are awaited.
PATIENCE = 0.02
BUSY, CROWDED = 32, 256  # inputs in one step: between these, waiting for more makes fewer commits
COMPANY_SECONDS = 0.04  # how long a busy process waits for more, unless it is behind
LONGEST_WAIT = 0.5  # seconds, also if there are many replicas
TICK, FAR_TICK = 0.1, 0.25  # seconds between looks at what is due; on a server they cost more
COMPLAINT_SECONDS = 5.0  # between two log lines about one database that is unavailable
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.1  # seconds until an unavailable database is tried again
LAST_SPANS = 2.0  # seconds to export them when the process ends

log = logging.getLogger("ecom.process")


# Starts a service's HTTP API: its base URL, and what to run to serve it.
OpenApi = Callable[["Process"], tuple[str, Coroutine[Any, Any, None]]]


def pause(inputs: int, took: float, replicas: int) -> float:
    """How long to wait for company after a step with so many inputs that took so long, unless we
    are behind: fewer commits are worth a short wait. One of several replicas leaves the server to
    each of the others for as long as it has had it. So their batches are as large as those of one,
    and all of them make as many commits: else a commit's own cost is paid for a part of a batch.
    A replica is busy if all of them together are."""
    if inputs >= CROWDED:
        return 0.0
    turn = took + (COMPANY_SECONDS if replicas * inputs >= BUSY else 0.0)
    return min(LONGEST_WAIT, replicas * turn - took)


class Process:
    """A service at work: inputs gather in a queue, and a batch of them is one step. Events of what
    failed, or is undone, are logged when they are published."""

    def __init__(
        self,
        saga: Saga,
        name: str,
        settings: Settings,
        performers: Performers | None = None,
        api: OpenApi | None = None,
    ) -> None:
        self.name, self.settings, self._api = name, settings, api
        self._news = {it.key for it in saga.contract.events if it.failure}
        self.databases = databases(settings)
        self.databases.provide(saga.services[name])
        self.store: Any = self.databases.store(name, settings.replica)
        # Steps wait for a server in a thread of their own, for a file where they are.
        self._aside = ThreadPoolExecutor(1) if self.databases.is_remote else None
        self.bus = Bus(settings.amqp_url, settings.shop, name, self.put)
        user = self.bus.user
        self._runtime = Runtime(saga, name, self.store, settings.replica, random.random, user)
        self._inputs: list[Input] = []
        self._wake, self._is_due = asyncio.Event(), False  # what can wait wakes us a little later
        self._performing = 0  # effects
        self.put(messages.PublisherDown())  # siblings know of us before we are sent anything
        self._performers = performers or Performers({})
        self._tasks: set[asyncio.Task] = set()
        port, services = settings.metrics_port, saga.contract.services
        self._metrics_port = port_of(port, services, name, settings.replica)
        self.clock = Clock(self.store.time) if self._aside else Clock()
        reading = partial(self.databases.reading, name)
        self.metrics = Metrics(name, settings.folder, lambda: self.bus.connected, reading)
        self._tracer = tracer_for(saga.services[name], saga.contract, settings)
        self._ways: dict[type, Callable[[Any], object]] = {
            messages.Commit: lambda it: it.transaction.commit(),
            messages.Publish: self._publish,
            messages.Ack: self.bus.ack,
            messages.Perform: self._begin,
            messages.Reply: self._answer,
            messages.Announce: self.bus.announce,
        }

    def put(self, what: Input) -> None:
        """Add an input; it is handled in the next batch. A confirm may wait for that a little, as
        may an answer while many are awaited, and so costs no commit of its own."""
        self._inputs.append(what)
        can_wait = (Confirmed, Performed) if self._performing >= BUSY else (Confirmed,)
        if type(what) not in can_wait:
            self._wake.set()
        elif not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(PATIENCE, self._wait_no_more)

    def _wait_no_more(self) -> None:
        self._is_due = False
        self._wake.set()

    def ask(self, id: str, message: Any, traceparent: str = "") -> asyncio.Future:
        """Have a command handled; await the result for its handler's answer, or its exception."""
        answer = asyncio.get_running_loop().create_future()
        self.put(Command(id, message, answer, traceparent))
        return answer

    async def work(self) -> None:
        """Step after step, until cancelled between two."""
        while True:
            await self._wake.wait()
            batch = self._next(BATCH)
            if not self._inputs:
                self._wake.clear()
            begun = time.monotonic()
            if batch:
                await self._step(batch)
            took = time.monotonic() - begun
            called = any(type(it) is Command for it in batch)  # who brings none meanwhile
            await asyncio.sleep(0.0 if called else pause(len(batch), took, self._sharing))

    @property
    def _sharing(self) -> int:
        """How many replicas share a server's time; a file's lock makes them take turns."""
        return self._runtime.replicas if self._aside else 1

    def _next(self, most: int) -> list[Input]:
        """The oldest inputs, so many at most, which wait no more."""
        batch = self._inputs[:most]
        del self._inputs[:most]
        return batch

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(FAR_TICK * self._sharing if self._aside else TICK)
            if not (self._inputs and type(self._inputs[-1]) is Tick):  # none waits already
                self.put(Tick())

    async def _tally(self) -> None:
        greeted = 0
        while True:
            await asyncio.sleep(self.settings.tally_seconds)
            await self.bus.check_queue()
            self.metrics.look_at_wal()
            if greeted != (greeted := self.bus.epoch):  # what was lost before, tallies tell
                self.bus.announce(messages.Announce(f"{self.name}.missing", HELLO))
            if random.random() < 1 / self._sharing:  # a sibling's is as good as ours
                self.put(messages.TallyDue())

    async def _step(self, batch: list[Input]) -> None:
        """One transaction; while the database is unavailable, the same batch again, soon, with what
        has come meanwhile: siblings make few commits, then. But the commands of those who do not
        wait any more are left out: none is handled behind their backs."""
        complained, pause = 0.0, FIRST_PAUSE
        while batch := [it for it in batch if not (type(it) is Command and it.token.cancelled())]:
            try:
                start = self.clock()
                for output in await self._in_turn(self._committed, batch, start):
                    self._carry_out(output)
                end = self.clock()
                self.metrics.step(batch, start, end)
                if self._tracer is not None:
                    self._tracer.handled(batch, start, end)
                return
            except StoreUnavailable as error:
                if start > complained + COMPLAINT_SECONDS:
                    log.warning("The database is unavailable, trying again: %s", error)
                    complained = start
                await asyncio.sleep(random.uniform(pause / 2, pause))
                pause = min(LONGEST_PAUSE, 2 * pause)
                batch += self._next(BATCH - len(batch))

    def _committed(self, batch: list[Input], now: float) -> Iterator[Output]:
        """What there is to do after a step's commit."""
        outputs = self._runtime.step(batch, now)
        self._carry_out(next(outputs))
        return outputs

    async def _in_turn(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do what waits for the database."""
        if self._aside is None:
            return work(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._aside, work, *arguments)

    def _carry_out(self, output: Output) -> None:
        self._ways[type(output)](output)

    def _publish(self, output: messages.Publish) -> None:
        self.bus.publish(output)
        row = output.row
        if row.type in self._news:
            about = {"subject": row.subject, "event": row.id}
            log.info("Published %s event", row.type, extra=about)
        if self._tracer is not None:
            self._tracer.published(row, self.clock())

    def _answer(self, reply: messages.Reply) -> None:
        if reply.token.cancelled():
            return  # the caller has disconnected
        if isinstance(reply.value, Exception):
            reply.token.set_exception(reply.value)
        else:
            reply.token.set_result(reply.value)

    def _begin(self, output: messages.Perform) -> None:
        self._performing += 1
        self._start(self._perform(output))

    async def _perform(self, output: messages.Perform) -> None:
        start = self.clock() if self._tracer is not None else 0.0
        answer = await self._performers.perform(output)
        self._performing -= 1
        if self._tracer is not None:
            self._tracer.performed(output.row, answer, start, self.clock())
        self.put(answer)

    def _start(self, work: Any) -> asyncio.Task:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; write a note when it is ready. Raises what ends it before."""
        works = (self.bus.run(), self.work(), self._tick(), self._tally())
        tasks = [self._start(each) for each in works]
        ready = {"metrics": self.metrics.serve(self.settings.metrics_host, self._metrics_port)}
        if self._api is not None:
            ready["http"], serving = self._api(self)
            tasks.append(self._start(serving))
        tasks.append(self._start(self._write_note(ready)))
        stopping = self._start(stop.wait())
        await asyncio.wait({stopping, *tasks[:-1]}, return_when=asyncio.FIRST_COMPLETED)
        failures = [task.exception() for task in tasks if task.done() and task.exception()]
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._aside:
            self.store.stop()
        await self._performers.close()
        await self._send_last_spans()
        with suppress(StoreUnavailable):
            await self._in_turn(self._runtime.leave, self.clock())
        self.store.close()
        if failures:
            raise failures[0]

    async def _send_last_spans(self) -> None:
        """A collector that does not answer must not delay the end."""
        if self._tracer is not None:
            sending = threading.Thread(target=self._tracer.close, daemon=True)
            sending.start()
            await asyncio.to_thread(sending.join, LAST_SPANS)

    async def _write_note(self, ready: dict[str, str]) -> None:
        await self.bus.ready.wait()
        write_note(self.settings.folder, self.name, self.settings.replica, **ready)


async def _run(saga: Saga, name: str, settings: Settings, make: Callable[[], Process]) -> None:
    stop = until_stopped()
    if name == PROVISIONER:
        await provide(saga.contract, settings, stop)
    else:
        collect_rarely()
        await make().run(stop)


def main(saga: Saga, name: str, settings: Settings, make: Callable[[], Process]) -> None:
    """Run the saga's provisioner, or the process that `make` makes, which needs an event loop,
    until it is told to stop."""
    who = name if settings.replica == "1" else f"{name}-{settings.replica}"
    write_logs(who, subject=saga.contract.subject_field, folder=settings.folder)
    try:
        run(_run(saga, name, settings, make))
    except ShopError as error:  # for the user to mend
        sys.exit(str(error))
