"""The notebooks: told well, committed as they ran, and as true of other numbers as of their own."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.manager import KernelManager
from seeing import in_whose_environment

from ecom_lab.experiments.kernel import Kernel, OwnSockets

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
ALL = sorted(NOTEBOOKS.glob("*.ipynb"))
COURSE = [path for path in ALL if path.name[0].isdigit()]  # each leads on to the next

# Notebook, small parameters, and a result that it must then show.
VARIANTS = [
    (
        "00_start_here",
        {"CUSTOMER": "ada@example.com", "SKU": "ATLAS", "TOO_MANY": 3}
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
        "(3815, 7020, 429)",
    ),
    (
        "09_kill_the_processes",
        {"ORDERS": 10, "SEED": 2, "STATE": "b", "STILL": "a"},
        "balanced: 60 orders, 60 confirmed, 0 cancelled, £150.00 captured and kept",
    ),
    (
        "12_choreograph_or_orchestrate",
        {"SKU": "GLOBE", "STOCK": 4, "FAULTS": 0},
        "balanced: 2 orders, 1 confirmed, 1 cancelled, £64.00 captured and kept",
    ),
    (
        "13_change_a_running_saga",
        {"SKU": "GLOBE", "STOCK": 6},
        "balanced: 3 orders, 3 confirmed, 0 cancelled, £192.00 captured and kept",
    ),
    ("14_bring_your_own", {"CITY": "Oslo", "TRIPS": 3}, "The books balance."),
    ("r0_meet_rabbitmq", {"MESSAGES": 4, "PREFETCH": 1, "UNITS": 5}, "(1, 3)"),
]
WITH_A_SHOP = {"00", "01", "03", "04", "05", "06", "09", "12", "13"}
OWN_MESSAGES = {"12", "13"}  # whose reader adds to a saga: events and rows are classes
ELSEWHERE = {"02_run_out_of_stock", "10_run_an_experiment"}  # see below, and test_sweep.py


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
    assert {path.stem for path in ALL} == {name for name, *_ in VARIANTS} | ELSEWHERE


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


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_parameters_have_types_that_papermill_can_tell(path):
    """But for those with no simple type: a folder or none, a list."""
    found = papermill.inspect_notebook(path)
    untyped = {name for name, each in found.items() if each["inferred_type_name"] == "None"}
    assert found
    assert untyped <= {"SHOP_FOLDER", "KINDS"}


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebook_is_committed_as_it_ran(path):
    """Cells numbered 1..n from a fresh kernel, with outputs: else nbval would compare nothing."""
    cells = code_of(nbformat.read(path, 4))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell.outputs) for cell in cells) > len(cells) / 3
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [each for each in outputs if each.output_type == "error"]
    assert not [each for each in outputs if each.get("name") == "stderr"]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebook_is_told_as_the_others_are(path):
    """Do, learn, need; parameters; predict, or be asked; exercises with solutions; reading; a way
    on."""
    notebook = nbformat.read(path, 4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    if any("ask(" in cell.source for cell in code_of(notebook)):
        text += "**Predict.**"
    first = notebook.cells[0].source
    for part in ("# ", "**What you will do.**", "**What you will learn.**", "**What you need.**"):
        assert part in first
    parts = ("**Predict.**", "## On your own", "<details><summary>", "## Further reading")
    assert [part for part in parts if part not in text] == []
    tagged = [cell for cell in code_of(notebook) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert path not in COURSE[:-1] or f"**Next:** [{title_after(path)}](" in text


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebook_is_committed_as_jupyterlab_would_save_it(path):
    """To open or save one unchanged changes nothing, but for the version of another Python."""
    notebook = nbformat.read(path, 4)
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    assert notebook.metadata.kernelspec == kernel
    assert kernel.items() - {("name", "python3")} <= get_kernel_dict().items()
    language = IPythonKernel.language_info | {"version": notebook.metadata.language_info.version}
    assert notebook.metadata.language_info == language
    assert re.fullmatch(r"3\.\d+\.\d+", language["version"])
    assert path.read_text(encoding="utf-8") == nbformat.writes(notebook) + "\n"


def title_after(path):
    """The title of the notebook that follows."""
    return nbformat.read(COURSE[COURSE.index(path) + 1], 4).cells[0].source.splitlines()[0][2:]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebooks_cells_are_short_and_its_links_lead_somewhere(path):
    """One idea a cell, no shell, no classes; a link to a notebook leads to one that is there."""
    notebook = nbformat.read(path, 4)
    unwanted = r"^\s*(!|%|from \S+ import \*|.*sys\.path"
    unwanted += ")" if path.name[:2] in OWN_MESSAGES else "|class )"
    for cell in code_of(notebook):
        assert len(cell.source.splitlines()) <= 15
        assert not re.search(unwanted, cell.source, re.M)
    text = "\n".join(cell.source for cell in notebook.cells)
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert [each for each in linked if not (NOTEBOOKS / each).exists()] == []


class Blocking(OwnSockets, KernelManager):
    """One that a test can speak to."""


def test_kernels_side_by_side_cannot_take_each_others_addresses():
    """Not one TCP port, which any connection could take first; and nothing is left."""
    managers = [Blocking(), Blocking()]
    for manager in managers:
        manager.start_kernel(cwd=NOTEBOOKS)
    for manager in managers:
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        assert len(sockets(manager)) == 5
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
    assert not any(sockets(manager) for manager in managers)


def sockets(manager):
    """What a kernel is spoken to over."""
    path = Path(manager.ip)
    return list(path.parent.glob(f"{path.name}-*"))


def test_a_kernel_that_is_restarted_leaves_no_process_behind(wait_for):
    """With a shop open on a broker of its own: all of that ends by itself when the kernel does."""
    mark = "TESTED_KERNEL", os.urandom(8).hex()
    manager = Blocking()
    manager.start_kernel(env=os.environ | dict([mark]))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        cells = code_of(nbformat.read(NOTEBOOKS / "09_kill_the_processes.ipynb", 4))
        for cell in cells[:4]:
            answer = client.execute_interactive(cell.source, timeout=60, output_hook=lambda _: None)
            assert answer["content"]["status"] == "ok"
        assert any("beam.smp" in str(each) for each in in_whose_environment(*mark))
        assert len(in_whose_environment(*mark)) > 10
        manager.restart_kernel(now=True)
        wait_for(lambda: len(in_whose_environment(*mark)) == 1)  # the new kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
