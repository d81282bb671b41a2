"""What `lint-imports` cannot see: what the heart calls, what is loaded, how much there is."""

import ast
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import walk_packages

import pytest

import benchmarks
import ecom
import ecom_lab

ROOT = Path(ecom.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
HEART = [
    path
    for room in ("contract", "runtime", "services", "sagas")
    for path in sorted((ROOT / room).rglob("*.py"))
] + [ROOT / "events.py", *(ROOT / "stores" / f"{name}.py" for name in ("base", "memory", "query"))]


def called(path: Path) -> set[str]:
    """The names of all that is called, e.g. `open` and `datetime.now`."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}


@pytest.mark.parametrize("path", HEART, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_heart_asks_neither_clock_nor_chance_nor_file(path):
    """A handler may run again, in any order there is, in a process or in the simulator."""
    names = called(path)
    assert "open" not in names
    assert not {name.split(".")[-1] for name in names} & {"now", "utcnow", "today", "uuid4"}


LAB = sorted(Path(ecom_lab.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", [*FILES, *LAB], ids=lambda path: path.stem)
def test_what_is_on_this_machine_is_asked_by_one_kind_of_client(path):
    """The one that needs no proxy for it, whatever the environment says."""
    if path != ROOT / "broker" / "management.py":
        assert not {name for name in called(path) if name.startswith("httpx.")}


def test_every_module_can_be_imported():
    """Also those that only a command needs: a name that has moved is missed nowhere."""
    for package in (ecom, ecom_lab, benchmarks):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)


def loaded_by(statement: str) -> set[str]:
    """The modules that are loaded when a fresh interpreter has run the statement."""
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "without"),
    [
        ("import ecom", {"pandas", "pika", "fastapi", "sqlite_utils", "msgspec"}),
        (
            "import ecom.process.driver",
            {"pandas", "fastapi", "sqlite_utils", "matplotlib", "httpx"},
        ),
        (
            "import ecom.runtime.runtime, ecom.services, ecom.stores.memory",
            {"pika", "asyncio", "pandas"},
        ),
    ],
)
def test_what_is_not_needed_is_not_loaded(statement, without):
    """Each process of a shop starts the faster for it; and the core can be lifted out alone."""
    assert not loaded_by(statement) & without


def test_the_heart_can_be_read_in_an_afternoon():
    """At most 3,669 lines, whatever else of `ecom` it imports among them, in both styles."""
    names = [".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in HEART]
    loaded = loaded_by(f"import {', '.join(names)}")
    files = {find_spec(name).origin for name in loaded if name.startswith("ecom.")}
    assert len(files) > 20
    assert sum(len(Path(file).read_text().splitlines()) for file in files) <= 3669


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_room_fits_a_screen_or_five(path):
    """A file is one idea, of about 250 lines, and says in its first line which."""
    assert len(path.read_text().splitlines()) <= 305
    assert ast.get_docstring(ast.parse(path.read_text()))
