"""A shop's records in a terminal, and what a customer or an operator does to it there."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import get_completion_class

from ecom.cli.options import aligned, as_json, client_of, of_shop, say, shop_folder, units
from ecom.errors import ShopError

if TYPE_CHECKING:
    import pandas as pd

of_order = click.option("--order", help="Only this order's.")


def show(frame: "pd.DataFrame", as_json: bool, none: str = "None.") -> None:
    """A frame, as a table or as JSON; money in pounds, if people read it."""
    from ecom.shop.balance import pounds

    if as_json:
        click.echo(json.dumps(frame.to_dict("records")))
        return
    money = frame.columns.intersection(["total", "amount", "unit_price"])
    for column in money:
        frame[column] = frame[column].map(pounds)
    short = frame.map(lambda it: f"{it[:59]}…" if isinstance(it, str) and len(it) > 60 else it)
    click.echo(none if frame.empty else aligned(short, money))


@click.command()
@of_order
@of_shop
@as_json
def events(order: str | None, name: str, as_json: bool) -> None:
    """List the events, causes before effects."""
    from ecom.shop.records import Records

    show(Records(shop_folder(name)).events(order), as_json)


@click.command()
@of_order
@of_shop
@as_json
def emails(order: str | None, name: str, as_json: bool) -> None:
    """List what customers were told."""
    from ecom.shop.records import Records

    show(Records(shop_folder(name)).emails(order), as_json)


@click.command()
@click.argument("lines", nargs=-1, metavar="[SKU=UNITS]...")
@of_shop
@as_json
def stock(lines: tuple[str, ...], name: str, as_json: bool) -> None:
    """Show the shelves; with SKU=UNITS, put new products on them first.

    A product that has been on the shelves is left as it is.
    """
    from ecom.process.databases import Files
    from ecom.shop.provision import stock_shelves
    from ecom.shop.records import Records

    records, wanted = Records(shop_folder(name)), units(lines)
    if known := wanted.keys() & {*records.stock().sku}:
        raise ShopError(f"{', '.join(sorted(known))} is on the shelves already: nothing was done.")
    stock_shelves(Files(records.folder), wanted)
    show(records.stock(), as_json)


@click.command()
@as_json
def catalogue(as_json: bool) -> None:
    """List what shops sell, at which price, and what is on the shelves at first."""
    import pandas as pd

    from ecom.shop.catalogue import products

    show(pd.DataFrame(products().values()), as_json)


@click.command()
@of_shop
@as_json
def books(name: str, as_json: bool) -> None:
    """Say whether the books balance: the exit status is 1 if they do not."""
    from ecom.shop import accounts

    verdict = accounts.books(shop_folder(name))
    click.echo(json.dumps(asdict(verdict)) if as_json else str(verdict))
    sys.exit(0 if verdict.balanced else 1)


@click.command()
@click.argument("order")
@of_shop
def history(order: str, name: str) -> None:
    """Tell all that happened to one order, causes before effects."""
    from ecom.shop.history import history as told

    say(repr(told(shop_folder(name), order)))


@click.command()
@click.argument("order")
@of_shop
def cancel(order: str, name: str) -> None:
    """Cancel an order, as its customer."""
    with client_of(name) as client:
        client.cancel(order)
    click.echo(f"Order {order} will be undone.")


@click.command()
@click.argument("faults", nargs=-1, metavar="[FAULT=VALUE]...")
@of_shop
def gateway(faults: tuple[str, ...], name: str) -> None:
    """Say what goes wrong at the shop's payment provider from now on; without faults, nothing.

    Example: ecom gateway fail_before=0.1 delay=2.5 down=true
    """
    from ecom.sandbox.sandbox import put_faults
    from ecom.settings import kept_secret
    from ecom.shop.arguments import faults as checked

    wanted = {fault: _value(value) for fault, _, value in (it.partition("=") for it in faults)}
    put_faults(kept_secret(shop_folder(name) / "gateway-url"), checked(wanted))
    click.echo(f"From now on: {', '.join(faults) or 'all is well'}.")


def _value(text: str) -> Any:
    try:
        return json.loads(text.lower())
    except ValueError:
        return text


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what completes commands and options: eval "$(ecom completion bash)"."""
    kind = get_completion_class(shell)
    command = click.get_current_context().find_root().command
    click.echo(kind(command, {}, "ecom", "_ECOM_COMPLETE").source() if kind else "")


COMMANDS: tuple[Callable, ...] = (
    *(cancel, history, events, books, stock, catalogue, emails, gateway),
    completion,
)
