"""What is put to the test: a saga that runs, who asks it for what, and what is counted then."""

from typing import TYPE_CHECKING, Any, Protocol

from ecom.harness.processes import read_note
from ecom.harness.runner import Runner
from ecom.sagas.choreography import choreography
from ecom.shop.folder import kept_token
from ecom.shop.records import Records
from ecom.shop.shop import Shop
from ecom_lab.chaos import measure
from ecom_lab.chaos.workload import Orders, Workload

if TYPE_CHECKING:
    from ecom_lab.chaos.fault import Fault, Size


class Trial(Protocol):
    """A saga on trial."""

    @property
    def suffix(self) -> str:
        """What the names of its rows end with."""

    @property
    def asked(self) -> set[str]:
        """The services that are given commands."""

    @property
    def failing(self) -> str:
        """The program of a service that may be told to fail."""

    def runner(self, fault: "Fault", size: "Size", **where: Any) -> Runner:
        """It, not opened yet; `where` are its folder, broker and database."""

    def workload(self, runner: Any, fault: "Fault", size: "Size", seed: int) -> Workload:
        """Those who ask it, once it is open."""

    def judge(self, runner: Any, workload: Any) -> tuple[str, dict[str, int]]:
        """Its books, and the counts of a `Verdict`."""


class ShopTrial:
    """The shop, whose customers order over HTTP."""

    suffix = ""
    asked = frozenset({"order"})
    failing = "ecom_lab.chaos.process:main"

    def runner(self, fault: "Fault", size: "Size", **where: Any) -> Shop:
        saga = None if fault.saga is choreography else fault.saga(fault.hold_seconds)
        stock, hold_seconds = fault.stock(size.orders), fault.hold_seconds
        return Shop(stock, hold_seconds=hold_seconds, saga=saga, **where)

    def workload(self, shop: Shop, fault: "Fault", size: "Size", seed: int) -> Orders:
        customers, token = fault.customers(size.orders, seed), kept_token(shop.folder)
        return Orders(
            customers, lambda: read_note(shop.folder, ("order", "1"))["http"], token, seed
        )

    def judge(self, shop: Shop, workload: Orders) -> tuple[str, dict[str, int]]:
        counts = measure.count(shop.folder, workload.attempted, workload.acknowledged)
        return str(Records(shop.folder).books()), counts


SHOP = ShopTrial()
