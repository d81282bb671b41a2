"""A shop to hold in a notebook: five services and their broker, as if they were one thing."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ecom.harness.carried import carried
from ecom.harness.processes import Processes, Program
from ecom.harness.runner import Runner
from ecom.runtime.saga import Saga
from ecom.sagas.choreography import choreography
from ecom.sandbox.sandbox import Sandbox, put_faults
from ecom.settings import LONGEST_HOLD, Settings, number, one_of, write_private
from ecom.shop import arguments, catalogue
from ecom.shop.api_client import Client
from ecom.shop.arguments import Lines, orders_for
from ecom.shop.folder import keep_saga, keep_token
from ecom.shop.provision import provision
from ecom.shop.records import Records

# What processes need, loaded once for all that are forked; a service that is started by hand loads
# its own only.
IMPORTS = {
    "order": ("ecom.api.app",),
    "payment": ("ecom.effects.http_gateway",),
    "notification": ("ecom.effects.smtp",),
}
OUTSIDE = {"payment": "ECOM_GATEWAY_URL", "notification": "ECOM_SMTP_URL"}


class Shop(Records, Runner):
    """Runs the five services as processes of their own; `with Shop() as shop:` or `open`, `close`.

    `stock` is units by sku (None: the catalogue's); `hold_seconds` is how long stock is held for an
    unpaid order. A shop without `name` and `folder` is made up and leaves nothing behind; with a
    folder, its databases stay to be read; with a name, it can be opened again and goes on. An open
    shop closes itself when nobody refers to it any more, at the latest with this process.
    The payment provider and the mail server are processes, too, unless `outside` is "files": then
    the services themselves keep their books, which is faster. With `database` "postgres" services
    have their rows in a private PostgreSQL, which goes with the shop; with the URL of a role that
    may make schemas and roles, in its database.
    `saga` is who tells whom what to do, the choreography if None; `services` are those that differ
    from its own, by name: a `Service`, or some of its handlers by message. Their code may be in a
    notebook. Wrong arguments raise `ShopError`.
    """

    noun = "shop"
    imports = ("ecom.serve", "ecom.api.app")

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
        services: Mapping[str, Any] = {},
        database: str = "files",
    ) -> None:
        self._stock = catalogue.stock() if stock is None else arguments.units_of_stock(stock)
        held = number("hold_seconds", hold_seconds, 0, LONGEST_HOLD)
        usual = choreography(held) if saga is None else saga
        its = arguments.services(services, usual)
        Runner.__init__(self, its, name, folder, amqp_url, database)
        self._environment = {"ECOM_HOLD_SECONDS": str(held)}
        self._is_usual = saga is None and not services
        self._as_processes = one_of("outside", outside, ("processes", "files")) != "files"

    # ── opening and closing ───────────────────────────────────────────────────────────────────
    def _begin(self, closing: ExitStack) -> None:
        self._sandbox = Sandbox(self._as_processes)
        closing.callback(self._sandbox.close)
        write_private(self.folder / "gateway-url", self._sandbox.gateway)
        keep_saga(self.folder, self.saga)
        self._token = keep_token(self.folder)

    def _open(self, closing: ExitStack) -> None:
        super()._open(closing)
        self._client = Client(partial(_api, self._processes), self._token)
        closing.callback(self._client.close)

    def _provision(self) -> dict[str, str]:
        return provision(self.saga, self.folder, self._stock, self._server)

    def _programs(self, secrets: dict[str, dict[str, str]]) -> dict[str, Program]:
        saga = None if self._is_usual else carried(self.saga)
        secrets["order"]["ECOM_HTTP_TOKEN"] = self._token
        for service, variable in OUTSIDE.items():
            secrets[service][variable] = self._sandbox.environment[variable]
        its = {
            service: Program("ecom.serve:serve", ([service], saga), IMPORTS.get(service, ()), told)
            for service, told in secrets.items()
        }
        return its | self._sandbox.programs

    @property
    def url(self) -> str:
        """Where its order service listens. Raises `ServiceDown`."""
        return _api(self._staffed())

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

    # ── trouble ───────────────────────────────────────────────────────────────────────────────
    def gateway(self, **faults: float) -> None:
        """Say what goes wrong at the payment provider from now on (`ecom.sandbox.faults.Faults`).

        E.g. `fail_before=0.1, fail_after=0.1`; `delay=2.5`; `down=True`. Nothing: all is well.
        """
        self._staffed()
        put_faults(self._sandbox.gateway, arguments.faults(faults))


def _api(processes: Processes) -> str:
    return processes.note("order")["http"]
