"""Commands that other packages bring to `ecom`: entry points of the group `ecom.commands`."""

from importlib.metadata import entry_points

import click


def plugins() -> dict[str, click.Command]:
    """Those that are installed, by name; whose package is not there is left out."""
    found = {}
    for point in entry_points(group="ecom.commands"):
        try:
            found[point.name] = point.load()
        except ModuleNotFoundError:  # e.g. the benchmark, which lives in the checkout only
            continue
    return found
