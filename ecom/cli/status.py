"""The status of a shop, read from its notes and databases, without its process."""

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ecom.errors import ServiceDown
from ecom.harness.processes import read_note
from ecom.harness.tenancy import pages_of
from ecom.harness.workspace import holder_of, is_alive
from ecom.runtime.retry import Retry
from ecom.runtime.saga import Saga
from ecom.shop.folder import kept_saga, monitor

POLICY = (
    "{service}, {kind}: {attempts} attempts, waits of up to {base:g} s × {factor:g}ⁿ, "
    "at most {cap:g} s"
)
UNKNOWN = "An effect that may have happened all the same is tried until its outcome is known."


@dataclass(frozen=True)
class Status:
    """What runs, what waits, how the orders stand, and how often what fails is tried again."""

    open: bool
    services: dict[str, dict[str, Any]]  # pid (None: not running), unhandled, unsent, …
    orders: dict[str, int]  # by state
    retries: list[dict[str, Any]]
    rabbitmq: str  # where its pages are; "": unknown

    def __str__(self) -> str:
        columns = ["pid", "unhandled", "unsent", "effects", "retries", "dead"]
        lines = [f"{'service':<14}" + "".join(f"{name:>11}" for name in columns)]
        for service, values in self.services.items():
            lines.append(f"{service:<14}" + "".join(f"{_cell(values[it]):>11}" for it in columns))
        states = ", ".join(f"{n:,} {state}" for state, n in self.orders.items()) or "none yet"
        lines += [f"orders: {states}", *map(POLICY.format_map, self.retries), UNKNOWN]
        return "\n".join([*lines, *([f"RabbitMQ: {self.rabbitmq}"] if self.rabbitmq else [])])


def policies(saga: Saga) -> list[dict[str, Any]]:
    """The retry policies, exceptions first: whose (`service` may be "all", `kind` "the rest"), how
    many `attempts`, and in seconds the first wait (`base`, then times `factor` each) and the
    longest (`cap`)."""
    exceptions = [
        {"service": service.name, "kind": kind.__name__, **asdict(retry)}
        for service in saga.services.values()
        for kind, retry in service.retries.items()
    ]
    return [*reversed(exceptions), {"service": "all", "kind": "the rest", **asdict(Retry())}]


def status_of(folder: Path) -> Status:
    """The status of the shop in `folder` now."""
    with monitor(folder) as it:
        waiting, states = it.look().waiting(), it.states()
    services = {it: {"pid": _note(folder, it).get("pid"), **waiting[it]} for it in waiting}
    orders = {state: n for state, n in states.items() if n}
    retries, pages = policies(kept_saga(folder)), pages_of(folder)
    return Status(is_open(folder), services, orders, retries, pages)


def is_open(folder: Path) -> bool:
    """Whether somebody has the shop in `folder` open; nobody may have one whose services were
    started one by one."""
    return holder_of(folder) is not None or not (folder / "lock").exists()


def api_of(folder: Path) -> str:
    """The URL of the API of the shop in `folder`. Raises `ServiceDown`."""
    if note := _note(folder, "order"):
        return note["http"]
    raise ServiceDown(f"Shop {folder.name!r} takes no orders now: `ecom up` opens it.")


def _note(folder: Path, service: str) -> dict[str, Any]:
    """What a service's process has noted of itself; nothing if it does not run."""
    with suppress(FileNotFoundError):
        note = read_note(folder, (service, "1"))
        if is_open(folder) and is_alive(note["pid"]):
            return note
    return {}


def _cell(value: int | None) -> str:
    return "down" if value is None else str(value) if value else "·"
