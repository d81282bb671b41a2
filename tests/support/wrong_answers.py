"""Payment services as learners write them, each with a mistake; and how `grade` should judge."""

import linecache
import textwrap

BEGIN = """\
from msgspec.structs import replace
from ecom.events import *
from ecom.runtime.service import Impossible, key_for
from ecom.services import payment
from ecom.services.payment import *
"""


def cell(source, begin=BEGIN):
    """What a notebook's cell defines: its functions travel, and its lines can be shown."""
    source = textwrap.dedent(source).strip()
    names = {"__name__": "__main__"}
    exec(begin, names)
    file = f"/cell/{abs(hash(source))}.py"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    exec(compile(source, file, "exec"), names)
    return names


# Source, the stage that it fails, what is said, the line that is shown (or none).
ANSWERS = {
    "asks the clock once, and keeps it": (
        """
        import time
        from functools import lru_cache

        @lru_cache
        def now(order_id):
            return time.time()

        def captured(answer, work):
            now(answer.order_id)
            payment.money_captured(answer, work)

        mine = {Captured: captured}
        """,
        "calm",
        "asks the clock (time)",
        "return time.time()",
    ),
    "fetches a row once for all transactions": (
        """
        from functools import cache

        class Rows:
            def __init__(self, work):
                self.work = work

            def __eq__(self, other):
                return True

            def __hash__(self):
                return 0

        @cache
        def state(rows, order_id):
            row = rows.work[Payment].get(order_id)
            return row.state if row else ""

        def undo(cancelled, work):
            if state(Rows(work), cancelled.order_id) != REFUNDED:
                payment.undo_payment(cancelled, work)

        def refunded(answer, work):
            if state(Rows(work), answer.order_id) == REFUNDING:
                payment.money_refunded(answer, work)

        mine = {OrderCancelled: undo, Refunded: refunded}
        """,
        "cancelled",
        "depends on something besides its message and rows",
        "def refunded(answer, work):",
    ),
    "forgets the tombstone": (
        """
        def undo(cancelled, work):
            row = work[Payment].get(cancelled.order_id)
            if row is None:
                return
            payment.undo_payment(cancelled, work)

        mine = {OrderCancelled: undo}
        """,
        "cancelled",
        "Of an order that is not CONFIRMED no money is kept.",
        "",
    ),
    "refunds nothing": (
        """
        def undo(cancelled, work):
            row = work[Payment].get(cancelled.order_id)
            if row is not None and row.state == CAPTURED:
                work[Payment].put(replace(row, state=REFUNDED))
                work.emit(PaymentRefunded(row.order_id, row.customer, row.amount))
            else:
                payment.undo_payment(cancelled, work)

        mine = {OrderCancelled: undo}
        """,
        "cancelled",
        "cancelled-gives-back: order 1001 is CANCELLED, £12.50 of it was kept",
        "",
    ),
    "captures whatever it knows": (
        """
        def capture(held, work):
            row = Payment(held.order_id, PENDING, held.customer, held.total, work.now, work.saga)
            work[Payment].put(row)
            work.request(Capture(held.order_id, held.total, held.card), key=key_for("capture", row))

        mine = {InventoryProcessed: capture}
        """,
        "cancelled",
        "Of an order that is not CONFIRMED no money is kept.",
        "",
    ),
    "says it is paid when it has only asked": (
        """
        def capture(held, work):
            payment.capture_money(held, work)
            work.emit(PaymentProcessed(held.order_id, held.customer, held.total))

        def captured(answer, work):
            row = work[Payment][answer.order_id]
            work[Payment].put(replace(row, state=CAPTURED))

        mine = {InventoryProcessed: capture, Captured: captured}
        """,
        "declined",
        "Nobody is told two outcomes that contradict each other.",
        "",
    ),
    "does not say that a card was declined": (
        """
        def declined(answer, work):
            row = work[Payment][answer.order_id]
            work[Payment].put(replace(row, state=DECLINED))

        mine = {Declined: declined}
        """,
        "declined",
        "Every order is CONFIRMED or CANCELLED.",
        "",
    ),
    "keeps money that comes late": (
        """
        def captured(answer, work):
            row = work[Payment][answer.order_id]
            if row.state == PENDING:
                payment.money_captured(answer, work)

        mine = {Captured: captured}
        """,
        "late",
        "Of an order that is not CONFIRMED no money is kept.",
        "",
    ),
    "has keys without the saga": (
        """
        def capture(held, work):
            if work[Payment].get(held.order_id) is None:
                row = Payment(held.order_id, PENDING, held.customer, held.total, work.now)
                work[Payment].put(row)
                effect = Capture(held.order_id, held.total, held.card)
                work.request(effect, key=f"capture/{held.order_id}")

        mine = {InventoryProcessed: capture}
        """,
        "late",
        "Capture of order 1001 has the key 'capture/1001'",
        "",
    ),
    "has one key for two things": (
        """
        def undo(cancelled, work):
            row = work[Payment].get(cancelled.order_id)
            if row is None or row.state != CAPTURED:
                payment.undo_payment(cancelled, work)
                return
            work[Payment].put(replace(row, state=REFUNDING))
            key = key_for("capture", row)
            work.request(Refund(row.order_id, row.amount, key), key=key)

        mine = {OrderCancelled: undo}
        """,
        "cancelled",
        "Of an order that is not CONFIRMED no money is kept.",
        "",
    ),
    "asks the clock": (
        """
        import time

        def capture(held, work):
            row = Payment(held.order_id, PENDING, held.customer, held.total, time.time())
            work[Payment].put(row)

        mine = {InventoryProcessed: capture}
        """,
        "calm",
        "of InventoryProcessed asks the clock (time); run again, it must do the same again.",
        "row = Payment(held.order_id, PENDING, held.customer, held.total, time.time())",
    ),
    "asks another clock, and catches everything": (
        """
        from datetime import datetime

        def captured(answer, work):
            try:
                payment.money_captured(answer, work)
                datetime.now()
            except:
                pass

        mine = {Captured: captured}
        """,
        "calm",
        "asks the clock (now)",
        "datetime.now()",
    ),
    "makes a key by chance": (
        """
        from uuid import uuid4

        def capture(held, work):
            row = Payment(held.order_id, PENDING, held.customer, held.total, work.now, work.saga)
            work[Payment].put(row)
            key = str(uuid4())
            work.request(Capture(held.order_id, held.total, held.card), key=key)

        mine = {InventoryProcessed: capture}
        """,
        "calm",
        "asks chance (urandom)",
        "key = str(uuid4())",
    ),
    "writes a log file": (
        """
        def captured(answer, work):
            with open("payments.log", "a") as log:
                log.write(answer.order_id)

        mine = {Captured: captured}
        """,
        "calm",
        "asks the world outside (open)",
        'with open("payments.log", "a") as log:',
    ),
    "calls the provider itself": (
        """
        from urllib.request import urlopen

        def capture(held, work):
            urlopen("http://127.0.0.1:1/capture")

        mine = {InventoryProcessed: capture}
        """,
        "calm",
        "asks the world outside",
        'urlopen("http://127.0.0.1:1/capture")',
    ),
    "remembers in a global": (
        """
        paid = []

        def captured(answer, work):
            paid.append(answer.order_id)
            payment.money_captured(answer, work)

        mine = {Captured: captured}
        """,
        "calm",
        "Payment's handler of Captured changes the global `paid`",
        "def captured(answer, work):",
    ),
    "remembers in an object": (
        """
        class Till:
            count = 0

        till = Till()

        def captured(answer, work):
            till.count += 1
            if till.count < 2:
                payment.money_captured(answer, work)

        mine = {Captured: captured}
        """,
        "calm",
        "Payment's handler of Captured changes the global `till`",
        "def captured(answer, work):",
    ),
    "remembers in a function": (
        """
        def remembering(paid):
            def captured(answer, work):
                if answer.order_id not in paid:
                    paid.append(answer.order_id)
                    payment.money_captured(answer, work)

            return captured

        mine = {Captured: remembering([])}
        """,
        "calm",
        "depends on something besides its message and rows",
        "def captured(answer, work):",
    ),
    "changes a row": (
        """
        def captured(answer, work):
            row = work[Payment][answer.order_id]
            row.state = CAPTURED

        mine = {Captured: captured}
        """,
        "calm",
        "raises AttributeError: immutable type: 'Payment'",
        "row.state = CAPTURED",
    ),
    "returns what it should emit": (
        """
        def captured(answer, work):
            row = work[Payment][answer.order_id]
            work[Payment].put(replace(row, state=CAPTURED))
            return PaymentProcessed(row.order_id, row.customer, row.amount)

        mine = {Captured: captured}
        """,
        "calm",
        "Payment's handler of Captured returns a PaymentProcessed, which nobody reads.",
        "def captured(answer, work):",
    ),
    "misspells a name": (
        """
        def captured(answer, work):
            row = work[Payment][answer.order_id]
            work.emit(PaymentProcesed(row.order_id, row.customer, row.amount))

        mine = {Captured: captured}
        """,
        "calm",
        "raises NameError: name 'PaymentProcesed' is not defined.",
        "work.emit(PaymentProcesed(row.order_id, row.customer, row.amount))",
    ),
    "emits a dict": (
        """
        def captured(answer, work):
            work.emit({"order_id": answer.order_id})

        mine = {Captured: captured}
        """,
        "calm",
        "raises AttributeError: 'dict' object has no attribute 'key'.",
        'work.emit({"order_id": answer.order_id})',
    ),
    "looks into the tables of another service": (
        """
        from ecom.services.inventory import Reservation

        def capture(held, work):
            if work[Reservation].get(held.order_id) is not None:
                payment.capture_money(held, work)

        mine = {InventoryProcessed: capture}
        """,
        "calm",
        "asks for rows Reservation, which its Service does not have.",
        "def capture(held, work):",
    ),
    "emits an event of another service": (
        """
        def captured(answer, work):
            row = work[Payment][answer.order_id]
            work.emit(OrderConfirmed(row.order_id, row.customer, row.amount))

        mine = {Captured: captured}
        """,
        "calm",
        "emits order.confirmed, which only order may.",
        "work.emit(OrderConfirmed(row.order_id, row.customer, row.amount))",
    ),
    "emits pounds for pence": (
        """
        def captured(answer, work):
            row = work[Payment][answer.order_id]
            work.emit(PaymentProcessed(row.order_id, row.customer, f"£{row.amount / 100:.2f}"))

        mine = {Captured: captured}
        """,
        "calm",
        "payment.processed that nobody can read: its `amount` is `str`, and must be `int`.",
        'work.emit(PaymentProcessed(row.order_id, row.customer, f"£{row.amount / 100:.2f}"))',
    ),
    "has a number as the key": (
        """
        def capture(held, work):
            row = Payment(held.order_id, PENDING, held.customer, held.total, work.now, work.saga)
            work[Payment].put(row)
            asked = Capture(held.order_id, held.total, held.card)
            work.request(asked, key=int(held.order_id))

        mine = {InventoryProcessed: capture}
        """,
        "calm",
        "writes a Capture that nobody can read: its `key` is `int`, and must be `str`.",
        "work.request(asked, key=int(held.order_id))",
    ),
    "keeps the half of a penny": (
        """
        def undo(cancelled, work):
            row = work[Payment].get(cancelled.order_id)
            if row is not None:
                half = row.amount / 2
                work[Payment].put(replace(row, state=CANCELLED, amount=half))

        mine = {OrderCancelled: undo}
        """,
        "declined",
        "writes a Payment that nobody can read: its `amount` is `float`, and must be `int`.",
        "work[Payment].put(replace(row, state=CANCELLED, amount=half))",
    ),
    "puts the event among the rows": (
        """
        def capture(held, work):
            work[Payment].put(held)

        mine = {InventoryProcessed: capture}
        """,
        "calm",
        "writes a Payment that nobody can read: it is a InventoryProcessed.",
        "work[Payment].put(held)",
    ),
    "asks for what payment cannot do": (
        """
        def capture(held, work):
            work.request(PaymentRefunded(held.order_id, held.customer, 1), key="refund")

        mine = {InventoryProcessed: capture}
        """,
        "calm",
        "writes a PaymentRefunded that nobody can read: payment knows no PaymentRefunded.",
        'work.request(PaymentRefunded(held.order_id, held.customer, 1), key="refund")',
    ),
    "never ends": (
        """
        def captured(answer, work):
            while work[Payment][answer.order_id].state == PENDING:
                pass

        mine = {Captured: captured}
        """,
        "calm",
        "has not come to its end after 2 s of computing.",
        "while work[Payment][answer.order_id].state == PENDING:",
    ),
    "tries a bad card for ever": (
        """
        from ecom.sandbox.cards import DECLINED_CARD

        def declined(answer, work):
            row = work[Payment][answer.order_id]
            key = f"{key_for('capture', row)}/{work.count('tries')}"
            work.request(Capture(row.order_id, row.amount, DECLINED_CARD), key=key)

        mine = {Declined: declined}
        """,
        "declined",
        "It has not come to its end after 300 steps or 40,000 states: one event, request or timer",
        "",
    ),
    "eats memory": (
        """
        def captured(answer, work):
            rows = [work.now] * 10**12

        mine = {Captured: captured}
        """,
        "calm",
        "Payment's handler of Captured raises MemoryError.",
        "rows = [work.now] * 10**12",
    ),
}
