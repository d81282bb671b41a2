"""The `ecom` command as a user meets it: in a terminal, or read by a program."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from ecom import Shop
from ecom.bus import remove_topology
from ecom.cli.dead import dead
from ecom.cli.main import MAP, main
from ecom_lab.shop import CONTRACT

ECOM = [sys.executable, "-m", "ecom.cli"]
NAME = f"cli-{os.getpid()}"  # of the shop: other tests of this file may run beside this one


@pytest.fixture
def environment(broker, tmp_path):
    """A home of its own, on the session's broker."""
    return {**os.environ, "ECOM_AMQP_URL": broker, "ECOM_HOME": str(tmp_path / "a home")}


@pytest.fixture
def ecom(environment):
    """Run the command to its end; its result. What is not meant for users is raised."""

    def run(*arguments):
        result = CliRunner().invoke(main, arguments, env=environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result
        return result

    return run


@pytest.fixture
def up(environment, request):
    """A shop kept by `ecom up`, with options if it is given any; closed and forgotten by the broker
    after the test."""
    options = getattr(request, "param", [])
    keeper = subprocess.Popen(
        [*ECOM, "up", "--name", NAME, *options],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with keeper:
        assert "running" in keeper.stdout.readline()
        yield keeper
        if keeper.poll() is None:
            keeper.send_signal(signal.SIGINT)
        keeper.communicate(timeout=30)
    remove_topology(CONTRACT, environment["ECOM_AMQP_URL"], NAME)


def test_a_shop_in_the_terminal(ecom, up, wait_for):
    """up, place, orders, status, down: each says what a user or a program needs."""
    name = ("--name", NAME)
    assert json.loads(ecom("place", "ada@example.com", "MOON=2", *name, "--json").stdout) == {
        "order_id": "1001"
    }
    assert ecom("place", "ada@example.com", "KITE=1", *name).stdout == "Order 1002 is accepted.\n"
    status = json.loads(ecom("status", *name, "--json").stdout)
    assert status["open"]
    assert all(service["pid"] for service in status["services"].values())
    assert "order" in ecom("status", *name).stdout
    assert "is open in process" in ecom("up", *name).stderr
    orders = json.loads(ecom("orders", *name, "--json").stdout)
    cancelled = lambda: ecom("orders", *name, "--state", "cancelled").stdout  # noqa: E731
    wait_for(lambda: "2 × MOON  £1,998.00" in cancelled())
    assert [order["order_id"] for order in orders] == ["1001", "1002"]
    assert orders[0]["lines"] == [{"sku": "MOON", "quantity": 2, "unit_price": 99900}]
    assert ecom("down", *name).stdout == f"Shop '{NAME}' is closed.\n"
    assert up.wait(20) == 0
    assert json.loads(ecom("status", *name, "--json").stdout)["services"]["audit"]["pid"] is None
    assert "takes no orders now" in ecom("place", "ada@example.com", "KITE=1", *name).stderr


def test_the_command_does_all_that_a_shop_can(ecom, up):
    """What was told, what is on the shelves, what went wrong on purpose, and how it all ended."""
    name = ("--name", NAME)
    shelves = json.loads(ecom("stock", "BOAT=3", *name, "--json").stdout)
    assert [shelf["available"] for shelf in shelves if shelf["sku"] == "BOAT"] == [3]
    assert "BOAT is on the shelves already" in ecom("stock", "BOAT=1", *name).stderr
    placed = ecom("place", "ada@example.com", "BOAT=2", "--wait", *name)
    assert (placed.exit_code, placed.stdout) == (0, "Order 1001 is CONFIRMED.\n")
    failed = ecom("place", "ada@example.com", "BOAT=2", "--wait", *name)
    assert failed.stdout == "Order 1002 is CANCELLED: insufficient stock.\n"
    assert failed.exit_code == 1
    assert ecom("gateway", "down=true", *name).stdout == "From now on: down=true.\n"
    assert "knows no fault 'dwon'" in ecom("gateway", "dwon=true", *name).stderr
    assert json.loads(ecom("place", "ada@example.com", "KITE=1", *name, "--json").stdout)
    books = ecom("books", *name)
    assert "order 1003 is PENDING but still under way" in books.stdout
    assert books.exit_code == 1
    assert ecom("cancel", "1003", *name).stdout == "Order 1003 will be undone.\n"
    assert ecom("gateway", *name).stdout == "From now on: all is well.\n"
    assert "order.created" in ecom("history", "1001", *name).stdout
    assert "no order '77'" in ecom("history", "77", *name).stderr
    events = json.loads(ecom("events", "--order", "1002", *name, "--json").stdout)
    assert events[0]["type"] == "order.created"
    assert "KITE" in ecom("catalogue").stdout
    assert "Cancelled" in ecom("emails", "--order", "1002", *name).stdout


def test_a_shop_is_found_by_its_folder_or_without_the_brokers_address(broker, tmp_path):
    """One that was opened by its folder alone; from a terminal that knows nothing else of it."""

    def ecom(*arguments):
        place = ["--folder", str(tmp_path / "x")]
        return CliRunner().invoke(main, [*arguments, *place], env={"ECOM_AMQP_URL": None})

    assert f"no shop in {tmp_path / 'x'}" in ecom("orders").stderr
    with Shop({"KITE": 2}, folder=tmp_path / "x", amqp_url=broker) as shop:
        assert "CONFIRMED" in ecom("place", "ada@example.com", "KITE=1", "--wait").stdout
        shop.place("nobody@bounce.example", {"KITE": 1})
        shop.settle()
        assert "nobody" in ecom("dead", "list", "--json").stdout
        assert json.loads(ecom("status", "--json").stdout)["services"]["notification"]["dead"] == 1


def test_a_service_that_dies_under_ecom_up_is_started_again(ecom, up, wait_for):
    """`ecom up` says which one died, and has another running at once."""
    status = json.loads(ecom("status", "--name", NAME, "--json").stdout)
    died = status["services"]["payment"]["pid"]
    os.kill(died, signal.SIGKILL)

    def replaced():
        status = json.loads(ecom("status", "--name", NAME, "--json").stdout)
        return status["services"]["payment"]["pid"] not in (None, died)

    wait_for(replaced)
    ecom("down", "--name", NAME)
    said = up.stderr.read()
    assert "payment ended by SIGKILL, though nobody asked it to; it is started again." in said
    assert "shop.start" not in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["orders"], "There is no shop 'ecom' yet: `ecom up` opens it."),
        (["status"], "There is no shop 'ecom' yet: `ecom up` opens it."),
        (["place", "ada@example.com", "KITE=1"], "`ecom up` opens it."),
        (["place", "ada@example.com", "KITE"], "'KITE' is not like TEAPOT=2"),
        (["up", "--name", "No Name"], "'No Name' is no name for a shop"),
        (["up", "--name", ""], "'' is no name for a shop"),
        (["replay", "nowhere.csv"], "cannot be read as CSV: No such file or directory.\n"),
        (["replay", "x.csv", "--stock", "-1"], "--stock"),
    ],
)
def test_a_users_mistake_gets_one_sentence(ecom, arguments, says):
    """What to do, on stderr, with a bad exit status, and never a traceback."""
    result = ecom(*arguments)
    assert result.exit_code != 0
    assert says in result.stderr


