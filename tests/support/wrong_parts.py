"""Outboxes, inboxes, retries and order services as learners write them, each with a mistake."""

BEGIN = """\
from msgspec.structs import replace
from ecom.contract.envelope import Refused
from ecom.events import *
from ecom.runtime.service import Impossible, Service
from ecom.services.order import *
from ecom.stores.base import Row
from ecom_lab.grading.machinery import ACK, COMMIT, Publish
from ecom_lab.shop import SAGA

class Progress(Row, frozen=True):
    table = "progress"
    order_id: str
    stock: bool = False
    money: bool = False
    came: int = 0

def service(handlers):
    own = SAGA.services["order"]
    return Service("order", (*own.rows, Progress), {**own.handlers, **handlers})
"""

# What it is, its source, the stage that it fails, what is said, the line that is shown (or none).
ANSWERS = {
    "publishes in the transaction": (
        "outbox",
        """
        def on_message(message, tx):
            for event in tx.handle(message):
                yield Publish(event)
            yield COMMIT
            yield ACK

        mine = {"on_message": on_message}
        """,
        "killed",
        "order 1001 is PENDING and nothing is under way",
        "",
    ),
    "publishes after the commit": (
        "outbox",
        """
        def on_message(message, tx):
            events = tx.handle(message)
            yield COMMIT
            for event in events:
                yield Publish(event)
            yield ACK

        mine = {"on_message": on_message}
        """,
        "killed",
        "Every order is CONFIRMED or CANCELLED.",
        "",
    ),
    "writes the outbox in a transaction of its own": (
        "outbox",
        """
        def on_message(message, tx):
            events = tx.handle(message)
            yield COMMIT
            for event in events:
                tx.put(event)
            yield COMMIT
            yield ACK
            yield from relay(tx)

        def relay(tx):
            for event in tx.unsent():
                yield Publish(event)

        mine = {"on_message": on_message, "relay": relay}
        """,
        "killed",
        "Every order is CONFIRMED or CANCELLED.",
        "",
    ),
    "sends nothing when it starts": (
        "outbox",
        """
        def on_message(message, tx):
            events = tx.handle(message)
            for event in events:
                tx.put(event)
            yield COMMIT
            yield ACK
            for event in events:
                yield Publish(event)

        mine = {"on_message": on_message}
        """,
        "killed",
        "order looks what waits",
        "",
    ),
    "acknowledges first": (
        "outbox",
        """
        def on_message(message, tx):
            yield ACK
            for event in tx.handle(message):
                tx.put(event)
            yield COMMIT
            yield from relay(tx)

        def relay(tx):
            for event in tx.unsent():
                yield Publish(event)

        mine = {"on_message": on_message, "relay": relay}
        """,
        "killed",
        "Every order is CONFIRMED or CANCELLED.",
        "",
    ),
    "keeps its outbox in a list": (
        "outbox",
        """
        waiting = []

        def on_message(message, tx):
            waiting.extend(tx.handle(message))
            yield COMMIT
            yield ACK
            while waiting:
                yield Publish(waiting.pop())

        mine = {"on_message": on_message}
        """,
        "killed",
        "Outbox's on_message changes the global `waiting`, which a crash would lose.",
        "def on_message(message, tx):",
    ),
    "keeps its outbox in an object": (
        "outbox",
        """
        class Waiting:
            events = ()

        waiting = Waiting()

        def on_message(message, tx):
            waiting.events = tx.handle(message)
            yield COMMIT
            yield ACK
            for event in waiting.events:
                yield Publish(event)

        mine = {"on_message": on_message}
        """,
        "killed",
        "changes the global `waiting`, which a crash would lose.",
        "def on_message(message, tx):",
    ),
    "yields the event": (
        "outbox",
        """
        def on_message(message, tx):
            for event in tx.handle(message):
                tx.put(event)
            yield COMMIT
            yield ACK
            yield from tx.unsent()

        mine = {"on_message": on_message}
        """,
        "killed",
        "yields an event, and not COMMIT, ACK or Publish(event).",
        "def on_message(message, tx):",
    ),
    "forgets to commit": (
        "outbox",
        """
        def on_message(message, tx):
            for event in tx.handle(message):
                tx.put(event)
            yield ACK

        mine = {"on_message": on_message}
        """,
        "killed",
        "Outbox's on_message ends without COMMIT, so that its changes are lost.",
        "def on_message(message, tx):",
    ),
    "calls what is no function": (
        "outbox",
        """
        def on_message(message, tx):
            tx.handle(message)
            yield COMMIT()

        mine = {"on_message": on_message}
        """,
        "killed",
        "Outbox's on_message raises TypeError: 'str' object is not callable.",
        "yield COMMIT()",
    ),
    "marks what it publishes": (
        "outbox",
        """
        def on_message(message, tx):
            for event in tx.handle(message):
                tx.put(event)
            yield COMMIT
            yield ACK
            yield from relay(tx)

        def relay(tx):
            for event in tx.unsent():
                yield Publish(event)
                tx.mark(event)
                yield COMMIT

        mine = {"on_message": on_message, "relay": relay}
        """,
        "unconfirmed",
        "Every order is CONFIRMED or CANCELLED.",
        "",
    ),
    "sends the newest first": (
        "outbox",
        """
        def on_message(message, tx):
            for event in tx.handle(message):
                tx.put(event)
            yield COMMIT
            yield ACK
            yield from relay(tx)

        def relay(tx):
            for event in reversed(tx.unsent()):
                yield Publish(event)

        mine = {"on_message": on_message, "relay": relay}
        """,
        "outage",
        "An order that is not CONFIRMED has no stock.",
        "",
    ),
    "acknowledges no duplicate": (
        "inbox",
        """
        def on_message(message, tx):
            if not tx.seen(message.id):
                tx.remember(message.id)
                tx.handle(message)
                yield COMMIT
                yield ACK

        mine = {"on_message": on_message}
        """,
        "twice",
        "and so on for ever: it never becomes quiet",
        "",
    ),
    "remembers in a set": (
        "inbox",
        """
        seen = set()

        def on_message(message, tx):
            if message.id not in seen:
                seen.add(message.id)
                tx.handle(message)
            yield COMMIT
            yield ACK

        mine = {"on_message": on_message}
        """,
        "twice",
        "Inbox's on_message changes the global `seen`, which a crash would lose.",
        "def on_message(message, tx):",
    ),
    "knows messages by themselves": (
        "inbox",
        """
        def on_message(message, tx):
            if not tx.seen(message):
                tx.handle(message)
            yield COMMIT
            yield ACK

        mine = {"on_message": on_message}
        """,
        "twice",
        'raises TypeError: can only concatenate str (not "Message") to str.',
        "if not tx.seen(message):",
    ),
    "knows messages by their type": (
        "inbox",
        """
        def on_message(message, tx):
            if not tx.seen(message.type):
                tx.remember(message.type)
                tx.handle(message)
            yield COMMIT
            yield ACK

        mine = {"on_message": on_message}
        """,
        "sequel",
        "Every order is CONFIRMED or CANCELLED.",
        "",
    ),
    "remembers in a transaction of its own": (
        "inbox",
        """
        def on_message(message, tx):
            if not tx.seen(message.id):
                tx.handle(message)
                yield COMMIT
                tx.remember(message.id)
            yield COMMIT
            yield ACK

        mine = {"on_message": on_message}
        """,
        "redelivery",
        "What is held and committed on the shelves is what the orders hold.",
        "",
    ),
    "looks only if it is redelivered": (
        "inbox",
        """
        def on_message(message, tx):
            if not (message.redelivered and tx.seen(message.id)):
                tx.remember(message.id)
                tx.handle(message)
            yield COMMIT
            yield ACK

        mine = {"on_message": on_message}
        """,
        "redelivery",
        "What is held and committed on the shelves is what the orders hold.",
        "",
    ),
    "drops what fails": (
        "retries",
        """
        def on_message(message, tx):
            tx.handle(message)
            yield COMMIT
            yield ACK

        mine = {"on_message": on_message}
        """,
        "unreadable",
        "What cannot be read is a dead letter.",
        "",
    ),
    "raises what has failed": (
        "retries",
        """
        def on_message(message, tx):
            if error := tx.handle(message):
                raise error
            yield COMMIT
            yield ACK

        mine = {"on_message": on_message}
        """,
        "unreadable",
        "Retries's on_message raises Refused: not a CloudEvent of specversion 1.0.",
        "raise error",
    ),
    "tries everything six times": (
        "retries",
        """
        def on_message(message, tx):
            error = tx.handle(message)
            if error and message.attempts < 6:
                tx.later(message, 1.0)
            elif error:
                tx.set_aside(message, error)
            yield COMMIT
            yield ACK

        mine = {"on_message": on_message}
        """,
        "unreadable",
        "What is no event is not tried again.",
        "",
    ),
    "sleeps": (
        "retries",
        """
        import time

        def on_message(message, tx):
            while tx.handle(message):
                time.sleep(1.0)
            yield COMMIT
            yield ACK

        mine = {"on_message": on_message}
        """,
        "unreadable",
        "Retries's on_message asks the clock (sleep)",
        "time.sleep(1.0)",
    ),
    "sets aside whatever fails": (
        "retries",
        """
        def on_message(message, tx):
            if error := tx.handle(message):
                tx.set_aside(message, error)
            yield COMMIT
            yield ACK

        mine = {"on_message": on_message}
        """,
        "hiccup",
        "Every order is CONFIRMED or CANCELLED.",
        "",
    ),
    "never gives up": (
        "retries",
        """
        def on_message(message, tx):
            error = tx.handle(message)
            if isinstance(error, Refused | Impossible):
                tx.set_aside(message, error)
            elif error:
                tx.later(message, 2.0**message.attempts)
            yield COMMIT
            yield ACK

        mine = {"on_message": on_message}
        """,
        "hopeless",
        "and so on for ever: it never becomes quiet",
        "",
    ),
    "sets aside what has succeeded": (
        "retries",
        """
        def on_message(message, tx):
            error = tx.handle(message)
            if isinstance(error, Refused | Impossible) or message.attempts > 5:
                tx.set_aside(message, error)
            elif error:
                tx.later(message, 1.0)
            yield COMMIT
            yield ACK

        mine = {"on_message": on_message}
        """,
        "hopeless",
        "order 4711: its stock is COMMITTED, its payment.processed a dead letter",
        "",
    ),
    "takes a duplicate for a replay": (
        "retries",
        """
        def on_message(message, tx):
            if tx.state(message) != "done":
                error = tx.handle(message)
                if isinstance(error, Refused | Impossible) or (error and message.attempts > 5):
                    tx.set_aside(message, error)
                elif error:
                    tx.later(message, 1.0)
            yield COMMIT
            yield ACK

        mine = {"on_message": on_message}
        """,
        "replay",
        "an operator finds 2 dead letters of 1 message",
        "",
    ),
    "swallows a replay": (
        "retries",
        """
        def on_message(message, tx):
            if tx.state(message) not in ("done", "dead"):
                error = tx.handle(message)
                if isinstance(error, Refused | Impossible) or (error and message.attempts > 5):
                    tx.set_aside(message, error)
                elif error:
                    tx.later(message, 1.0)
            yield COMMIT
            yield ACK

        mine = {"on_message": on_message}
        """,
        "replay",
        "What an operator replays is handled.",
        "",
    ),
    "confirms what was held": (
        "order",
        """
        def note(event, work):
            progress = work[Progress].get(event.order_id) or Progress(event.order_id)
            field = "stock" if isinstance(event, InventoryProcessed) else "money"
            progress = replace(progress, **{field: True})
            work[Progress].put(progress)
            if progress.stock and progress.money:
                Orders(work).confirm(event.order_id)

        def ignore(event, work):
            pass

        rule = {InventoryProcessed: note, PaymentProcessed: note, InventoryCommitted: ignore}
        mine = service(rule)
        """,
        "cancelled",
        "order 1001 was confirmed to its customer, and then taken back: hold expired",
        "",
    ),
    "confirms what is cancelled": (
        "order",
        """
        def note(event, work):
            progress = work[Progress].get(event.order_id) or Progress(event.order_id)
            field = "stock" if isinstance(event, InventoryCommitted) else "money"
            progress = replace(progress, **{field: True})
            work[Progress].put(progress)
            if progress.stock and progress.money:
                row = work[Order][event.order_id]
                work[Order].put(replace(row, state=CONFIRMED))
                work.emit(OrderConfirmed(row.order_id, row.customer, row.total))

        mine = service({InventoryCommitted: note, PaymentProcessed: note})
        """,
        "cancelled",
        "A CONFIRMED order has its stock committed.",
        "",
    ),
    "counts what has come": (
        "order",
        """
        def note(event, work):
            progress = work[Progress].get(event.order_id) or Progress(event.order_id)
            progress = replace(progress, came=progress.came + 1)
            work[Progress].put(progress)
            if progress.came == 2:
                Orders(work).confirm(event.order_id)

        mine = service({InventoryCommitted: note, PaymentProcessed: note})
        """,
        "duplicates",
        "order 1001 was confirmed to its customer, and then taken back: hold expired",
        "",
    ),
    "keeps a row of no table": (
        "order",
        """
        def note(event, work):
            work[Progress].put(Progress(event.order_id))

        mine = {PaymentProcessed: note}
        """,
        "calm",
        "asks for rows Progress, which its Service does not have.",
        "def note(event, work):",
    ),
}
