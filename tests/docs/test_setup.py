"""What `make setup` and conda install: one version of everything, wherever it comes from."""

import os
import re
import shutil
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

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
    pinned = requirements("requirements.txt") | requirements("requirements-test.txt")
    wanted = requirements("requirements.in") | requirements("requirements-test.in")
    assert set(wanted) <= set(pinned)
    assert [name for name, version in pinned.items() if not re.fullmatch(r"[\w.]+", version)] == []


def test_pip_and_conda_install_the_same_versions(environment: dict) -> None:
    """Every direct dependency is in environment.yml, at the version of requirements.txt."""
    *conda, pip = environment["dependencies"]
    versions = names_and_pins(conda, "=") | names_and_pins(pip["pip"], "==")
    pinned = requirements("requirements.txt")
    for name in requirements("requirements.in"):
        assert versions.get(name) == pinned[name], name
    assert "rabbitmq-server" in versions


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
    if not (ROOT / ".venv" / "installed").exists():
        pytest.skip("this checkout was not set up by make")
    before = (ROOT / ".venv" / "installed").stat().st_mtime_ns
    done = subprocess.run(["make", "-s", "-C", ROOT, "setup"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert (ROOT / ".venv" / "installed").stat().st_mtime_ns == before
