"""Few numbers about many: medians, spreads, percentiles, ratios."""

from statistics import median
from typing import Any


def summary(values: list[float], digits: int = 1) -> dict[str, Any]:
    """`median`, `spread` (half of max − min, as a share of the median) and the `runs`."""
    middle = median(values)
    spread = (max(values) - min(values)) / 2 / middle if middle else 0.0
    return {
        "median": round(middle, digits),
        "spread": round(spread, 3),
        "runs": [round(value, digits) for value in values],
    }


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p95 and p99, by the nearest rank."""
    ordered = sorted(values)
    return {
        f"p{share}": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 2)
        for share in (50, 95, 99)
    }


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of each round's own ratio."""
    return round(median(a / b for a, b in zip(ours, theirs, strict=True)), 3)
