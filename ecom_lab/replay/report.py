"""Places the orders of a file in a shop of its own, and reports how they ended."""

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ecom.errors import NotSettled
from ecom.harness.progress import progress
from ecom.shop.api_client import AT_ONCE
from ecom.shop.shop import Shop
from ecom_lab.replay.order_file import Cancellation, Purchase, Story, read

Report = dict[str, Any]  # what `--json` prints


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
            placed = shop.place_many({"customer": it.customer, "lines": it.lines} for it in orders)
            numbers.update(zip((it.invoice for it in orders), placed, strict=True))
            for action in some:
                if isinstance(action, Cancellation):
                    shop.cancel(numbers[action.of])
            bar.update(len(some))


def _report(story: Story, shop: Shop, seconds: float) -> Report:
    """How a replay ended, in `seconds` from the first order sent until all was settled."""
    books, orders = shop.books(), shop.orders()
    why = orders[orders.state == "CANCELLED"].reason
    return {
        "orders": books.orders,
        "confirmed": books.confirmed,
        "cancelled": books.cancelled,
        "never_ended": books.orders - books.confirmed - books.cancelled,
        "cancelled_because": dict(Counter(why).most_common()),
        "taken_back": len(story.actions) - len(story.purchases),  # by a whole `C` invoice
        "adjustments": story.adjustments,
        "understood": story.understood,
        "lines": story.lines,
        "skipped": dict(story.skipped.most_common()),
        "first_skipped": story.first_skipped,
        "seconds": round(seconds, 3),
        "orders_per_second": round(books.orders / seconds, 1) if seconds else 0.0,
        "books": "balanced" if books.balanced else str(books),
    }


def is_good(report: Report) -> bool:
    """Whether every order ended and the books balance."""
    return report["books"] == "balanced" and not report["never_ended"]


def in_words(report: Report) -> str:
    """The report as people read it: a line each number, and each reason."""
    first, skipped = report["first_skipped"], report["skipped"]
    rows = {
        **{name: f"{report[name]:,}" for name in ("orders", "confirmed", "cancelled")},
        **{f"  {reason}": f"{n:,}" for reason, n in report["cancelled_because"].items()},
        **({"never ended": f"{report['never_ended']:,}"} if report["never_ended"] else {}),
        "stock adjustments among the orders": f"{report['adjustments']:,}",
        "file read as": ", ".join(report["understood"]),
        "lines of the file": f"{report['lines']:,}",
        "lines skipped": f"{sum(skipped.values()):,}",
        **{f"  {why}": f"{n:,}, e.g. {first[why]}" for why, n in skipped.items()},
        "seconds": f"{report['seconds']:.1f}",
        "orders per second": f"{report['orders_per_second']:,.0f}",
        "books": report["books"],
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())