@pytest.mark.parametrize("up", [["--stock", "KITE=1", "--hold-seconds", "0.2"]], indirect=True)
def test_a_shop_is_opened_with_its_shelves_and_how_long_it_holds_them(ecom, up):
    """As `Shop` is: what it sells, and from when on stock is nobody's again."""
    name = ("--name", NAME)
    (shelf,) = json.loads(ecom("stock", *name, "--json").stdout)
    assert (shelf["sku"], shelf["available"]) == ("KITE", 1)
    ecom("gateway", "down=true", *name)
    expired = ecom("place", "ada@example.com", "KITE=1", "--wait", *name)
    assert expired.stdout == "Order 1001 is CANCELLED: hold expired.\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_completes_commands_is_a_program_of_the_shell(ecom, shell):
    """And each command tells its help under the short name, too."""
    said = ecom("completion", shell).stdout
    assert "_ECOM_COMPLETE" in said
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=said, text=True, check=True)
    for command in main.commands:
        assert ecom(command, "-h").stdout == ecom(command, "--help").stdout


def test_down_without_a_shop_is_harmless(ecom):
    """Nothing to close: said, with a good exit status."""
    result = ecom("down")
    assert (result.exit_code, result.stdout) == (0, "Shop 'ecom' is not open.\n")


def test_help_is_the_map():
    """Every command is on it once, and each of them, and of theirs, says in whole what it does."""
    assert sorted(name for names in MAP.values() for name in names) == sorted(main.commands)
    for path in ([], ["dead"]):
        text = " ".join(CliRunner().invoke(main, [*path, "--help"]).output.split())
        for name, command in (dead if path else main).commands.items():
            told = command.get_short_help_str(120)
            assert told.endswith("."), told
            assert not told.endswith("..."), told
            assert f" {name} {told}" in text
            help_ = CliRunner().invoke(main, [*path, name, "--help"]).output
            assert help_.startswith(f"Usage: {' '.join(['main', *path, name])} [OPTIONS]")


def test_replay_ends_with_one_json_object(ecom, tmp_path):
    """With --json the last line is the report, for programs; stdout has nothing else."""
    header = "InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID\n"
    rows = [f"{n},KITE,1,2010-12-01 08:26:00,1.50,17850\n" for n in range(1, 11)]
    (tmp_path / "orders.csv").write_text(header + "".join(rows))
    result = ecom("replay", str(tmp_path / "orders.csv"), "--stock", "0.5", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["orders"], report["confirmed"], report["cancelled"]) == (10, 5, 5)
    assert report["skipped"] == {}
    assert report["books"] == "balanced"
    assert report["orders_per_second"] > 0
