"""The notebook that is swept: which parameters it has, of which types, and what it is known by."""

import ast
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from ecom.errors import ShopError

_BOOLS = {"true": True, "false": False}


def _float(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


_READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "int": (int, "whole numbers"),
    "float": (_float, "numbers"),
    "bool": (lambda text: _BOOLS[text.lower()], "true or false"),
    "str": (str, "texts"),
}


@dataclass(frozen=True)
class Recipe:
    """A notebook with a cell tagged `parameters`. Its errors are `ShopError`s."""

    path: Path
    notebook: NotebookNode

    @cached_property
    def code(self) -> str:
        """What the notebook is known by: a digest of its code, whatever its prose and outputs."""
        cells = [cell.source for cell in self.notebook.cells if cell.cell_type == "code"]
        return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]

    @cached_property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """What papermill knows of each parameter: `inferred_type_name`, `default`, `help`."""
        from papermill import inspect_notebook  # here: it takes a second to import

        try:
            # Papermill fills in what is between braces in a path: there is nothing to fill in.
            return inspect_notebook(str(self.path).replace("{", "{{").replace("}", "}}"))
        except ValueError as error:
            raise ShopError(f"{self.path} does not say which kernel runs it: {error}") from error

    @property
    def defaults(self) -> dict[str, Any]:
        """The parameters whose defaults are plain values."""
        found = {name: _literal(it["default"]) for name, it in self.parameters.items()}
        return {name: value for name, value in found.items() if value is not ...}

    def values(self, name: str, text: str) -> list[Any]:
        """`0.5,2,10` → the values of that parameter, each once, of its type."""
        if name not in self.parameters:
            known = ", ".join(self.parameters) or "none"
            raise ShopError(f"{self.path.name} has no parameter {name!r}; it has: {known}.")
        return list(dict.fromkeys(self._value(name, each.strip()) for each in text.split(",")))

    def _value(self, name: str, text: str) -> Any:
        default = _literal(self.parameters[name]["default"])
        kind = self.parameters[name]["inferred_type_name"]
        kind = kind if kind in _READERS else type(default).__name__
        if kind not in _READERS and default not in (None, ...):
            raise ShopError(f"{name} is a {kind}: only numbers, texts and truths can be swept.")
        read, what = _READERS.get(kind, _READERS["str"])
        try:
            return read(text)
        except (ValueError, KeyError) as error:
            raise ShopError(f"{name} takes {what} ({kind}), not {text!r}.") from error


def read(path: Path) -> Recipe:
    """Read a notebook. Raises `ShopError` if there is none, or it has no parameters."""
    try:
        notebook = nbformat.read(path, 4)
    except OSError as error:
        raise ShopError(f"There is no notebook {path}: {error.strerror}.") from error
    except Exception as error:  # whatever a parser says of a file that is something else
        raise ShopError(f"{path} is no notebook: it cannot be read as one.") from error
    if not any("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells):
        raise ShopError(f"{path} has nothing to vary: tag the cell of its parameters `parameters`.")
    return Recipe(path, notebook)


def _literal(text: str) -> Any:
    """The plain value that a default is; `...` if it is computed."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return ...
