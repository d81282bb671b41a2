"""Chaos: faults on real processes and a real broker, and whether anything went missing.

Where `ecom.lab` explores the code, this injects faults into the running system while customers
order, lets it come to rest, and counts as Jepsen does: what was attempted, acknowledged, lost,
unexpected, done twice. `ecom chaos --help` begins; `ecom.chaos.faults` has them all.
"""

__all__ = ["FAULTS", "Size", "play"]


def __getattr__(name: str) -> object:
    """Import on demand: a service that is told to fail needs none of this."""
    if name not in __all__:
        raise AttributeError(f"module 'ecom.chaos' has no attribute {name!r}")
    from ecom.chaos.fault import Size
    from ecom.chaos.faults import FAULTS
    from ecom.chaos.playing import play

    return {"FAULTS": FAULTS, "Size": Size, "play": play}[name]
