"""Which runs a sweep consists of: every combination of the values, each under a key of its own."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

from ecom.errors import ShopError
from ecom_lab.experiments.book import COLUMNS
from ecom_lab.experiments.recipe import Recipe


@dataclass(frozen=True)
class Run:
    """One run of a notebook, with `given` parameters; `parameters` are these and the defaults."""

    code: str
    given: dict[str, Any]
    parameters: dict[str, Any]

    @property
    def key(self) -> str:
        """The same for the same code and parameters, given or by default."""
        told = json.dumps([self.code, self.parameters], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.given.items()) or "the defaults"


def axes(recipe: Recipe, texts: Iterable[tuple[str, str]], seeds: int) -> dict[str, list[Any]]:
    """The values of each parameter that is swept. `seeds` makes `SEED` go from 1 to so many.

    Raises `ShopError` for a parameter there is not, or is named twice, or for a wrong value.
    """
    found: dict[str, list[Any]] = {}
    if seeds:
        texts = [*texts, ("SEED", ",".join(str(seed + 1) for seed in range(seeds)))]
    for name, text in texts:
        if name in found:
            raise ShopError(f"{name} is given twice: put all its values into one list.")
        if name.lower() in COLUMNS:
            raise ShopError(f"A parameter cannot be called {name!r}: a column of the results is.")
        found[name] = recipe.values(name, text)
    return found


def runs(recipe: Recipe, axes: dict[str, list[Any]]) -> list[Run]:
    """Every combination, the last parameter changing fastest."""
    combinations = (dict(zip(axes, values, strict=True)) for values in product(*axes.values()))
    return [Run(recipe.code, given, recipe.defaults | given) for given in combinations]
