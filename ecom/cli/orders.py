"""Orders in a terminal: placed, and how they ended."""

import json
import sys
import time
from pathlib import Path

import click

from ecom.cli.options import as_json, client_of, of_shop, shop_folder, units
from ecom.cli.records import show

WAIT_SECONDS = 60.0
STATES = ["PENDING", "CONFIRMED", "CANCELLED"]


@click.command()
@click.argument("customer")
@click.argument("lines", nargs=-1, required=True, metavar="SKU=UNITS...")
@click.option("--card", help="A test card; without it, the customer's own.")
@click.option("--wait", is_flag=True, help="Wait for its end: the exit status is 1 if it fails.")
@of_shop
@as_json
def place(
    customer: str, lines: tuple[str, ...], card: str | None, wait: bool, name: str, as_json: bool
) -> None:
    """Place an order with a shop that is up.

    Example: ecom place ada@example.com TEAPOT=1 KITE=2
    """
    from ecom.shop.catalogue import order_for, unknown_products

    wanted = order_for(customer, units(lines), card)
    with client_of(name) as client:
        order = client.place([wanted])[0]
    for sentence in unknown_products(wanted):
        click.echo(sentence, err=True)
    if not wait:
        click.echo(json.dumps({"order_id": order}) if as_json else f"Order {order} is accepted.")
        return
    found = _ended(shop_folder(name), order)
    told = {"order_id": order, **found}
    because = f": {found['reason']}" if found["reason"] else ""
    click.echo(json.dumps(told) if as_json else f"Order {order} is {found['state']}{because}.")
    sys.exit(0 if found["state"] == "CONFIRMED" else 1)


def _ended(folder: Path, order: str) -> dict[str, str]:
    """How an order ended, once it has; how it stands, if it takes too long."""
    from ecom.shop.records import Records

    records, until = Records(folder), time.monotonic() + WAIT_SECONDS
    while True:
        frame = records.orders().set_index("order_id")
        found = {column: str(frame.at[order, column]) for column in ("state", "reason")}
        if found["state"] != "PENDING" or time.monotonic() > until:
            return found
        time.sleep(0.1)


@click.command()
@click.option("--state", type=click.Choice(STATES, case_sensitive=False), help="Only these.")
@of_shop
@as_json
def orders(state: str | None, name: str, as_json: bool) -> None:
    """List the orders and how each ended."""
    from ecom.shop.records import Records

    records = Records(shop_folder(name))
    if as_json:
        click.echo(json.dumps(records.orders_as_json(state)))
    else:
        show(records.orders(state), False, "No orders.")
