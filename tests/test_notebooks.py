"""The notebooks in batch: other parameters than the committed ones, run by papermill."""

from pathlib import Path

import nbformat
import pytest
from papermill import execute_notebook

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"

# Notebook, small parameters, and what its books must then say.
VARIANTS = [
    ("01_place_an_order", {"SKU": "YOYO", "QUANTITY": 1, "ORDERS": 3},
     "balanced: 4 orders, 4 confirmed, 0 cancelled, £12.92 captured and kept"),
    ("02_run_out_of_stock", {"STOCK": 1, "BUYERS": 2, "PRICE": 100},
     "balanced: 3 orders, 0 confirmed, 3 cancelled, £0.00 captured and kept"),
    ("03_pay_and_refund", {"PRICE": 100, "ORDERS": 5, "FAIL_BEFORE": 0.3, "SEED": 1},
     "balanced: 8 orders, 7 confirmed, 1 cancelled, £7.00 captured and kept"),
    ("04_let_a_hold_expire", {"HOLD_SECONDS": 0.5, "PRICE": 100},
     "balanced: 3 orders, 0 confirmed, 3 cancelled, £0.00 captured and kept"),
]  # fmt: skip


def outputs(notebook):
    """The text of every result of a notebook's cells."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [out.data.get("text/plain") for cell in cells for out in cell.outputs if "data" in out]


@pytest.mark.parametrize(("name", "parameters", "books"), VARIANTS)
# Papermill's own dependencies warn of what will change in theirs; that is not ours to mend.
@pytest.mark.filterwarnings("default")
def test_a_variant_runs_in_batch_and_its_books_say(broker, tmp_path, name, parameters, books):
    """A notebook does what it tells with other numbers, too, and leaves its shop to be read."""
    parameters |= {"SHOP_FOLDER": str(tmp_path / "shop")}
    source, done = NOTEBOOKS / f"{name}.ipynb", tmp_path / "done.ipynb"
    execute_notebook(source, done, parameters, cwd=NOTEBOOKS, progress_bar=False)
    assert books in outputs(nbformat.read(done, 4))
    assert (tmp_path / "shop" / "audit.db").exists()


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_committed_as_it_ran(path):
    """Cells numbered 1..n from a fresh kernel, with outputs: else nbval would compare nothing."""
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any("parameters" in cell.metadata.get("tags", []) for cell in cells)
    assert any(cell.outputs for cell in cells)
