"""The notebooks: told well, and committed as they ran. Of other numbers: tests/course."""

import os
import re
from pathlib import Path

import nbformat
import papermill
import pytest
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.manager import KernelManager
from seeing import in_whose_environment

from ecom_lab.experiments.kernel import OwnSockets

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
ALL = sorted(NOTEBOOKS.glob("*.ipynb"))
COURSE = [path for path in ALL if path.name[0].isdigit()]  # each leads on to the next

OWN_MESSAGES = {"12", "13"}  # whose reader adds to a saga: events and rows are classes


def code_of(notebook):
    """A notebook's code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


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
    """Do, learn, need; parameters; questions that keep an answer and mark it; exercises with
    solutions; reading; a way on."""
    notebook = nbformat.read(path, 4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    code = "\n".join(cell.source for cell in code_of(notebook))
    assert code.count(" ask(") == code.count(".mark(") > 0
    assert "**Predict.**" not in text
    first = notebook.cells[0].source
    for part in ("# ", "**What you will do.**", "**What you will learn.**", "**What you need.**"):
        assert part in first
    parts = ("## On your own", "<details><summary>", "## Further reading")
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


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.rglob("*.ipynb")), ids=lambda path: path.stem)
def test_every_picture_in_a_notebook_has_its_words(path):
    """For those who do not see it."""
    for cell in code_of(nbformat.read(path, 4)):
        for output in cell.outputs:
            pictures = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
            assert all(output.metadata.get(kind, {}).get("alt", "").strip() for kind in pictures)
            html = str(output.get("data", {}).get("text/html", ""))
            assert html.count("<img") == len(re.findall(r'<img [^>]*\balt="[^"]', html))


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
