"""What README and CONTRIBUTING say is so: paths, links, commands, numbers, reasons."""

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import click
import pytest

from ecom.cli.main import main
from ecom_lab.simulator.shop.ablations import ALL

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
GLOSSARY = (ROOT / "docs" / "GLOSSARY.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
HEART = [
    "contract",
    "runtime",
    "services",
    "events.py",
    "stores/base.py",
    "stores/query.py",
    "stores/memory.py",
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_leads_somewhere(page):
    """Each that is our own; and no picture goes without a word for those who do not see it."""
    for bang, said, target in re.findall(r"(!?)\[([^]]*)\]\(([^)]+)\)", page.read_text()):
        assert said or not bang, target
        path, _, _ = target.partition("#")
        assert "://" in target or (page.parent / path).exists(), target


def test_every_notebook_is_in_the_table():
    named = re.findall(r"^\| \[`(\w+)`\]\(notebooks/\1\.ipynb\)", README, re.MULTILINE)
    assert named == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


def test_every_room_is_on_the_map():
    """Whatever lies in the package is named, and whatever is named is there."""
    (tree,) = re.findall(r"```\necom/\n(.+?)^ecom_lab/", README, re.DOTALL | re.MULTILINE)
    named = {
        name
        for line in tree.splitlines()
        for name in re.findall(r"([a-z_]+(?:/|\.py))", line.split("  ", 2)[1])
    }
    named |= {"settings.py", "errors.py"}
    inside = {
        path.name + "/" * path.is_dir()
        for path in (ROOT / "ecom").iterdir()
        if path.name[0] not in "_."
    }
    assert named == inside


def test_every_term_of_the_glossary_has_a_room():
    """One that is there."""
    rows = re.findall(r"^\| (?!term|---)(.+?) \| .+ \| (.+?) \|$", GLOSSARY, re.MULTILINE)
    assert len(rows) > 40
    for term, rooms in rows:
        for room in re.findall(r"`([^`]+)`", rooms):
            assert (ROOT / room).exists(), f"{term}: {room}"


def commands():
    """Each `ecom …` that README shows, in a line or in a text."""
    lines = re.findall(r"^(ecom [^#\n]+)", README, re.MULTILINE)
    return sorted({line.strip() for line in lines + re.findall(r"`(ecom [^`]+)`", README)})


@pytest.mark.parametrize("line", commands())
def test_every_command_could_be_typed_as_it_stands(line):
    """There is such a command; and if arguments are shown, it takes them."""
    command, words = main, shlex.split(line)[1:]
    while words and isinstance(command, click.Group) and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    assert command is not main or words == ["--help"]
    if words and command is not main:
        command.make_context("ecom", words)


def test_every_target_of_make_is_there():
    there = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:^|`)make (\w+)", README, re.MULTILINE)) <= set(there)


def test_the_lines_for_a_notebook_do_what_they_say(broker, monkeypatch):
    """Typed as they stand: the order goes through, and the books balance."""
    (lines,) = re.findall(r"```python\n(.+?)```", README, re.DOTALL)
    monkeypatch.setenv("ECOM_AMQP_URL", broker)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(lines, {})
    assert "order.confirmed" in said.getvalue()
    assert "Good news" in said.getvalue()
    assert "balanced: 1 orders, 1 confirmed" in said.getvalue()


def test_the_numbers_are_true():
    """How much there is to read, to the nearest thousand lines; how many ways to build it wrong."""
    places = [ROOT / "ecom" / name for name in HEART]
    files = [
        file for place in places for file in (place.glob("*.py") if place.is_dir() else [place])
    ]
    lines = sum(len(path.read_text().splitlines()) for path in files)
    assert f"{round(lines, -3):,} lines" in README
    assert f"{len(ALL)} ways to build it wrong" in README


def test_each_dependency_has_its_reason():
    """All that requirements and package.json ask for is in a table of CONTRIBUTING, and no more."""
    told = re.findall(r"^\| (.+?) \| .+ \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    named = {name for row in told for name in row.split(", ")} - {"package"}
    wanted = json.loads((ROOT / "tests/clients/package.json").read_text())["dependencies"].keys()
    for name in ("requirements.in", "requirements-test.in", "requirements-book.in"):
        text = (ROOT / name).read_text()
        wanted |= set(re.findall(r"^([\w-]+)", text, re.MULTILINE))
    assert named == wanted
