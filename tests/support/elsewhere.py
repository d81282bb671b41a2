"""The wheel, made and installed far from the checkout, with no more packages than it asks for."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def make_wheel(folder: Path) -> Path:
    """The wheel of this checkout, made of a copy: setuptools leaves traces where it builds."""
    source = folder / "source"
    for name in ("ecom", "ecom_lab", "benchmarks"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    alone = ["--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*PIP, "wheel", *alone, "--wheel-dir", folder, source], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


class Elsewhere:
    """An environment of its own, in `folder`: the wheel, and what it needs with this extra.

    The packages are those of our own environment, by symbolic links; the wheel is really installed.
    """

    def __init__(self, wheel: Path, folder: Path, extra: str = "") -> None:
        self.folder = folder
        venv = folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        self.bin = venv / "bin"
        install = ["install", "--no-index", "--no-deps", "--no-compile", wheel]
        subprocess.run([*PIP, "--python", self.bin / "python", *install], check=True)
        (site,) = venv.glob("lib/python*/site-packages")
        (metadata,) = site.glob("ecom-*.dist-info")
        for needed in _needed(Distribution.at(metadata), extra):
            for name in {file.parts[0] for file in needed.files or ()} - {"..", "__pycache__"}:
                (site / name).symlink_to(needed.locate_file(name))

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess:
        """Run a program of the environment, as a user who has nothing else."""
        return subprocess.run(
            [self.bin / command[0], *command[1:]],
            cwd=self.folder,
            env=self.environment | settings,
            capture_output=True,
            text=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        """A user's, who has told us nothing, and whose home is the folder."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return kept | {"HOME": str(self.folder)}


def _needed(wanting: Distribution, extra: str = "") -> Iterator[Distribution]:
    """All that a distribution needs, directly or not, each once."""
    found: dict[str, Distribution] = {}
    todo = [(wanting, extra)]
    while todo:
        wanting, extra = todo.pop()
        for requirement in map(Requirement, wanting.requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                needed = distribution(requirement.name)
                if needed.name not in found:
                    found[needed.name] = needed
                    todo.append((needed, ""))
    return iter(found.values())
