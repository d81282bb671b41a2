"""Which message the running code handles: for its log lines, and for the effects it performs."""

from contextvars import ContextVar
from typing import Any

# The message whose handler runs, and its `Cause`. Kept as they are: most handlers log nothing, and
# then the message's saga need not be looked up.
handling: ContextVar[tuple[Any, Any] | None] = ContextVar("handling", default=None)

# The trace context of the effect that is being performed.
traceparent: ContextVar[str] = ContextVar("traceparent", default="")


def about(row: Any) -> dict[str, Any]:
    """What a log record of this inbox or effect row brings as `extra`."""
    return {"subject": row.subject, "event": row.id, "attempt": row.attempts}
