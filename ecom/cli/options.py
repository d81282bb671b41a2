"""Options that several commands have, and the shop that they name."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ecom.errors import ShopError
from ecom.telemetry.logs import one_line

if TYPE_CHECKING:
    import pandas as pd

    from ecom.shop.api_client import Client
    from ecom.shop.records import Records

FOLDER = "ecom.folder"  # in a context: the folder that was given


class Place(click.Path):
    """A path; but none that is empty, which pathlib takes for the folder we are in."""

    def convert(self, value: Any, parameter: Any, context: Any) -> Path:
        if not os.fspath(value):
            self.fail("an empty path names nothing.", parameter, context)
        return Path(super().convert(value, parameter, context))


def of_shop(command: Callable) -> Callable:
    """Options that name a shop: `name`, and a folder for `folder_named` and `shop_folder`."""
    name = click.option("--name", default="ecom", show_default=True, help="Which shop.")
    folder = click.option(
        "--folder",
        type=Place(),
        expose_value=False,
        callback=lambda ctx, _, path: ctx.meta.__setitem__(FOLDER, path),
        help="Its folder, if it is not among the shops of ECOM_HOME.",
    )
    return name(folder(command))


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


def given_folder() -> Path | None:
    """What `--folder` says."""
    given: Path | None = click.get_current_context().meta.get(FOLDER)
    return given and given.expanduser().absolute()


def folder_named(name: str) -> Path:
    """The folder of the shop, which need not exist."""
    from ecom.harness.workspace import folder_of

    return given_folder() or folder_of(name)


def shop_folder(name: str) -> Path:
    """The folder of the shop. Raises `ShopError` if it has never been open."""
    folder = folder_named(name)
    if not (folder / "order.db").exists():
        where = f"in {folder}" if given_folder() else f"{name!r} yet"
        raise ShopError(f"There is no shop {where}: `ecom up` opens it.")
    return folder


def shop_name(name: str) -> str:
    """The shop's name at the broker: of one that was opened by its folder alone, made of that."""
    from ecom.harness.workspace import name_for

    folder, said = given_folder(), click.get_current_context().get_parameter_source("name")
    return name_for(folder) if folder and said is ParameterSource.DEFAULT else name


def records_of(name: str) -> "Records":
    """The records of the shop. Raises `ShopError` if it has never been open."""
    from ecom.shop.records import Records

    return Records(shop_folder(name))


@contextmanager
def client_of(name: str) -> Iterator["Client"]:
    """A client of the shop's HTTP API."""
    from ecom.cli.status import api_of
    from ecom.shop.api_client import Client
    from ecom.shop.folder import kept_token

    folder = shop_folder(name)
    with closing(Client(lambda: api_of(folder), kept_token(folder))) as client:
        yield client


def units(pairs: tuple[str, ...]) -> dict[str, int]:
    """Units by sku, of texts like `TEAPOT=2`."""
    found: dict[str, int] = {}
    for pair in pairs:
        sku, _, number = pair.rpartition("=")
        if not sku or not number.isdecimal() or len(number) > 18:
            raise click.BadParameter(f"{pair!r} is not like TEAPOT=2", param_hint="SKU=UNITS")
        found[sku] = found.get(sku, 0) + int(number)
    return found
