"""What `make setup` and conda install: one version of everything, wherever it comes from."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import httpx
import pytest
import yaml

ROOT = Path(__file__).parents[2]


def names_and_pins(lines: list[str], pin: str) -> dict[str, str]:
    """Package name (lower case) to what follows `pin`, else an empty string; no comments."""
    bare = [line.split("#")[0].strip() for line in lines]
    parts = [re.split(f"{pin}|[<>=]", line, maxsplit=1) for line in bare if line]
    return {name.strip().lower(): (rest or [""])[0].strip() for name, *rest in parts}


def requirements(name: str) -> dict[str, str]:
    return names_and_pins((ROOT / name).read_text().splitlines(), "==")


@pytest.fixture
def environment() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def test_every_direct_dependency_is_pinned() -> None:
    """The lock files say one version of each, and nothing without a version."""
    pinned, wanted = (
        requirements(f"requirements.{kind}")
        | requirements(f"requirements-test.{kind}")
        | requirements(f"requirements-book.{kind}")
        for kind in ("txt", "in")
    )
    assert set(wanted) <= set(pinned)
    assert [name for name, version in pinned.items() if not re.fullmatch(r"[\w.]+", version)] == []


def test_conda_brings_the_broker_and_pip_what_is_locked(environment: dict) -> None:
    """A channel skips releases: of what is pinned, conda has nothing to say. Python is the lock's.

    That conda solves it is not checked: there is none here.
    """
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip", "rabbitmq-server", "erlang>=27"]
    assert pip["pip"] == [
        "--requirement requirements.txt",
        "--requirement requirements-test.txt",
        "--editable .",
    ]
    assert "Python 3.11" in (ROOT / "requirements.txt").read_text().partition("==")[0]
    assert not set(requirements("requirements.txt")) & {"rabbitmq-server", "erlang"}


def test_what_the_package_needs_is_among_the_direct_dependencies() -> None:
    """Nothing that pyproject.toml asks for is left to chance."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    needs = names_and_pins([*project["dependencies"], *chain(*extras)], "==")
    assert set(needs) <= set(requirements("requirements.in"))


@pytest.mark.parametrize(
    "name",
    [
        "requirements.in",
        "requirements.txt",
        "requirements-test.in",
        "requirements-test.txt",
        "requirements-book.in",
        "requirements-book.txt",
        "environment.yml",
    ],
)
def test_no_registry_is_named(name: str) -> None:
    """Whose mirror serves the packages is the user's choice: no address, no index, no path."""
    text = (ROOT / name).read_text()
    assert re.findall(r"://|--(?:extra-)?index|--find-links|--trusted| @ ", text) == []


def test_conda_asks_conda_forge_alone(environment: dict) -> None:
    """Mixing channels mixes binaries that do not fit."""
    assert environment["channels"] == ["conda-forge", "nodefaults"]


@pytest.mark.parametrize("python", ["no-such-python", "./old-python"])
def test_setup_without_a_fitting_python_says_what_to_do(tmp_path: Path, python: str) -> None:
    """It ends before it has made anything, and names the way out."""
    for name in ("bin", "requirements.txt", "requirements-test.txt", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    (tmp_path / "old-python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "old-python").chmod(0o755)
    done = subprocess.run(
        ["sh", tmp_path / "bin" / "setup"],
        env=os.environ | {"PYTHON": python},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"Python 3\.11 or newer is needed.*make PYTHON=.*\.\n", done.stderr)
    assert not (tmp_path / ".venv").exists()


def test_setup_with_nothing_to_do_does_nothing() -> None:
    """Once set up, it says nothing and does not touch the environment."""
    if not (ROOT / ".venv" / "installed").exists() or (ROOT / ".venv").is_symlink():
        pytest.skip("this checkout was not set up by make")
    before = (ROOT / ".venv" / "installed").stat().st_mtime_ns
    done = subprocess.run(["make", "-s", "-C", ROOT, "setup"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert (ROOT / ".venv" / "installed").stat().st_mtime_ns == before


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """Where `bin/lab` makes its copies: of four small notebooks, in a checkout of its own."""
    shutil.copytree(ROOT / "bin", tmp_path / "bin")
    for folder in ("build", "clinic"):
        (tmp_path / "notebooks" / folder).mkdir(parents=True)
    for name in ("00_a", "01_b", "build/b1_c", "clinic/c1_d"):
        (tmp_path / "notebooks" / f"{name}.ipynb").write_text("as it was")
    return tmp_path / "work"


def lab(work: Path, *arguments: str) -> str:
    """What `bin/lab` says, where `echo` stands for JupyterLab."""
    command = ["sh", work.parent / "bin" / "lab", *arguments]
    return subprocess.run(
        command, env=os.environ | {"PYTHON": "echo"}, capture_output=True, text=True, check=True
    ).stdout


def test_what_is_changed_in_jupyterlab_is_a_copy(copies: Path) -> None:
    """A copy that was changed stays; one that was not follows its original."""
    assert f"--allow-root --ServerApp.root_dir={copies.parent}" in lab(copies)
    for name in ("00_a", "build/b1_c", "clinic/c1_d"):
        (copies / f"{name}.ipynb").write_text("as I changed it")
    for original in (copies.parent / "notebooks").rglob("*.ipynb"):
        original.write_text("as it is now")
    lab(copies)
    for name in ("00_a", "build/b1_c", "clinic/c1_d"):
        assert (copies / f"{name}.ipynb").read_text() == "as I changed it"
    assert (copies / "01_b.ipynb").read_text() == "as it is now"
    assert (copies.parent / "notebooks" / "00_a.ipynb").read_text() == "as it is now"


def test_there_is_a_way_back_to_the_original_notebooks(copies: Path) -> None:
    """Time and again, and nothing that was changed is lost."""
    for text in ("first", "second"):
        lab(copies)
        (copies / "00_a.ipynb").write_text(text)
        assert "00_a.yours-" in lab(copies, "--originals")
        assert (copies / "00_a.ipynb").read_text() == "as it was"
    assert lab(copies, "--originals") == ""
    assert sorted(path.read_text() for path in copies.glob("00_a.yours-?.ipynb")) == [
        "first",
        "second",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="whether root may is seen as root only")
def test_root_may_open_the_notebooks(copies: Path, tmp_path: Path) -> None:
    """In a container there may be nobody else: JupyterLab serves instead of refusing."""
    server = subprocess.Popen(
        ["sh", tmp_path / "bin" / "lab", "--no-browser", "--port=0"],
        env=os.environ
        | {"PYTHON": sys.executable, "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = "".join(iter_until(server.stderr, "/lab/tree/work?token="))
        (url,) = re.findall(r"http://\S+:\d+/", said) or [said]
        # Once it answers, it also hears when it is told to end; while it starts, it may not.
        assert httpx.get(f"{url}login").status_code == 200
    finally:
        server.terminate()
        server.communicate(timeout=60)


def iter_until(lines: Iterable[str], word: str) -> Iterator[str]:
    """The lines up to one with this word."""
    for line in lines:
        yield line
        if word in line:
            return
