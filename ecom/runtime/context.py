"""What the running code is about: for the log lines it writes, and for whoever it asks outside."""

from contextvars import ContextVar
from typing import Any

# The message whose handler runs, and its `Cause`. Kept as they are: most handlers log nothing, and
# then nobody needs to know what the message is about.
handling: ContextVar[tuple[Any, Any] | None] = ContextVar("handling", default=None)

# The trace context of the effect that is being performed.
traceparent: ContextVar[str] = ContextVar("traceparent", default="")


def about(row: Any) -> dict[str, Any]:
    """What a log record of this inbox or effect row brings as `extra`."""
    return {"subject": row.subject, "event": row.id, "attempt": row.attempts}
