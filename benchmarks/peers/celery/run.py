"""Celery: an event is a task message on a topic exchange; each service is a worker of its own.

After Celery's guides: quorum queues with confirmed publishing, late acknowledgement, results
ignored, a large prefetch for short tasks ("Optimizing"), gossip and mingle off. The solo pool: a
service has one database to write to, and a process between would only cost.
"""

import saga
from celery import Celery
from celery.signals import worker_ready
from kombu import Exchange, Queue, binding

LISTENER = "order" if saga.SERVICE == "place" else saga.SERVICE
KEYS = saga.HEARS[LISTENER]
QUEUE = f"{saga.SHOP}.celery.{LISTENER}"
events = Exchange(saga.EXCHANGE, type="topic", durable=True)

bindings = [binding(events, key) for key in KEYS]

app = Celery("shop", broker=saga.URL)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"confirm_publish": True},
    task_acks_late=True,
    task_default_delivery_mode="persistent",
    task_default_queue=QUEUE,
    task_queues=[Queue(QUEUE, bindings=bindings, queue_arguments={"x-queue-type": "quorum"})],
    task_ignore_result=True,
    worker_prefetch_multiplier=128,
    worker_concurrency=1,
    worker_enable_remote_control=False,
)


def say(event: saga.Event) -> None:
    """Publish an event to all who listen; returns once the broker has it safe."""
    app.send_task(event["type"], args=(event,), exchange=events, routing_key=event["type"])


def serve() -> None:
    """Run the worker of this process's service."""
    service = saga.Service()

    def handle(event: saga.Event) -> None:
        if following := service.handle(event):
            say(following)

    for type_ in saga.EVENTS if KEYS == ("#",) else KEYS:
        app.task(name=type_)(handle)
    worker_ready.connect(lambda **_: saga.ready(), weak=False)
    alone = ["--pool=solo", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(["worker", *alone, "--loglevel=WARNING", f"--hostname={saga.SERVICE}@%h"])


saga.main(say, serve)
