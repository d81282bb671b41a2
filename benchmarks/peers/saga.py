"""The saga as the peers carry it out: what each service writes, and what it says next.

Everything but the messaging is here, so that the peers differ in that alone: plain functions on
`sqlite3`, in WAL mode with `synchronous=FULL`, or on the PostgreSQL of `ECOM_BENCH_DATABASE` with
psycopg; one commit a message. Nothing is batched, and there is neither outbox nor inbox: this is
what the tutorials of these libraries lead to.
"""

import json
import os
import sqlite3
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

SERVICE = sys.argv[1]  # the one of this process, or "place": it places orders
URL, SHOP = os.environ["ECOM_AMQP_URL"], os.environ["ECOM_SHOP"]
SERVER = os.environ.get("ECOM_BENCH_DATABASE")
FOLDER = Path(os.environ["ECOM_FOLDER"])
EXCHANGE = f"{SHOP}.events"
SKUS = tuple(f"SKU-{n:02}" for n in range(20))

HEARS = {
    "order": ("inventory.committed",),
    "inventory": ("order.created", "payment.processed"),
    "payment": ("inventory.processed",),
    "notification": ("order.confirmed",),
    "audit": ("#",),
}
EVENTS = tuple(key for keys in HEARS.values() for key in keys if key != "#")
TABLES = {
    "order": "orders (order_id INTEGER PRIMARY KEY, customer TEXT, card TEXT, total INT, "
    "state TEXT, reason TEXT, placed_at FLOAT, ended_at FLOAT, lines TEXT)",
    "inventory": "reservations (order_id INTEGER PRIMARY KEY, state TEXT, customer TEXT, "
    "units TEXT, held_until FLOAT, at FLOAT)",
    "payment": "payments (order_id INTEGER PRIMARY KEY, state TEXT, customer TEXT, amount INT, "
    "at FLOAT)",
    "gateway": "ledger (key TEXT PRIMARY KEY, kind TEXT, order_id INT, amount INT, outcome TEXT, "
    "at FLOAT)",
    "notification": "told (order_id INTEGER PRIMARY KEY, customer TEXT, confirmed INT)",
    "mailbox": "mails (message_id TEXT PRIMARY KEY, order_id INT, to_address TEXT, subject TEXT, "
    "body TEXT, at FLOAT)",
    "audit": "events (n INTEGER PRIMARY KEY, id TEXT UNIQUE, type TEXT, order_id INT, time FLOAT, "
    "producer TEXT, causation TEXT, correlation TEXT, body TEXT)",
}
STOCK = "stock (sku TEXT PRIMARY KEY, initial INT, available INT, held INT, committed INT)"

Event = dict[str, Any]


class OnServer:
    """A service's schema on PostgreSQL, spoken to as if it were SQLite."""

    def __init__(self, name: str) -> None:
        import psycopg

        self._db = psycopg.connect(SERVER)
        self._db.execute("SELECT pg_advisory_xact_lock(1)")  # several may make it at once
        self._db.execute(f'CREATE SCHEMA IF NOT EXISTS "{SHOP}-{name}"')
        self._db.execute(f'SET search_path = "{SHOP}-{name}"')
        self.commit = self._db.commit

    def execute(self, statement: str, values: tuple = ()) -> Any:
        """The same statement, as psycopg wants it."""
        made = statement.replace("?", "%s").replace("INTEGER PRIMARY", "BIGSERIAL PRIMARY")
        return self._db.execute(made, values)


def database(name: str) -> Any:
    """A service's own database, its tables made if need be."""
    db = OnServer(name) if SERVER else _file(name)
    db.execute(f"CREATE TABLE IF NOT EXISTS {TABLES[name]}")
    if name == "inventory":
        db.execute(f"CREATE TABLE IF NOT EXISTS {STOCK}")
        for sku in SKUS:
            row = (sku, 10_000_000, 10_000_000)
            db.execute("INSERT INTO stock VALUES (?, ?, ?, 0, 0) ON CONFLICT DO NOTHING", row)
    db.commit()
    return db


def _file(name: str) -> sqlite3.Connection:
    db = sqlite3.connect(FOLDER / f"{name}.db", timeout=30, check_same_thread=False)
    db.execute("PRAGMA synchronous = FULL")
    while True:  # SQLite waits for no lock here, and two processes may open a new database at once
        with suppress(sqlite3.OperationalError):
            db.execute("PRAGMA journal_mode = WAL")
            return db
        time.sleep(0.01)


def follow(type_: str, producer: str, cause: Event, **more: Any) -> Event:
    """The event that `cause` leads to."""
    ours = {"id": str(uuid.uuid4()), "type": type_, "time": time.time(), "producer": producer}
    kept = {name: cause[name] for name in ("correlation", "order_id", "customer")}
    return {**ours, "causation": cause["id"], **kept, **more}


