"""A shop to hold in a notebook: five services and their broker, as if they were one thing."""

import atexit
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal
from weakref import ref

from ecom.amqp.connection import check_url
from ecom.errors import NotSettled, ShopError
from ecom.harness.dead_letters.dead_letters import DeadLetters
from ecom.harness.diagrams.live.glance import Glance
from ecom.harness.diagrams.live.view import watched
from ecom.harness.processes import EMPTY, Processes
from ecom.harness.quiescence import wait_until_settled
from ecom.harness.tenancy import address, forget, forget_abandoned, keep_broker, lease_for, prepare
from ecom.harness.workspace import Workspace, clear_abandoned, keep_secret
from ecom.process import child
from ecom.runtime.saga import Saga
from ecom.sagas.choreography import choreography
from ecom.sandbox.sandbox import Sandbox, put_faults
from ecom.settings import LONGEST_HOLD, Settings
from ecom.shop import arguments, catalogue
from ecom.shop.api_client import Client
from ecom.shop.carried import carried
from ecom.shop.catalogue import Lines, orders_for
from ecom.shop.credentials import keep_token
from ecom.shop.live import is_for_once, keep_saga, monitor
from ecom.shop.programs import programs
from ecom.shop.provision import provision
from ecom.shop.records import Records


class Shop(Records):
    """Runs the five services as processes of their own; `with Shop() as shop:` or `open`, `close`.

    `stock` is units by sku (None: the catalogue's); `hold_seconds` is how long stock is held for an
    unpaid order. A shop without `name` and `folder` is made up and leaves nothing behind; with a
    folder, its databases stay to be read; with a name, it can be opened again and goes on. An open
    shop closes itself when nobody refers to it any more, at the latest with this process.
    The payment provider and the mail server are processes, too, unless `outside` is "files": then
    the services themselves keep their books, which is faster.
    `saga` is who tells whom what to do, the choreography if None; `services` are those that differ
    from its own, by name: a `Service`, or some of its handlers by message. Their code may be in a
    notebook. Wrong arguments raise `ShopError`.
    """

    _workspace: Workspace | None = None  # while it is open

    def __init__(
        self,
        stock: Mapping[str, int] | None = None,
        *,
        name: str | None = None,
        folder: Path | str | None = None,
        hold_seconds: float = Settings.hold_seconds,
        amqp_url: str | None = None,
        outside: Literal["processes", "files"] = "processes",
        saga: Saga | None = None,
        services: Mapping[str, Any] = EMPTY,
    ) -> None:
        self._stock = catalogue.stock() if stock is None else arguments.units_of_stock(stock)
        self._name = None if name is None else arguments.text("name", name)
        self._folder = None if folder is None else arguments.folder(folder)
        self._hold_seconds = arguments.patience("hold_seconds", hold_seconds, LONGEST_HOLD)
        usual = choreography(self._hold_seconds) if saga is None else arguments.saga(saga)
        self.saga = arguments.services(services, usual)
        self._is_usual = saga is None and not services
        self._amqp_url = None if amqp_url is None else check_url("amqp_url", amqp_url)
        self._as_processes = arguments.choice("outside", outside, "processes", "files") != "files"

    # ── opening and closing ───────────────────────────────────────────────────────────────────
    def open(self) -> "Shop":
        """Start broker and services; returns when orders can be placed. Opening twice is harmless.

        Raises `ShopBusy`, `ServiceDied`, or `BrokerUnavailable`.
        """
        if self._workspace is None:
            self._workspace = Workspace(self._name, self._folder)
            self._at_exit = partial(_close, ref(self))
            atexit.register(self._at_exit)
            try:
                self._open()
            except BaseException:
                self.close()
                raise
        return self

    def _open(self) -> None:
        self._processes, self._client, self._lease, self._sandbox = None, None, None, None
        child.prepare("ecom.serve", "ecom.api.app")  # it takes as long as what follows
        self._sandbox = Sandbox(self._as_processes)
        keep_secret(self.folder / "gateway-url", self._sandbox.gateway)
        if self._amqp_url is None:
            self._lease = lease_for(self.folder)
        broker = self._amqp_url or self._lease.url
        self._url = address(broker, self.name)
        keep_broker(self.folder, broker)
        keep_saga(self.folder, self.saga)
        self._token = keep_token(self.folder)
        contract = self.saga.contract
        with ThreadPoolExecutor(1) as aside:  # disk and broker are waited for at once
            provisioned = aside.submit(provision, self.saga, self.folder, self._stock)
            urls = prepare(contract, broker, self.name)
            provisioned.result()
        clear_abandoned(partial(forget_abandoned, contract, broker))
        self._forget = partial(forget, contract, broker, self.name)
        saga = None if self._is_usual else carried(self.saga)
        its = programs(urls, self._token, self._sandbox.environment, saga) | self._sandbox.programs
        told = {  # all of them
            "ECOM_FOLDER": str(self.folder),
            "ECOM_SHOP": self.name,
            "ECOM_HOLD_SECONDS": str(self._hold_seconds),
        }
        self._processes = Processes(self.folder, its, told, self._workspace.lock)
        self._client = Client(partial(_api, self._processes), self._token)
        self._dead = DeadLetters(self.saga, self._url, self.name, self.folder)
        self._processes.start(*((service, "1") for service in its))

    def close(self) -> None:
        """Stop the services, let go of the broker, remove what was made up."""
        if self._workspace is None:
            return
        workspace, self._workspace = self._workspace, None
        atexit.unregister(self._at_exit)
        if not workspace.is_ours:  # we were forked by whoever opened it, whose it is
            return
        forgotten = self._processes is None  # then it never came to have queues
        try:
            if self._client:
                self._client.close()
            if self._processes:
                self._processes.stop()
                forgotten = is_for_once(workspace) and self._forget()
        finally:
            workspace.leave(remove=forgotten)
            if self._sandbox:
                self._sandbox.close()
            if self._lease:
                self._lease.close()

    __del__ = close  # in a notebook, the cell that opens it may be run again

    def __enter__(self) -> "Shop":
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._workspace is None:
            return "Shop (closed)"
        running = ", ".join(self._processes.alive())
        return f"Shop {self.name!r} with {running} running, in {self.folder}"

    @property
    def name(self) -> str:
        """What its exchange and queues at the broker begin with."""
        return self._opened().name

    @property
    def folder(self) -> Path:
        """Where its databases and logs are."""
        return self._opened().folder

    @property
    def url(self) -> str:
        """Where its order service listens. Raises `ServiceDown`."""
        return _api(self._staffed())

    @property
    def amqp_url(self) -> str:
        """The broker's address, for an operator who may do everything with the shop's queues."""
        self._opened()
        return self._url

    # ── customers ─────────────────────────────────────────────────────────────────────────────
    def place(self, customer: str, lines: Lines, card: str | None = None) -> str:
        """Place an order; its number. Raises `OrderRefused`, `ServiceDown`, `ServiceDied`.

        `lines` is units by sku at the catalogue's prices, or a list of `{"sku", "quantity",
        "unit_price"}` (pence). Without `card`, known customers pay with their own.
        """
        return self.place_many([{"customer": customer, "lines": lines, "card": card}])[0]

    def place_many(self, orders: Iterable[Mapping[str, Any]]) -> list[str]:
        """Place orders given as arguments of `place`; their numbers. See `Client.place`."""
        self._staffed()
        return self._client.place(orders_for(orders))

    def cancel(self, order_id: str) -> None:
        """A customer changes their mind: the order will be undone. Raises as `place` does."""
        self._staffed()
        self._client.cancel(arguments.order_id(order_id))

    def token(self, customer: str) -> str:
        """A token with which this customer sees and cancels their own orders over HTTP."""
        self._staffed()
        return self._client.token(arguments.text("customer", customer))

    def settle(self, timeout: float = 60.0, bar: Any = None) -> None:
        """Wait, at most `timeout` seconds, until it is settled. Raises `NotSettled`, `ServiceDied`.

        Settled: every event handled by all its listeners, nothing to be sent, performed or retried.
        `bar` is told how many more orders have ended; without it, there is a progress bar.
        """
        processes, seconds = self._staffed(), arguments.patience("timeout", timeout)
        with monitor(self.folder, self._dead.awaited, self.saga) as looking:
            wait_until_settled(looking, processes, self._dead.event_ids, seconds, bar)

    def watch(self, seconds: float = 60.0) -> Glance:
        """Show orders flow, live, until it is settled or `seconds` are over; how it stands then."""
        seconds = arguments.patience("seconds", seconds)
        return watched(
            monitor(self.folder, saga=self.saga), lambda view: self.settle(seconds, view)
        )

    def wait_until(self, condition: Callable[[], object], timeout: float = 60.0) -> None:
        """Wait, at most `timeout` seconds, until `condition()` is true. Raises `NotSettled`.

        For what happens before the shop is settled: `shop.wait_until(lambda: shop.emails().size)`.
        """
        deadline = time.monotonic() + arguments.patience("timeout", timeout)
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

    def gateway(self, **faults: float) -> None:
        """Say what goes wrong at the payment provider from now on (`ecom.sandbox.faults.Faults`).

        E.g. `fail_before=0.1, fail_after=0.1`; `delay=2.5`; `down=True`. Nothing: all is well.
        """
        self._staffed()
        put_faults(self._sandbox.gateway, arguments.faults(faults))

    @property
    def processes(self) -> Processes:
        """Its processes, for whoever wants more trouble than this."""
        self._opened()
        return self._processes

    def revive(self, tell: Callable[[str], object]) -> None:
        """`tell` what became of each service that has died unasked, then start it again."""
        self.processes.revive(tell)

    # ── how ───────────────────────────────────────────────────────────────────────────────────
    def _opened(self) -> Workspace:
        if self._workspace is None:
            raise ShopError("This shop is closed: open it with shop.open(), or use `with Shop()`.")
        return self._workspace

    def _staffed(self) -> Processes:
        """The processes. Raises `ServiceDied` if one of them has died unasked."""
        self._opened()
        self._processes.check()
        return self._processes


def _api(processes: Processes) -> str:
    return processes.note("order")["http"]


def _close(shop: "ref[Shop]") -> None:
    if it := shop():  # a hook for `atexit` must keep no shop alive
        it.close()
