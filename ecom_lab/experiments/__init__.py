"""Experiments: one notebook, many parameters, all results in one file.

`ecom sweep --help` begins. `ecom_lab.experiments.experiment` is what notebook 10 runs, `results`
what a sweep has found, as a frame; `ecom_lab.experiments.plots` draws it.
"""

from pathlib import Path

from ecom.errors import ShopError

__all__ = ["data_file", "results"]
# Of a run, beside its parameters and results. Here, as what runs one need not wait for pandas.
COLUMNS = {"key": str, "notebook": str, "code": str, "status": str, "seconds": float, "error": str}


def data_file(name: str) -> Path:
    """A file of the checkout's `data/`, from whichever folder of it one works. Raises `ShopError`.

    Looked for upward from the working folder, then beside this package.
    """
    folder = Path.cwd()
    for checkout in (folder, *folder.parents, Path(__file__).absolute().parents[2]):
        if (path := checkout / "data" / name).is_file():
            return path
    raise ShopError(f"There is no data/{name} in or above {folder}: it comes with the repository.")


def __getattr__(name: str) -> object:
    """Import on demand: a command that does not sweep need not wait for pandas."""
    if name != "results":
        raise AttributeError(f"module 'ecom_lab.experiments' has no attribute {name!r}")
    from ecom_lab.experiments.results_file import results

    return results
