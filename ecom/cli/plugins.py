"""Commands that other packages bring to `ecom`: entry points of the group `ecom.commands`."""

from importlib.metadata import entry_points

import click


def plugins() -> dict[str, click.Command]:
    """The study commands by name, without those whose package is not installed."""
    found = {}
    for point in entry_points(group="ecom.commands"):
        try:
            found[point.name] = point.load()
        except ModuleNotFoundError:  # e.g. the benchmark, which lives in the checkout only
            continue
    return found
