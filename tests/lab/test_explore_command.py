"""`ecom explore`, as a program and as a person would use it."""

import json

import pytest
from click.testing import CliRunner

from ecom.cli.main import main
from ecom_lab.simulator.command import BEYOND, foretold
from ecom_lab.simulator.shop.ablations import BY_NAME
from ecom_lab.simulator.shop.orchestrated import ABLATIONS


def run(*arguments):
    """Exit status and output."""
    result = CliRunner().invoke(main, ["explore", "--workers", "1", *arguments])
    return result.exit_code, result.output


def test_the_real_shop_passes():
    """Exit status 0; the last line is one object with the numbers."""
    status, output = run("--orders", "1", "--faults", "0", "--json")
    numbers = json.loads(output.splitlines()[-1])
    assert status == 0
    assert numbers["violations"] == []
    assert numbers["states"] > 3_000
    assert numbers["transitions"] > numbers["states"]
    assert {"seconds", "crash_points"} <= numbers.keys()


def test_without_a_safeguard_the_story_is_told():
    """Exit status 1, the steps in words, and the trace in the last line."""
    status, output = run("--without", "tombstone-payment", "--json")
    numbers = json.loads(output.splitlines()[-1])
    assert status == 1
    assert "payment handles order.cancelled of order 1001" in output
    assert "lost: 12.5 pounds, 0 units" in output
    assert len(numbers["trace"]) == numbers["violations"][0]["steps"]


def test_the_shop_with_a_coordinator_is_explored_by_the_same_command():
    """As it is, and without one of its own safeguards."""
    status, output = run("--saga", "orchestration", "--orders", "1", "--faults", "0")
    assert (status, "No promise was violated." in output) == (0, True)
    status, output = run("--without", "undo-untold")
    assert status == 1
    assert "coordinator handles order.created of order 1001" in output


def test_a_safeguard_can_be_missed_in_a_world_of_choice():
    """With --orders and --faults, that world is explored instead."""
    status, output = run("--without", "stock-check", "--orders", "1", "--faults", "0")
    assert (status, "No promise was violated." in output) == (0, True)
    assert run("--without", "stock-check", "--orders", "2", "--faults", "0")[0] == 1


def test_walks_find_it_too():
    """At random, with a seed that can be given again."""
    status, output = run("--walks", "200", "--orders", "3", "--without", "tombstone-payment")
    assert status == 1
    assert "(seed " in output
    status, output = run("--walks", "20", "--without", "last-only")  # the coordinator's
    assert status == 1
    assert "(seed " in output


def test_the_list_names_every_safeguard():
    """With what happens without it."""
    status, output = run("--list")
    assert status == 0
    assert len(output.splitlines()) == len({*BY_NAME, *(it.name for it in ABLATIONS)})
    assert len(BY_NAME.keys() & {it.name for it in ABLATIONS}) == 0


@pytest.mark.parametrize(
    "option", [("--orders", "0"), ("--faults", "-1"), ("--walks", "-1"), ("--workers", "0")]
)
def test_nothing_is_not_explored(option):
    """No promise is said to hold in a world without orders; no traceback for less than that."""
    status, output = run(*option)
    assert status == 2
    assert f"Invalid value for '{option[0]}'" in output


def test_what_takes_long_is_said_before_it_starts():
    """By what it has taken before; nothing is said of what is over in seconds."""
    assert foretold(1, 1) == ""
    assert foretold(2, 2) == "4 million states, 4 minutes, 1.1 GiB"
    assert foretold(3, 1) == foretold(2, 3) == BEYOND
    assert "To expect" not in run("--orders", "1", "--faults", "0")[1]


def test_an_unknown_safeguard_is_one_sentence():
    """That says what to do."""
    status, output = run("--without", "luck")
    assert status == 2
    assert "`ecom explore --list` has them" in output
