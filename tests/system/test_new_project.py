"""`ecom new` writes a project whose tests pass as they are."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import ecom
from ecom.cli.main import main

ROOT = Path(ecom.__file__).parents[1]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A new project, called as its package."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["new", "gifts"], catch_exceptions=False)
    assert done.output == "gifts is written; gifts/README.md says how to go on.\n"
    return tmp_path / "gifts"


def test_its_tests_explore_it_and_run_it_amid_a_kill(project, broker):
    """By the second command of its README, where the packages of the first are installed."""
    told = {"PYTHONPATH": str(ROOT), "ECOM_AMQP_URL": broker}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=project, env=told, capture_output=True, text=True)
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_it_depends_on_what_it_came_from(project):
    """A checkout or a wheel, by its address: the name may be a stranger's at a registry."""
    first, *others = (project / "requirements.txt").read_text().splitlines()
    assert first == f"ecom[lab,notebook] @ {ROOT.as_uri()}"
    assert others == ["pytest"]


def test_nothing_of_a_template_is_left(project):
    """No placeholder; and every file says what it is."""
    files = [path for path in project.rglob("*") if path.is_file()]
    assert len(files) == 11
    for path in files:
        assert "{{" not in path.read_text(), path


def test_it_overwrites_nothing(project):
    """A second time, or under a name that no package can have: a sentence."""
    for name, complaint in ("gifts", "there already"), ("Gifts!", "no name for a package"):
        done = CliRunner().invoke(main, ["new", name], catch_exceptions=False)
        assert (done.exit_code, complaint in done.output) == (1, True)
