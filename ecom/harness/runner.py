"""A saga's processes and their broker, opened, watched and closed as if they were one thing."""

import atexit
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Self
from weakref import ref

from ecom.amqp.address import check_url
from ecom.errors import NotSettled, ShopError
from ecom.harness.dead_letters.dead_letters import DeadLetters
from ecom.harness.diagrams.live import Glance, watched
from ecom.harness.postgres import Cluster
from ecom.harness.processes import Processes, Program
from ecom.harness.quiescence import Monitor, wait_until_settled
from ecom.harness.tenancy import address, forget, forget_abandoned, keep_broker, lease_for, prepare
from ecom.harness.workspace import Workspace, clear_abandoned
from ecom.process import child
from ecom.process.databases import Server
from ecom.runtime.saga import Saga
from ecom.settings import folder_named, number, text, write_private
from ecom.stores.base import StoreUnavailable
from ecom.stores.reader import SERVER


class Runner:
    """Runs a saga's services as processes of their own. `with` it, or `open` and `close` it.

    One without `name` and `folder` is made up and leaves nothing behind; with a folder, its
    databases stay to be read; with a name, it can be opened again and goes on. An open one closes
    itself when nobody refers to it any more, at the latest with this process.
    """

    noun = "saga"  # what it is called when it is closed
    imports: tuple[str, ...] = ()  # modules that its processes need, loaded once for all
    _environment: Mapping[str, str] = {}  # what all of them have besides
    _workspace: Workspace | None = None  # while it is open

    def __init__(
        self,
        saga: Saga,
        name: str | None,
        folder: Path | str | None,
        amqp_url: str | None,
        database: str,
    ) -> None:
        self.saga, self._name = saga, None if name is None else text("name", name)
        self._folder = None if folder is None else folder_named("folder", folder)
        self._amqp_url = None if amqp_url is None else check_url("amqp_url", amqp_url)
        self._database = text("database", database)
        if database not in ("files", "postgres") and "://" not in database:
            raise ShopError("database must be files, postgres, or the URL of a PostgreSQL.")
        if database == "postgres" and (name, folder) != (None, None):
            raise ShopError(
                f"A private PostgreSQL goes with its {self.noun}, which has no name or folder."
            )

    # ── what each kind says of itself ─────────────────────────────────────────────────────────
    def _begin(self, closing: ExitStack) -> None:
        """Start what is around the services, to end with `closing`; the folder is there."""

    def _provision(self) -> dict[str, str]:
        """Make the databases, or bring them up to date; harmless to repeat. Where each service
        finds its own on `_server`, if there is one, and as whom."""
        raise NotImplementedError

    def _programs(self, secrets: dict[str, dict[str, str]]) -> dict[str, Program]:
        """The program of each process; `secrets` are where each service finds the broker, and its
        database, and as whom."""
        raise NotImplementedError

    # ── opening and closing ───────────────────────────────────────────────────────────────────
    def open(self) -> Self:
        """Start broker and services; returns when they can be used. Opening twice is harmless.

        Raises `ShopBusy`, `ServiceDied`, or `BrokerUnavailable`.
        """
        if self._workspace is None:
            self._workspace = Workspace(self._name, self._folder)
            self._closing, self._processes, self._server = ExitStack(), None, None
            self._at_exit = partial(_close, ref(self))
            atexit.register(self._at_exit)
            try:
                self._open(self._closing)
            except BaseException:
                self.close()
                raise
        return self

    def _open(self, closing: ExitStack) -> None:
        child.prepare(*self.imports)  # it takes as long as what follows
        if self._database != "files":
            is_private = self._database == "postgres"
            url = closing.enter_context(Cluster()).url if is_private else self._database
            self._server = Server(url, self.name)
            write_private(self.folder / SERVER, f"{self._server.url}\n{self.name}")
        elif (self.folder / SERVER).exists():
            raise ShopError(f"This {self.noun} has its rows on a server: say its URL by database=.")
        self._begin(closing)
        broker = self._amqp_url or closing.enter_context(lease_for(self.folder))
        self._url = address(broker, self.name)
        keep_broker(self.folder, broker)
        contract = self.saga.contract
        with ThreadPoolExecutor(1) as aside:  # disk and broker are waited for at once
            provisioned = aside.submit(self._provision)
            urls = prepare(contract, broker, self.name)
            databases = provisioned.result()
        clear_abandoned(partial(forget_abandoned, contract, broker))
        self._forget = partial(forget, contract, broker, self.name)
        secrets = {service: {"ECOM_AMQP_URL": url} for service, url in urls.items()}
        for service, url in databases.items():
            secrets[service]["ECOM_DATABASE_URL"] = url
        its = self._programs(secrets)
        told = {"ECOM_FOLDER": str(self.folder), "ECOM_SHOP": self.name, **self._environment}
        self._processes = Processes(self.folder, its, told, self._workspace.lock.fileno())
        self._dead = DeadLetters(self.saga, self._url, self.name, self.folder)
        self._processes.start(*((service, "1") for service in its))

    def close(self) -> None:
        """Stop the services, let go of the broker, remove what was made up."""
        if self._workspace is None:
            return
        workspace, self._workspace = self._workspace, None
        atexit.unregister(self._at_exit)
        if workspace.lock.closed:  # we were forked by whoever opened it, whose it is
            return
        with self._closing:
            forgotten = self._processes is None  # then it never came to have queues
            try:
                if self._processes:
                    self._processes.stop()
                    forgotten = self._is_for_once(workspace) and self._forget()
                    if self._server and workspace.is_temporary and self._database != "postgres":
                        with suppress(StoreUnavailable):
                            self._server.forget(self.saga.services)
            finally:
                workspace.leave(remove=forgotten)

    def _is_for_once(self, workspace: Workspace) -> bool:
        """Whether nobody will miss the queues: it was made up, or kept only to be read."""
        if workspace.is_temporary or workspace.is_named:
            return workspace.is_temporary
        with Monitor(self.saga, workspace.folder) as looking:
            return looking.look().nothing_left()

    __enter__ = open
    __del__ = close  # in a notebook, the cell that opens it may be run again

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        what = type(self).__name__
        if self._workspace is None:
            return f"{what} (closed)"
        running = ", ".join(self._processes.alive())
        return f"{what} {self.name!r} with {running} running, in {self.folder}"

    @property
    def name(self) -> str:
        """What its exchange and queues at the broker begin with."""
        return self._opened().name

    @property
    def folder(self) -> Path:
        """Where its databases and logs are."""
        return self._opened().folder

    @property
    def amqp_url(self) -> str:
        """The broker's address, for an operator who may do everything with its queues."""
        self._opened()
        return self._url

    # ── waiting ───────────────────────────────────────────────────────────────────────────────
    def settle(self, timeout: float = 60.0, bar: Any = None) -> None:
        """Wait, at most `timeout` seconds, until it is settled. Raises `NotSettled`, `ServiceDied`.

        Settled: every event handled by all its listeners, nothing to be sent, performed or retried.
        `bar` is told how many more sagas have ended; without it, there is a progress bar.
        """
        processes, seconds = self._staffed(), number("timeout", timeout, 0, inf)
        with Monitor(self.saga, self.folder, self._dead.awaited) as looking:
            wait_until_settled(looking, processes, self._dead.event_ids, seconds, bar)

    def watch(self, seconds: float = 60.0) -> Glance:
        """Show sagas flow, live, until it is settled or `seconds` are over; how it stands then."""
        seconds = number("seconds", seconds, 0, inf)
        looking = Monitor(self.saga, self.folder)
        return watched(looking, lambda view: self.settle(seconds, view))

    def wait_until(self, condition: Callable[[], object], timeout: float = 60.0) -> None:
        """Wait, at most `timeout` seconds, until `condition()` is true. Raises `NotSettled`.

        For what happens before it is settled: `shop.wait_until(lambda: shop.emails().size)`.
        """
        deadline = time.monotonic() + number("timeout", timeout, 0, inf)
        while not condition():
            if time.monotonic() > deadline:
                raise NotSettled(f"What you wait for did not happen within {timeout:g} s.")
            time.sleep(0.05)

    # ── trouble ───────────────────────────────────────────────────────────────────────────────
    @property
    def dead(self) -> DeadLetters:
        """Its dead letters, to look at and to replay."""
        self._opened()
        return self._dead

    def kill(self, service: str, replica: str = "1") -> None:
        """SIGKILL a service. Raises `ServiceDown` if it does not run."""
        processes = self._staffed()
        processes.kill(processes.member(service, replica))

    def start(self, service: str, replica: str = "1") -> None:
        """Start a service, or a further replica of it; harmless if it runs already."""
        self.processes.start(self.processes.member(service, replica))

    @property
    def processes(self) -> Processes:
        """Its processes, for whoever wants more trouble than this."""
        self._opened()
        return self._processes

    # ── how ───────────────────────────────────────────────────────────────────────────────────
    def _opened(self) -> Workspace:
        if self._workspace is None:
            raise ShopError(f"This {self.noun} is closed: call its open(), or open it by `with`.")
        return self._workspace

    def _staffed(self) -> Processes:
        """The processes. Raises `ServiceDied` if one of them has died unasked."""
        self._opened()
        self._processes.check()
        return self._processes


def _close(runner: "ref[Runner]") -> None:
    if it := runner():  # a hook for `atexit` must keep nothing alive
        it.close()
