"""A shop's orders and records in a terminal, and what a customer or an operator does to it."""

import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ecom.cli import options
from ecom.cli.options import Named
from ecom.errors import ShopError
from ecom.settings import read_private
from ecom.shop import arguments
from ecom.shop.balance import pounds
from ecom.shop.catalogue import products, unknown_products

if TYPE_CHECKING:
    import pandas as pd

    from ecom.shop.records import Records

WAIT_SECONDS = 60.0
STATES = ["PENDING", "CONFIRMED", "CANCELLED"]

of_order = click.option("--order", help="Only this order's.")


def show(frame: "pd.DataFrame", as_json: bool, none: str = "None.") -> None:
    """A frame, as a table or as JSON; money in pounds, if people read it."""
    if as_json:
        click.echo(json.dumps(frame.to_dict("records")))
        return
    money = frame.columns.intersection(["total", "amount", "unit_price"])
    for column in money:
        frame[column] = frame[column].map(pounds)
    short = frame.map(lambda it: f"{it[:59]}…" if isinstance(it, str) and len(it) > 60 else it)
    click.echo(none if frame.empty else options.aligned(short, money))


@click.command()
@click.argument("customer")
@click.argument("lines", nargs=-1, required=True, metavar="SKU=UNITS...")
@click.option("--card", help="A test card; without it, the customer's own.")
@click.option("--wait", is_flag=True, help="Wait for its end: the exit status is 1 if it fails.")
@options.of_shop
@options.as_json
def place(
    customer: str, lines: tuple[str, ...], card: str | None, wait: bool, shop: Named, as_json: bool
) -> None:
    """Place an order with a shop that is up.

    Example: ecom place ada@example.com TEAPOT=1 KITE=2
    """
    wanted = arguments.order_for(customer, options.units(lines), card)
    with shop.client() as client:
        order = client.place([wanted])[0]
    for sentence in unknown_products(wanted):
        click.echo(sentence, err=True)
    if not wait:
        click.echo(json.dumps({"order_id": order}) if as_json else f"Order {order} is accepted.")
        return
    found = _ended(shop.records(), order)
    told = {name: found[name] for name in ("order_id", "state", "reason")}
    because = f": {found['reason']}" if found["reason"] else ""
    click.echo(json.dumps(told) if as_json else f"Order {order} is {found['state']}{because}.")
    sys.exit(0 if found["state"] == "CONFIRMED" else 1)


def _ended(records: "Records", order: str) -> dict[str, Any]:
    """How an order ended, once it has; how it stands, if it takes too long."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        (found,) = (it for it in records.orders_as_json() if it["order_id"] == order)
        if found["state"] != "PENDING" or time.monotonic() > until:
            return found
        time.sleep(0.1)


@click.command()
@click.option("--state", type=click.Choice(STATES, case_sensitive=False), help="Only these.")
@options.of_shop
@options.as_json
def orders(state: str | None, shop: Named, as_json: bool) -> None:
    """List the orders and how each ended."""
    records = shop.records()
    if as_json:
        click.echo(json.dumps(records.orders_as_json(state)))
    else:
        show(records.orders(state), False, "No orders.")


@click.command()
@of_order
@options.of_shop
@options.as_json
def events(order: str | None, shop: Named, as_json: bool) -> None:
    """List the events, causes before effects."""
    show(shop.records().events(order), as_json)


@click.command()
@of_order
@options.of_shop
@options.as_json
def emails(order: str | None, shop: Named, as_json: bool) -> None:
    """List what customers were told."""
    show(shop.records().emails(order), as_json)


@click.command()
@click.argument("lines", nargs=-1, metavar="[SKU=UNITS]...")
@options.of_shop
@options.as_json
def stock(lines: tuple[str, ...], shop: Named, as_json: bool) -> None:
    """Show the shelves; with SKU=UNITS, put new products on them first.

    A product that has been on the shelves is left as it is.
    """
    from ecom.process.databases import Files
    from ecom.shop.provision import stock_shelves

    records, wanted = shop.records(), options.units(lines)
    if known := wanted.keys() & {*records.stock().sku}:
        raise ShopError(f"{', '.join(sorted(known))} is on the shelves already: nothing was done.")
    stock_shelves(Files(records.folder), wanted)
    show(records.stock(), as_json)


@click.command()
@options.as_json
def catalogue(as_json: bool) -> None:
    """List what shops sell, at which price, and what is on the shelves at first."""
    import pandas as pd

    show(pd.DataFrame(products().values()), as_json)


@click.command()
@options.of_shop
@options.as_json
def books(shop: Named, as_json: bool) -> None:
    """Say whether the books balance: the exit status is 1 if they do not."""
    verdict = shop.records().books()
    click.echo(json.dumps(asdict(verdict)) if as_json else str(verdict))
    sys.exit(0 if verdict.balanced else 1)


@click.command()
@click.argument("order")
@options.of_shop
def history(order: str, shop: Named) -> None:
    """Tell all that happened to one order, causes before effects."""
    click.echo(options.plain(repr(shop.records().history(order))))


@click.command()
@click.argument("order")
@options.of_shop
def cancel(order: str, shop: Named) -> None:
    """Cancel an order, as its customer."""
    with shop.client() as client:
        client.cancel(order)
    click.echo(f"Order {order} will be undone.")


@click.command()
@click.argument("faults", nargs=-1, metavar="[FAULT=VALUE]...")
@options.of_shop
def gateway(faults: tuple[str, ...], shop: Named) -> None:
    """Say what goes wrong at the shop's payment provider from now on; without faults, nothing.

    Example: ecom gateway fail_before=0.1 delay=2.5 down=true
    """
    from ecom.sandbox.sandbox import put_faults

    wanted = {fault: _value(value) for fault, _, value in (it.partition("=") for it in faults)}
    put_faults(read_private(shop.kept / "gateway-url"), arguments.faults(wanted))
    click.echo(f"From now on: {', '.join(faults) or 'all is well'}.")


def _value(text: str) -> Any:
    try:
        return json.loads(text.lower())
    except ValueError:
        return text


COMMANDS = place, orders, cancel, history, events, books, stock, catalogue, emails, gateway
