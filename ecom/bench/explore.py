"""How fast the lab's explorer goes through the states of a small world."""

from collections.abc import Callable
from typing import Any


def explorer(step: Callable[[], None]) -> dict[str, Any]:
    """States, transitions and transitions per second."""
    step()
    return {}
