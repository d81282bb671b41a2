"""Small parts that several tests share: example events, wire forms, and a hand-driven runtime."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

from ecom.broker.installation import find_rabbitmq, version
from ecom.broker.node import usable
from ecom.contract.envelope import Envelope, encode
from ecom.process import child
from ecom.process.child import Child
from ecom.runtime.messages import (
    Announce,
    Commit,
    Delivery,
    Perform,
    Publish,
    PublisherUp,
    Reply,
    Tick,
)
from ecom.runtime.runtime import Runtime
from ecom.runtime.saga import Saga
from ecom.runtime.service import Service
from ecom.stores.memory import MemoryStore
from ecom_lab.docs.examples import EXAMPLES  # noqa: F401 - tests take them from here
from ecom_lab.shop import CONTRACT, EVENTS, SAGA

settings.register_profile("many", max_examples=2_000)  # HYPOTHESIS_PROFILE=many
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", settings.get_current_profile_name()))

# The same examples on every run and machine, however slow: a failure can be looked into.
steady = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


def copies_are_checked() -> bool:
    """Whether the broker asks, for each key that a message is copied to (`CC`, `BCC`), whether its
    sender may publish under that: RabbitMQ 4.3 does."""
    return [int(it) for it in version(find_rabbitmq()).split(".")[:2]] >= [4, 3]


def envelope_for(event: Any, id: str = "event-1") -> Envelope:
    """A well-formed envelope around `event`."""
    return Envelope(
        id,
        event.key,
        event.version,
        "2026-11-05T12:00:00.000Z",
        event.producer,
        event.order_id,
        "command-1",
        "cause-1",
        f"00-{'a' * 32}-{'b' * 16}-01",
    )


def wire(event: Any, id: str = "event-1", number: int = 1) -> tuple[dict[str, Any], bytes]:
    """The headers and body of `event`."""
    return encode(envelope_for(event, id), event, number)


def delivery(event: Any, id: str = "event-1", tag: int = 1) -> Delivery:
    """`event` as it comes from the broker."""
    return Delivery(1, tag, "shop.events", event.key, *wire(event, id))


def saga_with(service: Service) -> Saga:
    """The shop's saga with this service among the others, or in place of one; it listens to all
    that it handles."""
    handled = tuple(key for key, kind in EVENTS.items() if kind in service.handlers)
    contract = replace(CONTRACT, listens={**CONTRACT.listens, service.name: handled})
    return Saga(contract, {**SAGA.services, service.name: service})


class Hand:
    """Drives one service's runtime over a memory store, doing by hand what pika and a clock do."""

    def __init__(
        self,
        service: Service,
        *,
        jitter: Callable[[], float] = lambda: 0.5,
        replica: str = "1",
        store: MemoryStore | None = None,
    ) -> None:
        self.service, self.jitter, self.now = service, jitter, 0.0
        self.saga, self.replica = saga_with(service), replica
        self.store = store or MemoryStore()
        self.restart()

    def restart(self) -> list[Any]:
        """The process dies, another starts: memory is lost, the database is not."""
        self.store.rollback()
        self.runtime = Runtime(self.saga, self.service.name, self.store, self.replica, self.jitter)
        return self.give(PublisherUp())

    def give(self, *inputs: Any, crash_after: int | None = None) -> list[Any]:
        """One step; its outputs, of which only the first `crash_after` are carried out."""
        outputs = []
        for output in self.runtime.step(inputs, self.now):
            if crash_after is not None and len(outputs) >= crash_after:
                break
            outputs.append(output)
            if isinstance(output, Commit):
                output.transaction.commit()
        return outputs

    def wait(self, seconds: float) -> list[Any]:
        """Time passes, and the clock ticks; if an echo goes out, the broker delivers it."""
        self.now += seconds
        outputs = self.give(Tick())
        echoes = [it for it in outputs if isinstance(it, Announce) and it.key.endswith(".echo")]
        back = [Delivery(1, 1, "shop.events", it.key, {}, it.body) for it in echoes]
        return outputs + self.give(*back, Tick()) if back else outputs

    def handle(self, event: Any, id: str = "event-1") -> list[Any]:
        """Give one event; the events that the service publishes."""
        return published(self.give(delivery(event, id)))

    def makes(self, event: Any, id: str = "event-1") -> list[Any]:
        """Give one event; the effects that the service requests."""
        return requested(self.give(delivery(event, id)))

    def rows(self, kind: type, **conditions: Any) -> list[Any]:
        """Committed rows of one table."""
        return self.store.select(kind, conditions, None)

    def row(self, kind: type, key: Any) -> Any:
        """One committed row."""
        return self.store.fetch(kind, key)


def published(outputs: Iterable[Any]) -> list[str]:
    """The routing keys of the events published."""
    return [out.row.type for out in outputs if isinstance(out, Publish)]


def requested(outputs: Iterable[Any]) -> list[Any]:
    """The effects to perform."""
    return [out.effect for out in outputs if isinstance(out, Perform)]


def answers(outputs: Iterable[Any]) -> list[Any]:
    """What commands were answered."""
    return [out.value for out in outputs if isinstance(out, Reply)]


def without(service: Service, kind: type) -> Service:
    """The same service, with no handler for messages of this kind."""
    handlers = {each: handler for each, handler in service.handlers.items() if each is not kind}
    return replace(service, handlers=handlers)


def process(service: str, url: str, folder: Path, shop: str, **settings: str) -> Child:
    """A service as a process of its own, its output in `<folder>/<service>-<replica>.log`."""
    told = {"ECOM_AMQP_URL": url, "ECOM_FOLDER": str(folder), "ECOM_SHOP": shop, **settings}
    with open(folder / f"{service}-{told.get('ECOM_REPLICA', '1')}.log", "ab") as log:
        environment = {**os.environ, **told}
        return child.start("ecom.serve:serve", [service], log=log, environment=environment)


def broker_url(shop: Any, service: str) -> str:
    """Where this service of an open shop finds the broker, and as whom."""
    return shop.processes._programs[service].secrets["ECOM_AMQP_URL"]


def free_port() -> int:
    """A port of the loopback that nobody listens at just now, nor is given by asking for any."""
    return usable(None)["amqp"]
