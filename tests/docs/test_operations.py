"""Files for operators: alerts, dashboard, units and settings, each as its own tool wants it."""

import json
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
import yaml
from scraping import families

from ecom.process.databases import Files
from ecom.telemetry.metrics import Metrics
from ecom_lab.shop import SAGA

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RULES = yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"][0]["rules"]
PANELS = json.loads((DOCS / "dashboard.json").read_text())["panels"]
ASKED = [rule["expr"] for rule in RULES]
ASKED += [target["expr"] for panel in PANELS for target in panel["targets"]]


def needs(tool):
    reason = f"{tool} is not installed: nothing else can say whether it takes this file"
    return pytest.mark.skipif(shutil.which(tool) is None, reason=reason)


@pytest.mark.parametrize("asked", ASKED)
def test_what_alerts_and_dashboard_ask_for_is_on_the_page(asked, tmp_path):
    """A metric that was renamed would leave an alert that never fires."""
    files = Files(tmp_path)
    files.provide(SAGA.services["audit"])
    metrics = Metrics("audit", tmp_path, lambda: True, partial(files.reading, "audit"))
    page = families(metrics.page().decode())
    names = {sample.name for family in page.values() for sample in family.samples}
    names |= {f"{name}_total" for name, family in page.items() if family.type == "counter"}
    names |= {f"{name}_bucket" for name, family in page.items() if family.type == "histogram"}
    assert {*re.findall(r"\becom_\w+", asked)} <= names


@needs("promtool")
def test_prometheus_takes_the_alerts():
    subprocess.run(["promtool", "check", "rules", DOCS / "alerts.yml"], check=True)


@needs("systemd-analyze")
def test_systemd_takes_the_units(tmp_path):
    """Under the names that are enabled."""
    for name in ("ecom-provisioner.service", "ecom@.service"):
        shutil.copy(DOCS / "units" / name, tmp_path)
    (tmp_path / "ecom@order.service").symlink_to("ecom@.service")
    units = [tmp_path / "ecom-provisioner.service", tmp_path / "ecom@order.service"]
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False
    )
    said = [line for line in done.stderr.splitlines() if "ecom" in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_every_setting_is_on_the_page():
    """And nothing else."""
    code = "\n".join(path.read_text() for path in (ROOT / "ecom").rglob("*.py"))
    named = {*re.findall(r"(?<!_)ECOM_[A-Z_]+[A-Z]", code)}
    named |= {f"ECOM_{name.upper()}" for name in _settings()}
    told = {*re.findall(r"`(ECOM_[A-Z_]+[A-Z])`", (DOCS / "SETTINGS.md").read_text())}
    assert told == named


def _settings():
    from dataclasses import fields

    from ecom.settings import Settings

    return [field.name for field in fields(Settings)]
