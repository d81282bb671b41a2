"""The notebook that is swept: its parameters, and every combination of their values."""

import ast
import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import nbformat
from papermill import inspect_notebook
from pydantic import FiniteFloat, TypeAdapter, ValidationError

from ecom.errors import ShopError
from ecom_lab.experiments import COLUMNS

Values = dict[str, list[Any]]  # of each parameter that is swept
TYPES = {"int": int, "float": FiniteFloat, "bool": bool, "str": str, "NoneType": str}


@dataclass(frozen=True)
class Notebook:
    """A notebook with a cell tagged `parameters`. Its errors are `ShopError`s."""

    path: Path
    node: nbformat.NotebookNode

    @cached_property
    def code(self) -> str:
        """What the notebook is known by: a digest of its code, whatever its prose and outputs."""
        return _digest([cell.source for cell in self.node.cells if cell.cell_type == "code"])

    @cached_property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """What papermill knows of each parameter: `inferred_type_name`, `default`, `help`."""
        try:
            return inspect_notebook(braced(self.path))
        except ValueError as error:
            raise ShopError(f"{self.path} does not say which kernel runs it: {error}") from error

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The parameters whose defaults are plain values."""
        found = {}
        for name, told in self.parameters.items():
            with suppress(ValueError, SyntaxError):  # it is computed
                found[name] = ast.literal_eval(told["default"])
        return found

    def axes(self, texts: Iterable[tuple[str, str]], seeds: int) -> Values:
        """The values of each parameter that is swept. `seeds` makes `SEED` go from 1 to so many.

        Raises `ShopError` for a parameter there is not, or is named twice, or for a wrong value.
        """
        found: Values = {}
        if seeds:
            texts = [*texts, ("SEED", ",".join(str(seed + 1) for seed in range(seeds)))]
        for name, text in texts:
            if name in found:
                raise ShopError(f"{name} is given twice: put all its values into one list.")
            if name.lower() in COLUMNS:
                raise ShopError(f"A parameter cannot be called {name!r}: a column of results is.")
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise ShopError(f"{self.path.name} has no parameter {name!r}; it has: {known}.")
            values = (self._value(name, each.strip()) for each in text.split(","))
            found[name] = list(dict.fromkeys(values))
        return found

    def _value(self, name: str, text: str) -> Any:
        default = type(self.defaults.get(name, ""))
        kind = self.parameters[name]["inferred_type_name"]
        kind = kind if kind in TYPES else default.__name__
        try:
            return TypeAdapter(TYPES.get(kind, default)).validate_strings(text)
        except ValidationError as error:
            raise ShopError(f"{name} takes values of type {kind}, not {text!r}.") from error

    def runs(self, axes: Values) -> list["Run"]:
        """Every combination, the last parameter changing fastest."""
        return [Run(self, dict(zip(axes, each, strict=True))) for each in product(*axes.values())]


@dataclass(frozen=True)
class Run:
    """One run of a notebook, with `given` parameters."""

    notebook: Notebook
    given: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Any]:
        """What is given, and the defaults."""
        return self.notebook.defaults | self.given

    @property
    def key(self) -> str:
        """The same for the same code and parameters, given or by default."""
        return _digest([self.notebook.code, self.parameters])

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.given.items()) or "the defaults"


def read(path: Path) -> Notebook:
    """Read a notebook. Raises `ShopError` if there is none, or it has no parameters."""
    try:
        node = nbformat.read(path, 4)
    except OSError as error:
        raise ShopError(f"There is no notebook {path}: {error.strerror}.") from error
    except Exception as error:  # whatever a parser says of a file that is something else
        raise ShopError(f"{path} is no notebook: it cannot be read as one.") from error
    if not any("parameters" in cell.metadata.get("tags", []) for cell in node.cells):
        raise ShopError(f"{path} has nothing to vary: tag the cell of its parameters `parameters`.")
    return Notebook(path, node)


def braced(path: Path) -> str:
    """A path as papermill takes it, which fills in what is between braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _digest(what: list[Any]) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
