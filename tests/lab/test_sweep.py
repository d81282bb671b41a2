"""Sweeps: every combination once, whatever dies on the way; a file and a page of what it was."""

import html
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_notebook
from seeing import is_there
from sqlite_utils import Database

from ecom.cli.main import main
from ecom.errors import ShopError
from ecom_lab.experiments import COLUMNS, results
from ecom_lab.experiments.notebook import read
from ecom_lab.experiments.worker import recorded

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
EXPERIMENT = NOTEBOOKS / "10_run_an_experiment.ipynb"
PARAMETERS = """\
N: int = 1  # how many
RATE: float = 0.5
LOUD: bool = False
NAME: str = 'ada'
SEED: int = 0
"""
RESULT = "from IPython.display import JSON\nJSON({'double': 2 * N, 'half': RATE / 2})"
METADATA = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


@pytest.fixture
def notebook(tmp_path):
    """Write a small notebook of these cells, the first its parameters; its path."""

    def write(*sources, parameters=PARAMETERS):
        cells = [new_code_cell(source) for source in (parameters, *sources)]
        cells[0].metadata["tags"] = ["parameters"]
        nbformat.write(new_notebook(cells=cells, metadata=METADATA), tmp_path / "small {1}.ipynb")
        return tmp_path / "small {1}.ipynb"

    return write


@pytest.fixture
def command(broker, tmp_path):
    """The words of `ecom sweep` with these arguments, and where and how it is run."""

    def words(*arguments):
        return {
            "args": [sys.executable, "-m", "ecom.cli", "sweep", *map(str, arguments)],
            "env": {**os.environ, "ECOM_AMQP_URL": broker},
            "cwd": tmp_path,
            "text": True,
        }

    return words


@pytest.fixture
def sweep(command):
    """Run `ecom sweep` to its end; its result."""
    return lambda *arguments: subprocess.run(
        **command(*arguments), capture_output=True, timeout=240
    )


@pytest.fixture
def interrupted(command, wait_for, tmp_path):
    """Begin `ecom sweep`, end it by a signal when the third run is under way; how it ended."""

    def interrupt(number, *arguments):
        with subprocess.Popen(**command(*arguments), stdout=-1, stderr=-1) as begun:
            try:
                wait_for(lambda: ended(tmp_path) == {1, 2} and (tmp_path / "waits").exists(), 120)
                begun.send_signal(number)
                _, told = begun.communicate(timeout=120)
            finally:
                begun.kill()
        kernel = (tmp_path / "waits").read_text()
        wait_for(lambda: not is_there(kernel), 60)
        (tmp_path / "waits").unlink()
        return begun.returncode, told

    return interrupt


def ended(folder):
    """Which values of N the file of results has."""
    try:
        return set(results(folder / "all/results.db").N)
    except (ShopError, AttributeError):  # not made yet, or without a row
        return set()


COUNTS = "open(f'ran {N}', 'a').write('.')"
FAILS = "assert N != 2, 'no twos <here>'"
WAITS = """\
import os, time
if N == 3:
    with open('waits.new', 'w') as file:
        file.write(str(os.getpid()))
    os.rename('waits.new', 'waits')
while N == 3 and not os.path.exists('go on'):
    time.sleep(0.02)
"""
KILLS = "import os\nif N == 1: os.kill(os.getppid(), 9)"
FAILED = "Failed with N=2: AssertionError: no twos <here>\n"


def test_a_sweep_runs_each_combination_once_whatever_dies(notebook, sweep, interrupted, tmp_path):
    """What is done is never run again, through Ctrl-C and SIGKILL; a failure stops nobody.

    What was under way dies with the sweep and is run again; a failed run is told with its
    parameters, and tried again; the exit status is 1.
    """
    order = (notebook(COUNTS, FAILS, WAITS, RESULT), "-p", "N", "1,2,3", "--into", "all/results.db")
    stopped = "Interrupted. The same command goes on where it was.\n"
    assert interrupted(signal.SIGINT, *order) == (130, FAILED + stopped)
    assert interrupted(signal.SIGKILL, *order)[0] == -signal.SIGKILL
    (tmp_path / "go on").touch()
    done = sweep(*order)
    assert done.stdout == "2 of 3 runs done. Results: all/results.db; report: all/results.html.\n"
    assert (done.returncode, done.stderr) == (1, FAILED)
    assert [len((tmp_path / f"ran {n}").read_text()) for n in (1, 3)] == [1, 3]
    check_database(tmp_path / "all/results.db")
    check_report((tmp_path / "all/results.html").read_text(), order)


def test_a_run_whose_process_is_killed_fails_alone(notebook, sweep, tmp_path):
    """As by a machine that is out of memory: the other runs are done."""
    done = sweep(notebook(KILLS, RESULT), "-p", "N", "1,2")
    assert (done.returncode, done.stderr) == (1, "Failed with N=1: its process ended by SIGKILL\n")
    assert results(tmp_path / "results.db").status.tolist() == ["failed", "done"]


