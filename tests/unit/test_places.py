"""Where ecom is started: on systems and in folders that cannot have it, a sentence says so."""

import errno
import fcntl
import signal
import subprocess
import sys

import click
import pandas as pd
import pytest
from click.testing import CliRunner
from helpers import steady
from hypothesis import example, given, settings
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from shuffled import Shuffled

from ecom.broker.lease import BrokerUnavailable, lease
from ecom.cli.main import main
from ecom.cli.options import aligned
from ecom.errors import NotSettled, ShopError
from ecom.harness.workspace import Workspace
from ecom.shop.arguments import order_for
from ecom.shop.catalogue import unknown_products
from ecom.shop.folder import keep_token
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


@pytest.mark.parametrize(
    ("name", "value"), [("ECOM_AMQP_URL", "http://x"), ("ECOM_HOME", "/dev/null/home")]
)
def test_a_broker_that_cannot_be_had_is_a_sentence_of_the_command(name, value, monkeypatch):
    """`python -m ecom.broker run`: no traceback, and its command does not begin."""
    monkeypatch.setenv("ECOM_AMQP_URL", "")
    monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "ecom.broker", "run", "echo", "begun"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    (sentence,) = done.stderr.splitlines()
    assert name in sentence


def test_a_home_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    """One sentence, of the shop and of the broker, with what to do; nothing is to be deleted."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("ECOM_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.delenv("ECOM_AMQP_URL", raising=False)
    for what, error in (
        (lambda: Workspace(None, None), ShopError),
        (lambda: Workspace("tea", None), ShopError),
        (lease().__enter__, BrokerUnavailable),
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
    for what in (
        lambda: Workspace(None, None),
        lambda: Workspace(None, tmp_path / "x"),
        lease().__enter__,
    ):
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


def leaves(command, *path):
    """The commands that do something, each by what one types."""
    if not isinstance(command, click.Group):
        return {path: command}
    found = [leaves(each, *path, name) for name, each in command.commands.items()]
    return {path: command for some in found for path, command in some.items()}


COMMANDS = leaves(main)
# What ends commands in words that would do their work for minutes; none is a command's first error.
ENDED = {
    ("bench",): ["--against", "nowhere"],
    ("chaos",): ["no such fault"],
    ("explore",): ["--without", "nothing"],
}
# An argument is no NUL, and what is not UTF-8 comes as it is; "/" alone would be everything.
texts = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), max_size=20)
words = texts | st.sampled_from(
    ["inf", "nan", "-1", "9" * 30, "TEAPOT=1", "a@b", "1001", "down=true", "x:y", "tea", "\udcff"]
)
places = words | st.sampled_from(
    [
        "",
        ".",
        "-",
        "shop",
        "shop/order.db",
        "file",
        "file/x",
        "nowhere/x",
        "x" * 300,
        "~nobody",
    ]
)


def of_type(kind):
    """What may be typed where this is asked for: good, bad, and worse."""
    if isinstance(kind, click.Choice):
        return st.sampled_from([str(it) for it in kind.choices]) | words
    if isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
        return st.integers(-2, 6).map(str) | st.floats().map(str) | words
    return places if isinstance(kind, click.Path | click.File) else words


def typed(parameter):
    """A parameter in use, as often as it may be."""
    kinds = getattr(parameter.type, "types", [parameter.type])
    values = st.tuples(*map(of_type, kinds)).map(list)
    if isinstance(parameter, click.Argument):
        several = st.lists(values, max_size=3 if parameter.nargs < 0 else 1)
        return several.map(lambda some: [word for it in some for word in it])
    given = st.just([]) if getattr(parameter, "is_flag", False) else values
    return st.sampled_from(parameter.opts).flatmap(lambda name: given.map(lambda it: [name, *it]))


@st.composite
def lines(draw, command):
    """A line for this command: some of its parameters in any order, and perhaps a word too many."""
    chosen = draw(st.lists(st.sampled_from(command.params), max_size=6)) if command.params else []
    more = draw(st.lists(texts, max_size=1))
    return [*(word for each in chosen for word in draw(typed(each))), *more]


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A folder with a file, and a shop that is closed, whose broker is none."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "file").write_bytes(b"\xff,\0\n")
    (folder / "shop").mkdir()
    world = Shuffled(folder / "shop", seed=1)
    world.place(0, card="4242")
    world.finish()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", str(folder))
        patch.setenv("ECOM_HOME", str(folder / "home"))
        patch.setenv("ECOM_AMQP_URL", "amqp://nobody:no@127.0.0.1:1/")
        yield folder


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_whatever_is_typed_every_command_answers_in_words(closed, path):
    """It ends with a status, never with a traceback, and says why in a sentence."""

    @settings(steady, max_examples=settings().max_examples // 10)
    @given(lines(COMMANDS[path]))
    def answers(line):
        handlers = {it: signal.getsignal(it) for it in (signal.SIGTERM, signal.SIGHUP)}
        try:
            done = CliRunner().invoke(main, [*path, *line, *ENDED.get(path, [])])
        finally:
            for each in handlers.items():
                signal.signal(*each)
        if not isinstance(done.exception, SystemExit | None):
            raise done.exception
        assert done.exit_code in (0, 1, 2)
        assert done.output.strip() or done.exit_code == 0
        assert "Traceback" not in done.output

    for it in COMMANDS[path].params:
        if isinstance(it, click.Option) and isinstance(it.type, click.Path):
            answers = example([it.opts[0], ""])(answers)  # which is where we are, to pathlib
            answers = example([it.opts[0], "~nobody-here/x"])(answers)  # who has no home
    answers()


def test_a_file_that_cannot_be_is_named_by_the_command(tmp_path):
    (tmp_path / "file").touch()
    done = CliRunner().invoke(main, ["pictures", str(tmp_path / "file" / "x")])
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert f"{tmp_path / 'file' / 'x'}': Not a directory." in done.output


@pytest.mark.parametrize("token", ["é" * 40, "x" * 31, "x" * 31 + " x", "x" * 40 + "\n"])
def test_a_token_that_is_none_is_refused_before_a_shop_opens(monkeypatch, tmp_path, token):
    monkeypatch.setenv("ECOM_HTTP_TOKEN", token)
    with pytest.raises(ShopError, match="ECOM_HTTP_TOKEN is no token") as refused:
        keep_token(tmp_path)
    assert token not in str(refused.value)
    assert not list(tmp_path.iterdir())
