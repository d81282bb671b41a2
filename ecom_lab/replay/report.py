"""Places the orders of a file in a shop of its own, and reports how they ended."""

import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ecom.errors import NotSettled
from ecom.harness.progress import progress
from ecom.sandbox.cards import GOOD_CARD
from ecom.shop.api_client import AT_ONCE
from ecom.shop.shop import Shop
from ecom_lab.replay.order_file import Cancellation, Purchase, Story, read


@dataclass(frozen=True)
class Report:
    """How a replay ended."""

    orders: int
    confirmed: int
    cancelled: int
    never_ended: int
    cancelled_because: dict[str, int]  # reason → orders
    taken_back: int  # orders that a whole `C` invoice cancels
    adjustments: int  # of the orders, stock adjustments: placed at a price of zero
    understood: tuple[str, ...]  # how the file was read, in words
    lines: int  # of the file
    skipped: dict[str, int]  # reason → lines of the file
    first_skipped: dict[str, str]  # reason → the first of them: its number, column and value
    seconds: float  # from the first order sent until all was settled
    orders_per_second: float
    books: str  # "balanced", or what is off

    @property
    def is_good(self) -> bool:
        """Every order ended and the books balance."""
        return self.books == "balanced" and not self.never_ended

    def __str__(self) -> str:
        first = self.first_skipped
        rows = {
            "orders": f"{self.orders:,}",
            "confirmed": f"{self.confirmed:,}",
            "cancelled": f"{self.cancelled:,}",
            **{f"  {reason}": f"{n:,}" for reason, n in self.cancelled_because.items()},
            **({"never ended": f"{self.never_ended:,}"} if self.never_ended else {}),
            "stock adjustments among the orders": f"{self.adjustments:,}",
            "file read as": ", ".join(self.understood),
            "lines of the file": f"{self.lines:,}",
            "lines skipped": f"{sum(self.skipped.values()):,}",
            **{f"  {why}": f"{n:,}, e.g. {first[why]}" for why, n in self.skipped.items()},
            "seconds": f"{self.seconds:.1f}",
            "orders per second": f"{self.orders_per_second:,.0f}",
            "books": self.books,
        }
        width = max(map(len, rows))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def replay(path: Path, share: float, dates: str | None = None, lenient: bool = False) -> Report:
    """Replay the file with stock for that share of its demand. Raises `ShopError`, as `read` does.

    An order that never ends is in the report; it does not raise.
    """
    story = read(path, dates, lenient)
    with Shop(stock=story.shelves(share)) as shop:
        begun = time.monotonic()
        _act(story, shop)
        try:
            shop.settle(timeout=60.0 + 0.05 * len(story.actions))
        except NotSettled as trouble:
            print(trouble, file=sys.stderr)
        return _report(story, shop, time.monotonic() - begun)


def _act(story: Story, shop: Shop) -> None:
    """Place the orders, a list at a time, and cancel each one that is taken back afterwards."""
    numbers: dict[str, str] = {}  # invoice → order
    with progress(len(story.actions), "orders sent") as bar:
        for first in range(0, len(story.actions), AT_ONCE):
            some = story.actions[first : first + AT_ONCE]
            orders = [action for action in some if isinstance(action, Purchase)]
            placed = shop.place_many(
                {"customer": order.customer, "lines": order.lines, "card": GOOD_CARD}
                for order in orders
            )
            numbers.update(zip((order.invoice for order in orders), placed, strict=True))
            for action in some:
                if isinstance(action, Cancellation):
                    shop.cancel(numbers[action.of])
            bar.update(len(some))


def _report(story: Story, shop: Shop, seconds: float) -> Report:
    books = shop.books()
    orders = shop.orders()
    cancelled = orders[orders.state == "CANCELLED"]
    return Report(
        orders=books.orders,
        confirmed=books.confirmed,
        cancelled=books.cancelled,
        never_ended=books.orders - books.confirmed - books.cancelled,
        cancelled_because=dict(Counter(cancelled.reason).most_common()),
        taken_back=len(story.actions) - len(story.purchases),
        adjustments=story.adjustments,
        understood=story.understood,
        lines=story.lines,
        skipped=dict(story.skipped.most_common()),
        first_skipped=story.first_skipped,
        seconds=round(seconds, 3),
        orders_per_second=round(books.orders / seconds, 1) if seconds else 0.0,
        books="balanced" if books.balanced else str(books),
    )
