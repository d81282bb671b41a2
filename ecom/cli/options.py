"""Options that several commands have, and the shop that they name."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, closing
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from ecom.errors import ShopError
from ecom.settings import folder_named
from ecom.telemetry.logs import one_line

if TYPE_CHECKING:
    import pandas as pd

    from ecom.shop.api_client import Client
    from ecom.shop.records import Records


class Place(click.Path):
    """A path; but none that is empty, which pathlib takes for the folder we are in."""

    def convert(self, value: Any, parameter: Any, context: Any) -> Path:
        if not str(value):
            self.fail("an empty path names nothing.", parameter, context)
        return Path(super().convert(value, parameter, context))


class Named(NamedTuple):
    """The shop that a command's options name."""

    name: str  # at the broker
    folder: Path  # which need not exist
    is_given: bool  # by its folder

    @property
    def kept(self) -> Path:
        """Its folder. Raises `ShopError` if it has never been open."""
        if not (self.folder / "order.db").exists():
            where = f"in {self.folder}" if self.is_given else f"{self.name!r} yet"
            raise ShopError(f"There is no shop {where}: `ecom up` opens it.")
        return self.folder

    def records(self) -> "Records":
        """Its records. Raises `ShopError` if it has never been open."""
        from ecom.shop.records import Records

        return Records(self.kept)

    def client(self) -> AbstractContextManager["Client"]:
        """A client of its HTTP API."""
        from ecom.cli.status import api_of
        from ecom.shop.api_client import Client
        from ecom.shop.folder import kept_token

        return closing(Client(partial(api_of, self.kept), kept_token(self.kept)))


def of_shop(command: Callable) -> Callable:
    """Options that name a shop, which the command is given as `shop`."""

    @click.option("--name", default="ecom", show_default=True, help="Which shop.")
    @click.option(
        "--folder", type=Place(), help="Its folder, if it is not among the shops of ECOM_HOME."
    )
    @wraps(command)
    def naming(*, name: str, folder: Path | None, **others: Any) -> Any:
        from ecom.harness.workspace import folder_of, name_for

        if folder is None:
            return command(shop=Named(name, folder_of(name), False), **others)
        folder = folder_named("--folder", str(folder)).absolute()
        said = click.get_current_context().get_parameter_source("name")
        name = name_for(folder) if said is ParameterSource.DEFAULT else name
        return command(shop=Named(name, folder, True), **others)

    return naming


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def plain(text: str) -> str:
    """Lines in which something of an event, or of a customer, may be: text stays text, whatever a
    terminal would do about it."""
    return "\n".join(map(one_line, text.split("\n")))


def cell(value: object) -> str:
    """What a table shows of a value: text stays text, as of `plain`, on one line."""
    return one_line(str(value).replace("\n", " "))


def aligned(frame: "pd.DataFrame", right: Iterable[str] = ()) -> str:
    """A frame as people read it: texts begin on the left; numbers, and what is `right`, end on
    the right."""
    right = {*right, *frame.select_dtypes("number").columns}
    columns = []
    for name in frame.columns:
        cells = [cell(it) for it in (name, *frame[name])]
        width = max(map(len, cells))
        columns.append([it.rjust(width) if name in right else it.ljust(width) for it in cells])
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*columns, strict=True))


def units(pairs: tuple[str, ...]) -> dict[str, int]:
    """Units by sku, of texts like `TEAPOT=2`."""
    found: dict[str, int] = {}
    for pair in pairs:
        sku, _, number = pair.rpartition("=")
        if not sku or not number.isdecimal() or len(number) > 18:
            raise click.BadParameter(f"{pair!r} is not like TEAPOT=2", param_hint="SKU=UNITS")
        found[sku] = found.get(sku, 0) + int(number)
    return found
