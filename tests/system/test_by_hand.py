"""The deployment that docs/SECURITY.md describes: processes started one by one, in a new folder."""

import json
import os
import subprocess
import sys
import uuid

import pytest
from click.testing import CliRunner

from ecom.bus import remove_topology
from ecom.cli.main import main
from ecom_lab.shop import CONTRACT, SERVICES


@pytest.fixture
def deployed(broker, tmp_path, wait_for):
    """A folder in which the processes of a shop are at work, and the shop's name."""
    name = f"by-hand-{uuid.uuid4().hex[:8]}"
    told = {"ECOM_AMQP_URL": broker, "ECOM_SHOP": name, "ECOM_FOLDER": str(tmp_path)}
    running = []

    def start(*services):
        for service in services:
            args = [sys.executable, "-m", "ecom.serve", service]
            running.append(subprocess.Popen(args, env={**os.environ, **told}))
        wait_for(lambda: all((tmp_path / f"{it}-1.json").exists() for it in services))

    start("provisioner")
    start(*SERVICES)
    yield tmp_path, name
    for process in running:
        process.terminate()
        assert process.wait(20) == 0
    remove_topology(CONTRACT, broker, name)


def test_it_is_stocked_ordered_from_and_looked_into_by_its_folder(deployed, broker):
    """The command needs the folder only; for dead letters, the shop's name and the broker."""
    folder, name = deployed

    def ecom(*arguments):
        env = {"ECOM_AMQP_URL": broker, "ECOM_HOME": str(folder)}  # so the broker is no private one
        return CliRunner().invoke(main, [*arguments, "--folder", str(folder)], env=env)

    assert "TEAPOT" in ecom("stock", "TEAPOT=1").stdout
    placed = ecom("place", "ada@example.com", "TEAPOT=1", "--wait")
    assert "is CONFIRMED" in placed.stdout, placed.output
    assert "CANCELLED: insufficient" in ecom("place", "a@example.com", "TEAPOT=1", "--wait").stdout
    assert "CONFIRMED" in ecom("orders").stdout
    status = json.loads(ecom("status", "--json").stdout)
    assert status["open"]
    assert all(service["pid"] for service in status["services"].values())
    assert ecom("dead", "list", "--name", name).stdout == "No dead letters.\n"
