"""The states of a lifecycle, and which of them are hopeful."""

from ecom.runtime.service import Lifecycle


def states_of(lifecycle: Lifecycle) -> list[str]:
    """All states, in the order in which they are named."""
    return list(dict.fromkeys(after for _, _, after in lifecycle.transitions))


def hopeful(lifecycle: Lifecycle) -> set[str]:
    """Success, and the states that can still lead to it: in all others something failed."""
    found, before = {lifecycle.success}, set[str]()
    while found != before:
        before = set(found)
        found |= {source for source, _, target in lifecycle.transitions if target in found}
    return found
