"""Where ecom is started: on systems and in folders that cannot have it, a sentence says so."""

import errno
import fcntl
import subprocess
import sys
import tempfile

import pandas as pd
import pytest
from click.testing import CliRunner
from helpers import steady
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

from ecom.broker.lease import BrokerUnavailable, lease
from ecom.cli.main import main
from ecom.cli.options import aligned
from ecom.errors import NotSettled, ShopError
from ecom.harness.workspace import Workspace
from ecom.shop.catalogue import order_for, unknown_products
from ecom.shop.credentials import keep_token
from ecom.stores.base import StoreUnavailable

WITHOUT = "import sys; sys.modules['fcntl'] = None; "


@pytest.mark.parametrize(
    "code",
    [
        "sys.argv = ['ecom', 'orders']; from ecom.cli.main import main; main()",
        "import runpy; sys.argv = ['x', 'run', 'true']; "
        "runpy.run_module('ecom.broker', run_name='__main__', alter_sys=True)",
        "import ecom\ntry: ecom.Shop\nexcept ImportError as error: sys.exit(str(error))",
        "import runpy; runpy.run_module('ecom_lab.demo', run_name='__main__', alter_sys=True)",
        "import sys\ntry: import ecom_lab.fixtures\nexcept ImportError as it: sys.exit(str(it))",
    ],
    ids=["the command", "the broker", "a notebook", "make run", "a test"],
)
def test_windows_is_told_about_wsl_in_one_sentence(code):
    """A child without `fcntl`, which Windows has not."""
    done = subprocess.run([sys.executable, "-c", WITHOUT + code], capture_output=True, text=True)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert "Linux and macOS, and on Windows within WSL" in sentence


def test_a_home_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    """One sentence, of the shop and of the broker, with what to do; nothing is to be deleted."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("ECOM_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.delenv("ECOM_AMQP_URL", raising=False)
    for what, error in (
        (lambda: Workspace(None, None), ShopError),
        (lambda: Workspace("tea", None), ShopError),
        (lease, BrokerUnavailable),
    ):
        with pytest.raises(error, match="ECOM_HOME") as refused:
            what()
        assert str(tmp_path / "file" / "home") in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_disk_without_locks_is_named(monkeypatch, tmp_path):
    """As some network file systems are."""

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setenv("ECOM_HOME", str(tmp_path))
    monkeypatch.delenv("ECOM_AMQP_URL", raising=False)
    for what in (lambda: Workspace(None, None), lambda: Workspace(None, tmp_path / "x"), lease):
        with pytest.raises(ShopError, match="No locks available"):
            what()


@pytest.mark.parametrize("name", ["../x", "", "a\0b", "Tea", "x" * 41, "\x1b[2J"])
@pytest.mark.parametrize("command", ["orders", "status", "down"])
def test_what_is_no_name_of_a_shop_is_refused_by_every_command(name, command):
    done = CliRunner().invoke(main, [command, "--name", name])
    assert done.exit_code == 1
    assert "is no name for a shop" in done.output
    assert "\x1b" not in done.output


@pytest.mark.parametrize("units", ["x", "-1", "1.5", "", "9" * 5_000, "²"])
def test_units_that_are_none_are_refused_by_the_command(units):
    done = CliRunner().invoke(main, ["place", "ada@example.com", f"TEAPOT={units}"])
    assert done.exit_code == 2
    assert "is not like TEAPOT=2" in done.output


def test_an_error_of_ours_is_its_sentence_in_a_notebook(capsys):
    """Not thirty lines of traceback with the sentence last."""
    shell = InteractiveShell()
    for error in (
        NotSettled("It waits for payment."),
        BrokerUnavailable("Set ECOM_HOME."),
        StoreUnavailable("The server is away."),  # of `attach(…).orders()`
    ):
        shell.user_ns["error"] = error
        shell.run_cell("raise error")
        said = capsys.readouterr()
        assert (said.out + said.err).split("\n")[0] == f"{type(error).__name__}: {error}"
        assert "Traceback" not in said.out + said.err


def test_an_unknown_product_is_named_with_its_neighbour():
    """On stderr, by `ecom place`: the shop itself may have what the catalogue has not."""
    order = order_for("a@b", {"TEAPTO": 1, "teapot": 1, "TEAPOT": 1, "zzzzzz": 1})
    assert unknown_products(order) == [
        "The catalogue has no 'TEAPTO': did you mean TEAPOT?",
        "The catalogue has no 'teapot': did you mean TEAPOT?",
        "The catalogue has no 'zzzzzz'.",
    ]


def test_a_table_in_a_terminal_has_its_texts_on_the_left_and_its_numbers_on_the_right():
    """And nothing in it moves the cursor."""
    frame = pd.DataFrame({"sku": ["KITE", "A\x1b\nB"], "units": [1, 200], "total": ["£9", "£10"]})
    assert aligned(frame, ["total"]).splitlines() == [
        "sku      units  total",
        "KITE         1     £9",
        "A\\x1b B    200    £10",
    ]


ASKED = (
    ["place"],
    ["orders"],
    ["status"],
    ["down"],
    ["dead", "list"],
    ["dead", "show"],
    ["replay"],
)
words = st.text(max_size=20) | st.sampled_from(
    [
        "--name",
        "--json",
        "--state",
        "--stock",
        "inf",
        "nan",
        "TEAPOT=1",
        "a@b",
        "\ud800",
        "tea",
        ".",
    ]
)


@steady
@given(st.sampled_from(ASKED), st.lists(words, max_size=4))
def test_whatever_is_typed_the_command_answers_in_words(command, more):
    """It ends with a status, never with a traceback; there is no shop, so nothing is done."""
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECOM_HOME", home)
        patch.setenv("ECOM_AMQP_URL", "amqp://nobody:no@127.0.0.1:1/")
        done = CliRunner().invoke(main, [*command, *more])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in (0, 1, 2)


@pytest.mark.parametrize("token", ["é" * 40, "x" * 31, "x" * 31 + " x", "x" * 40 + "\n"])
def test_a_token_that_is_none_is_refused_before_a_shop_opens(monkeypatch, tmp_path, token):
    monkeypatch.setenv("ECOM_HTTP_TOKEN", token)
    with pytest.raises(ShopError, match="ECOM_HTTP_TOKEN is no token") as refused:
        keep_token(tmp_path)
    assert token not in str(refused.value)
    assert not list(tmp_path.iterdir())
