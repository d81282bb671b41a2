"""Who may know what: the rooms of the package keep to their walls, and stay small."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ecom

ROOT = Path(ecom.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
SERVICES = sorted((ROOT / "services").glob("*.py"))
CORE = [
    "contract/envelope",
    "contract/topology",
    "events",
    "runtime/dead_letters",
    "runtime/messages",
    "runtime/relay",
    "runtime/retention",
    "runtime/runtime",
    "runtime/service",
    "runtime/tables",
    "stores/base",
    "stores/memory",
]
BUS = {"bus.py", "amqp"}
# Dead-letter queues are read for a person who waits; and what is meant to do harm to a broker, or
# to measure it, has to speak its language.
TOOLS = {"harness"}


def imports(path):
    """The modules a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def calls(path):
    """The names of all that is called, e.g. `now` and `datetime.now`."""
    return {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)}  # fmt: skip


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_services_are_domain_only(path):
    """No broker, no SQL, no clock, no chance: a handler may run again, in any order there is."""
    top = {name.split(".")[0] for name in imports(path)}
    assert not top & {"pika", "sqlite3", "sqlite_utils", "time", "random", "uuid", "asyncio", "os"}
    assert not imports(path) & {
        "ecom.bus",
        "ecom.stores.sqlite",
        "ecom.stores.memory",
        "ecom.process.driver",
    }
    assert not {name.split(".")[-1] for name in calls(path)} & {"now", "utcnow", "today", "uuid4"}


@pytest.mark.parametrize("name", CORE)
def test_the_core_does_no_io(name):
    """What the simulator drives touches neither socket nor file nor clock."""
    path = ROOT / f"{name}.py"
    top = {module.split(".")[0] for module in imports(path)}
    assert not top & {"pika", "sqlite3", "asyncio", "socket", "time", "random", "os", "pathlib"}
    assert "open" not in calls(path)
    assert not {each.split(".")[-1] for each in calls(path)} & {"now", "utcnow", "uuid4"}


def test_only_the_bus_and_its_tools_know_pika():
    knowing = {path.relative_to(ROOT).parts[0] for path in FILES
               if any(name.split(".")[0] == "pika" for name in imports(path))}  # fmt: skip
    assert knowing <= BUS | TOOLS
    assert knowing >= BUS


def test_only_one_room_knows_sqls_dialect():
    """Writing a service's tables is the store's business; others may read."""
    for path in FILES:
        if path.name != "sqlite.py" and path.parent.name not in ("chaos", "bench"):
            assert "BEGIN IMMEDIATE" not in path.read_text() or path.name == "journal.py", path


def loaded_by(statement):
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


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_room_fits_a_screen_or_five(path):
    """A file is one idea, of about 250 lines at most, and says in its first line which."""
    assert len(path.read_text().splitlines()) <= 265
    assert ast.get_docstring(ast.parse(path.read_text()))