def check_database(path):
    """One table, a column for each parameter and each result: plain SQLite, as frame the same."""
    columns = Database(path)["runs"].columns_dict
    assert columns == {
        **COLUMNS,
        "N": int,
        "RATE": float,
        "LOUD": int,
        "NAME": str,
        "SEED": int,
        "double": int,
        "half": float,
    }
    frame = results(path)
    assert list(frame.columns) == list(columns)
    assert frame.status.tolist() == ["done", "failed", "done"]
    assert frame.double.dropna().tolist() == [2, 6]
    assert frame.error.tolist()[1] == "AssertionError: no twos <here>"
    assert (frame.seconds > 0).all()


def check_report(page, order):
    """Self-contained, and says which parameters, what failed and how to repeat it."""
    page = re.sub(r">\s+<", "><", page)
    assert not re.findall(r"""(?:src|href)=["'](?!data:)|<script|@import""", page)
    pictures = re.findall(r'<img src="data:image/svg\+xml;base64,[^"]+" alt="([^"]+)"', page)
    assert any("Means at each N: 1: double 2; 3: double 6" in alt for alt in pictures)
    assert "<td>N</td><td>1, 2, 3</td><td>how many</td>" in page
    assert "<td>RATE</td><td>0.5</td>" in page  # as it was, though nobody swept it
    assert "<h1>Sweep of small {1} over N</h1>" in page
    assert "<li>N=2: AssertionError: no twos &lt;here&gt;</li>" in page
    assert html.escape(shlex.join(["ecom", "sweep", *map(str, order)])) in page


def test_a_real_experiment_is_swept_in_shops_of_its_own(sweep, tmp_path):
    """Notebook 10 with other parameters, in another folder: kills and failures; books balance."""
    notebook = shutil.copy(EXPERIMENT, tmp_path)
    given = {"ORDERS": 12, "KILL_INTERVAL": 0.1, "GATEWAY_FAILURE_RATE": 0.3, "HOLD_SECONDS": 5}
    words = [word for name, value in given.items() for word in ("-p", name, value)]
    done = sweep(notebook, *words, "--seeds", "1", "--into", "it.db")
    assert (done.returncode, done.stderr) == (0, "")
    row = results(tmp_path / "it.db").iloc[0]
    assert row.balanced == 1
    assert row.confirmed + row.lost_sales == row.ORDERS == 12
    assert row.lost_sales == row.out_of_stock + row.declined + row.expired
    assert row.retries > 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([("M", "1")], "small {1}.ipynb has no parameter 'M'; it has: N, RATE, LOUD, NAME, SEED."),
        ([("N", "1,1.5")], "N takes values of type int, not '1.5'."),
        ([("RATE", "nan")], "RATE takes values of type float, not 'nan'."),
        ([("LOUD", "maybe")], "LOUD takes values of type bool, not 'maybe'."),
        ([("N", "")], "N takes values of type int, not ''."),
        ([("N", "1"), ("N", "2")], "N is given twice: put all its values into one list."),
    ],
)
def test_what_cannot_be_swept_is_refused_in_one_sentence(notebook, given, said):
    with pytest.raises(ShopError, match=f"^{re.escape(said)}$"):
        read(notebook(RESULT)).axes(given, seeds=0)


def test_a_refusal_reaches_the_terminal_and_runs_nothing(tmp_path):
    """No traceback, exit status 1, and no file is made."""
    into = tmp_path / "results.db"
    done = CliRunner().invoke(main, ["sweep", "none.ipynb", "-p", "N", "1", "--into", str(into)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "Error: There is no notebook none.ipynb: No such file or directory.\n"
    assert not into.exists()


def test_a_file_that_is_no_notebook_or_has_no_parameters_is_refused(tmp_path):
    (tmp_path / "a.ipynb").write_text("once upon a time")
    with pytest.raises(ShopError, match="is no notebook"):
        read(tmp_path / "a.ipynb")
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), tmp_path / "b.ipynb")
    with pytest.raises(ShopError, match="nothing to vary"):
        read(tmp_path / "b.ipynb")


def test_a_run_is_known_by_its_code_and_all_its_parameters(notebook):
    """A default that is given is no other run; other code is; other prose or outputs are not."""

    def keys(swept, *given):
        return {run.key for run in swept.runs(swept.axes(given, seeds=2))}

    swept = read(notebook(RESULT))
    assert len(keys(swept, ("N", "1,2,2"))) == 4
    assert keys(swept) == keys(swept, ("N", "1"), ("LOUD", "False"))
    assert not keys(swept) & keys(read(notebook("1", RESULT)))
    swept.node.cells[1].outputs = []
    swept.node.cells.append(nbformat.v4.new_markdown_cell("Once upon a time."))
    nbformat.write(swept.node, swept.path)
    assert keys(swept) == keys(read(swept.path))


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ({}, "shows no results"),
        ({"rate": 1}, "'rate' has the name of a parameter"),
        ({"list": [1]}, "'list' is no number, text or truth"),
    ],
)
def test_results_that_fit_no_column_fail_the_run(shown, said):
    """With a sentence, not silently without them."""
    output = nbformat.v4.new_output("display_data", {"application/json": shown})
    cell = new_code_cell("…", outputs=[output])
    with pytest.raises(ShopError, match=said):
        recorded(new_notebook(cells=[cell]), {"RATE"})