def orders() -> Iterator[Event]:
    """Orders that are accepted, and are to be said: a line on stdin asks for so many."""
    db, placed = database("order"), 0
    ready()
    while line := sys.stdin.readline():
        for n in range(placed, placed := placed + int(line)):
            yield _accept(db, n)


def _accept(db: Any, n: int) -> Event:
    line = {"sku": SKUS[n % len(SKUS)], "quantity": 1, "unit_price": 1250}
    customer, card = f"customer-{n % 1000}@example.com", "4242424242424242"
    (order_id,) = db.execute(
        "INSERT INTO orders (customer, card, total, state, placed_at, lines) "
        "VALUES (?, ?, 1250, 'PENDING', ?, ?) RETURNING order_id",
        (customer, card, time.time(), json.dumps([line])),
    ).fetchone()
    db.commit()
    cause = {"id": "", "correlation": str(uuid.uuid4()), "order_id": order_id, "customer": customer}
    return follow("order.created", "order", cause, card=card, total=1250, lines=[line])


class Service:
    """What this one does about an event: writes, commits, and returns the next event or None."""

    def __init__(self, name: str = SERVICE) -> None:
        self._db = database(name)
        if outside := {"payment": "gateway", "notification": "mailbox"}.get(name):
            self._world = database(outside)
        self._handle = getattr(self, f"_{name}")

    def handle(self, event: Event) -> Event | None:
        """One event, one commit. What is returned is to be published before the event is acked."""
        following = self._handle(event)
        self._db.commit()
        return following

    def _inventory(self, event: Event) -> Event:
        run, order_id = self._db.execute, event["order_id"]
        if event["type"] == "order.created":
            return self._hold(event)
        query = "SELECT units FROM reservations WHERE order_id = ?"
        (units,) = run(query, (order_id,)).fetchone()
        move = "UPDATE stock SET held = held - ?, committed = committed + ? WHERE sku = ?"
        for sku, n in json.loads(units).items():
            run(move, (n, n, sku))
        run("UPDATE reservations SET state = 'COMMITTED' WHERE order_id = ?", (order_id,))
        return follow("inventory.committed", "inventory", event)

    def _hold(self, event: Event) -> Event:
        units = {line["sku"]: line["quantity"] for line in event["lines"]}
        move = (
            "UPDATE stock SET available = available - ?, held = held + ? "
            "WHERE sku = ? AND available >= ?"
        )
        for sku, n in units.items():
            self._db.execute(move, (n, n, sku, n))
        until = time.time() + 900
        self._db.execute(
            "INSERT INTO reservations VALUES (?, 'HELD', ?, ?, ?, ?)",
            (event["order_id"], event["customer"], json.dumps(units), until, time.time()),
        )
        more = {"card": event["card"], "total": event["total"], "held_until": until}
        return follow("inventory.processed", "inventory", event, **more)

    def _payment(self, event: Event) -> Event:
        order_id, amount, now = event["order_id"], event["total"], time.time()
        self._world.execute(
            "INSERT INTO ledger VALUES (?, 'capture', ?, ?, 'captured', ?) ON CONFLICT DO NOTHING",
            (f"capture/{order_id}", order_id, amount, now),
        )
        self._world.commit()
        row = order_id, event["customer"], amount, now
        self._db.execute("INSERT INTO payments VALUES (?, 'CAPTURED', ?, ?, ?)", row)
        return follow("payment.processed", "payment", event, amount=amount)

    def _order(self, event: Event) -> Event:
        confirm = "UPDATE orders SET state = 'CONFIRMED', ended_at = ? WHERE order_id = ?"
        self._db.execute(confirm, (time.time(), event["order_id"]))
        return follow("order.confirmed", "order", event, total=1250)

    def _notification(self, event: Event) -> None:
        order_id, customer = event["order_id"], event["customer"]
        subject = f"Order #{order_id} Confirmed"
        body = "Good news: your order is confirmed. We have taken £12.50."
        self._world.execute(
            "INSERT INTO mails VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (f"confirmed/{order_id}", order_id, customer, subject, body, time.time()),
        )
        self._world.commit()
        self._db.execute("INSERT INTO told VALUES (?, ?, 1)", (order_id, customer))

    def _audit(self, event: Event) -> None:
        about = ("id", "type", "order_id", "time", "producer", "causation", "correlation")
        self._db.execute(
            "INSERT INTO events (id, type, order_id, time, producer, causation, correlation, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*(event[name] for name in about), json.dumps(event)),
        )


def ready() -> None:
    """Say that this process is at work."""
    (FOLDER / f"{SERVICE}-1.json").write_text("{}")


def main(say: Callable[[Event], None], serve: Callable[[], None]) -> None:
    """Place orders, each of which is said, if this process is to; or else serve."""
    if SERVICE != "place":
        return serve()
    for event in orders():
        say(event)
