"""Experiments: one notebook, many parameters, all results in one file.

`ecom sweep --help` begins. `ecom_lab.experiments.experiment` is what notebook 10 runs, `results`
what a sweep has found, as a frame; `ecom_lab.experiments.plots` draws it.
"""

__all__ = ["results"]


def __getattr__(name: str) -> object:
    """Import on demand: a command that does not sweep need not wait for pandas."""
    if name != "results":
        raise AttributeError(f"module 'ecom_lab.experiments' has no attribute {name!r}")
    from ecom_lab.experiments.book import results

    return results
