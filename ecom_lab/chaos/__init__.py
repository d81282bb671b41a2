"""Chaos: faults on real processes and a real broker, and whether anything went missing.

Where `ecom_lab.simulator` explores the code, this injects faults into the running system while
customers order, lets it come to rest, and counts as Jepsen does: what was attempted, acknowledged,
lost, unexpected, done twice. `ecom chaos --help` begins; `ecom_lab.chaos.scorecard` has them all.
"""

__all__ = ["FAULTS", "Own", "Size", "play"]


def __getattr__(name: str) -> object:
    """Import on demand: a service that is told to fail needs none of this."""
    if name not in __all__:
        raise AttributeError(f"module 'ecom_lab.chaos' has no attribute {name!r}")
    from ecom_lab.chaos.fault import Own, Size
    from ecom_lab.chaos.scorecard import FAULTS
    from ecom_lab.chaos.testbed import play

    return {"FAULTS": FAULTS, "Own": Own, "Size": Size, "play": play}[name]
