"""The notebooks in batch: as true of other numbers, in any folder, as of their own."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

from ecom_lab.experiments.kernel import Kernel

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

# Notebook, small parameters, and a result that it must then show.
VARIANTS = [
    (
        "00_start_here",
        {"CUSTOMER": "ada@example.com", "SKU": "SNARK", "TOO_MANY": 3}
        | {"FINDS": "inventory", "LAST": "1"},
        "balanced: 17 orders, 7 confirmed, 10 cancelled, £2,296.18 captured and kept",
    ),
    (
        "01_place_an_order",
        {"SKU": "YOYO", "QUANTITY": 1, "ORDERS": 3, "KNOWS": "none of them", "EACH": "4"},
        "balanced: 4 orders, 4 confirmed, 0 cancelled, £12.92 captured and kept",
    ),
    (
        "03_pay_and_refund",
        {"PRICE": 100, "ORDERS": 5, "FAIL_BEFORE": 0.3, "SEED": 1, "OFTEN": "1", "KEPT": "b"},
        "balanced: 8 orders, 7 confirmed, 1 cancelled, £7.00 captured and kept",
    ),
    (
        "04_let_a_hold_expire",
        {"HOLD_SECONDS": 2.5, "PRICE": 100, "RACERS": 5}
        | {"NOTICES": "c", "THEN": "b", "DEAD": "b", "WINS": "a"},
        "9",  # orders
    ),
    (
        "05_retry_and_set_aside",
        {"SKU": "GLOBE", "STOCK": 4, "BUYERS": 2, "PRICE": 100, "LONGEST": "6.2", "THEIRS": "b"},
        "balanced: 2 orders, 0 confirmed, 2 cancelled, £0.00 captured and kept",
    ),
    (
        "06_read_the_history",
        {"SKU": "GLOBE", "STOCK": 4, "CUSTOMER": "ines@example.com"}
        | {"MESSAGES": "5", "ARROW": "a", "MEDDLED": "b"},
        "After event 3 of 18, payment.processed of order 1001",
    ),
    (
        "07_break_the_naive_saga",
        {"KINDS": ["crash", "late"]}
        | {"STEPS": "2", "LOST": "a", "DISAGREE": "inventory, order", "CROWD": "4"},
        "{'inventory': (Stock(sku='TEAPOT', initial=1, available=1, held=0, committed=0),)}",
    ),
    (
        "08_explore_the_real_one",
        {"FAULTS": 0, "SEEDS": 5, "MANY": "b", "DUEL": "a"},
        "(3505, 6830, 305)",
    ),
    (
        "09_kill_the_processes",
        {"ORDERS": 10, "SEED": 2, "STATE": "b", "STILL": "a"},
        "balanced: 60 orders, 60 confirmed, 0 cancelled, £150.00 captured and kept",
    ),
    (
        "11_outgrow_one_machine",
        {"CUSTOMERS": 4, "ORDERS": 8, "HOT": 0.2}
        | {"LAST": "one", "LEFT": "9", "READ": "1", "FASTER": "not sooner", "BOUND": "5"},
        "['DeadlockDetected']",
    ),
    (
        "12_choreograph_or_orchestrate",
        {"SKU": "GLOBE", "STOCK": 4, "FAULTS": 0}
        | {"MORE": "c", "STATES": "b", "DANCERS": "order, inventory", "LEADERS": "coordinator"},
        "balanced: 2 orders, 1 confirmed, 1 cancelled, £64.00 captured and kept",
    ),
    (
        "13_change_a_running_saga",
        {"SKU": "GLOBE", "STOCK": 6, "OLD": "c", "RULE": "c", "PACKED": "c", "BEGUN": "c"},
        "balanced: 3 orders, 3 confirmed, 0 cancelled, £192.00 captured and kept",
    ),
    (
        "14_bring_your_own",
        {"CITY": "Oslo", "TRIPS": 3, "WORDS": "b", "MOMENT": "a", "COST": "25"},
        "The books balance.",
    ),
    (
        "r0_meet_rabbitmq",
        {"MESSAGES": 4, "PREFETCH": 1, "UNITS": 5}
        | {"NOWHERE": "b", "AGAIN": "b", "FIRST": "the cancellation", "TWICE": "2", "GONE": "2"},
        "(1, 3)",
    ),
]
WITH_A_SHOP = {"00", "01", "03", "04", "05", "06", "09", "12", "13"}
ELSEWHERE = {
    "02_run_out_of_stock",
    "10_run_an_experiment",
}  # see below, and tests/lab/test_sweep.py


def code_of(notebook):
    """A notebook's code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def results(notebook):
    """The text of every result of a notebook's cells."""
    return [
        out.data.get("text/plain")
        for cell in code_of(notebook)
        for out in cell.outputs
        if "data" in out
    ]


@pytest.mark.parametrize(("name", "parameters", "result"), VARIANTS, ids=lambda it: str(it)[:2])
# Papermill's own dependencies warn of what will change in theirs; that is not ours to mend.
@pytest.mark.filterwarnings("default")
def test_a_variant_runs_in_batch_to_its_bottom(broker, tmp_path, name, parameters, result):
    """A notebook does what it tells with other numbers, too, and leaves its shop to be read.

    In whichever folder it is run.
    """
    source, done, shop = NOTEBOOKS / f"{name}.ipynb", tmp_path / "done.ipynb", tmp_path / "shop"
    if name[:2] in WITH_A_SHOP:
        parameters = {**parameters, "SHOP_FOLDER": str(shop)}
    papermill.execute_notebook(
        source, done, parameters, cwd=tmp_path, progress_bar=False, kernel_manager_class=Kernel
    )
    assert result in results(nbformat.read(done, 4))
    assert_right(nbformat.read(done, 4))
    assert (shop / "audit.db").exists() == (name[:2] in WITH_A_SHOP)


def assert_right(notebook):
    """Whatever it asks was answered, and rightly."""
    marked = [cell for cell in code_of(notebook) if ".mark(" in cell.source]
    said = [cell.outputs[0].data["text/plain"] for cell in marked]
    assert [each for each in said if not each.startswith("Right: ")] == []


def test_every_notebook_has_a_variant():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == {
        name for name, *_ in VARIANTS
    } | ELSEWHERE


def test_the_line_that_the_first_notebook_gives_works(broker, tmp_path):
    """What is said of papermill there, word for word, but for where the result lies; and with
    answers to what is asked."""
    text = (NOTEBOOKS / "00_start_here.ipynb").read_text()
    (line,) = re.findall(r"\.venv/bin/papermill --cwd .*? sold_out.ipynb", text)
    _, *words, out = shlex.split(line)
    answers = ("CONFIRMED=10", "MONEY=b", "UNDO=inventory and payment", "BACK=c")
    words += [word for each in answers for word in ("-r", *each.split("=", 1))]
    command = [sys.executable, "-m", "papermill", *words, str(tmp_path / out), "--no-progress-bar"]
    subprocess.run(command, cwd=NOTEBOOKS.parent, check=True, capture_output=True)
    done = nbformat.read(tmp_path / out, 4)
    assert "insufficient stock    40" in "\n".join(filter(None, results(done)))
    assert_right(done)
