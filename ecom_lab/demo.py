"""What `make run` shows: notebooks 01 and 02, run, and how each of their orders ended."""

import sys
from datetime import datetime
from pathlib import Path

import click

from ecom.errors import ShopError
from ecom.settings import all_installed, home

NOTEBOOKS = Path(__file__).absolute().parents[1] / "notebooks"
SHOWN = ("01_place_an_order", "02_run_out_of_stock")


def main() -> None:
    """Run the notebooks on one private broker and print what became of their orders."""
    from ecom.broker.lease import lease

    results = home() / "runs" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    results.mkdir(parents=True)
    with lease():  # held over both, so that the broker is started once
        for name in SHOWN:
            run(name, results)
    click.echo(f"\nThe executed notebooks lie in {results}")


def run(name: str, results: Path) -> None:
    """Run one notebook with papermill, with a progress bar; then print its orders and books."""
    from papermill import execute_notebook  # here: they take a second to import

    from ecom.shop.records import Records
    from ecom_lab.experiments.kernel import Kernel

    notebook, shop = f"{name}.ipynb", results / name
    click.echo(f"\n{notebook}")
    where = {"cwd": NOTEBOOKS, "kernel_manager_class": Kernel}
    given = {"SHOP_FOLDER": str(shop)}
    execute_notebook(NOTEBOOKS / notebook, results / notebook, given, **where)
    records = Records(shop)
    orders = records.orders().drop(columns="total")
    click.echo(orders.to_string(index=False, max_colwidth=40, max_rows=8))
    click.echo(f"Books {records.books()}.")


if __name__ == "__main__":
    try:
        with all_installed():
            main()
    except ShopError as error:
        sys.exit(str(error))
