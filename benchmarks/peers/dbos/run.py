"""DBOS: an order is one durable workflow, whose steps are what the services do; there is no broker.

After DBOS's guide for Python, and its example of a worker that takes workflows from a queue.
"""

import signal
import threading

import saga
from dbos import DBOS, DBOSClient

QUEUE, TOGETHER = "orders", 20  # workflows of the worker at a time
STEPS = ("inventory", "payment", "inventory", "order", "notification")
SERVER = {"system_database_url": saga.SERVER, "dbos_system_schema": f"{saga.SHOP}-dbos"}

ours = threading.local()  # each thread has connections of its own


def service(name: str) -> saga.Service:
    """The service of this name, of this thread."""
    if not hasattr(ours, name):
        setattr(ours, name, saga.Service(name))
    return getattr(ours, name)


@DBOS.step()
def carry_out(name: str, event: saga.Event) -> saga.Event | None:
    """What a service does about an event, which is logged besides."""
    service("audit").handle(event)
    return service(name).handle(event)


@DBOS.workflow()
def order(event: saga.Event) -> None:
    """One order, from its being accepted to its customer's being told."""
    for name in STEPS:
        event = carry_out(name, event)


if saga.SERVICE == "place":
    client = None
    for placed in saga.orders():
        client = client or DBOSClient(**SERVER)  # the worker has made its tables by now
        client.enqueue({"workflow_name": "order", "queue_name": QUEUE}, placed)
else:
    DBOS(config={"name": "shop", "application_version": "1", "log_level": "ERROR", **SERVER})
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=TOGETHER, polling_interval_sec=0.05)
    saga.ready()
    signal.pause()
