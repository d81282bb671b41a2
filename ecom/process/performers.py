"""Performers of a service's effects, and the one contract that they keep."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from math import inf
from typing import Any

from msgspec import Struct

from ecom.runtime.dead_letters import describe
from ecom.runtime.messages import Failed, Perform, Performed
from ecom.runtime.service import Impossible, about, traceparent
from ecom.telemetry.tracing import context_of

# Performs an effect under an idempotency key, and returns its result. Under one key there is one
# effect, and always the same result. Raises `Impossible` for what no repetition can mend, or
# one of the two below.
Performer = Callable[[str, Any], Awaitable[Struct]]

# When the effect that is being performed was requested, epoch seconds: keys are forgotten in time.
requested_at: ContextVar[float] = ContextVar("requested_at", default=inf)

log = logging.getLogger("ecom.effects")


class NotDone(Exception):
    """It was not done, or may be done twice: try again, but not for ever."""


class OutcomeUnknown(Exception):
    """It may have been done: ask again under the same key, until that is known."""


async def _nothing() -> None:
    """There is nothing to close."""


@dataclass(frozen=True)
class Performers:
    """One service's performers, by effect; `close` ends their connections."""

    by_effect: Mapping[type[Struct], Performer]
    close: Callable[[], Awaitable[None]] = _nothing

    async def perform(self, output: Perform) -> Performed | Failed:
        """Carry out one effect; its performer bounds the time. Every error becomes a `Failed`."""
        row = output.row
        traceparent.set(context_of(row))  # we run in a task, and so in a context, of our own
        requested_at.set(row.created_at)
        try:
            result = await self.by_effect[type(output.effect)](row.key, output.effect)
            return Performed(row.seq, result)
        except (Impossible, NotDone) as error:
            return Failed(row.seq, describe(error), final=isinstance(error, Impossible))
        except Exception as error:
            if not isinstance(error, OutcomeUnknown | TimeoutError | OSError):
                what = "Performing %s failed in a way nobody foresaw"
                log.exception(what, row.key, extra=about(row))
            return Failed(row.seq, describe(error), unknown=True)
