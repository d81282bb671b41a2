"""`docs/YOUR_OWN.md` names all that a saga of one's own may be made of."""

import re
from pathlib import Path

import pytest

import ecom
import ecom_lab.chaos
import ecom_lab.grading
import ecom_lab.simulator

PAGE = (Path(ecom.__file__).parents[1] / "docs" / "YOUR_OWN.md").read_text()
ROWS = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
NAMED = set(re.findall(r"`(\w+)", " ".join(ROWS)))


PACKAGES = ecom, ecom_lab.simulator, ecom_lab.grading, ecom_lab.chaos


@pytest.mark.parametrize("package", PACKAGES, ids=lambda it: it.__name__)
def test_every_public_name_can_be_imported_and_is_explained(package):
    """Each has its row in a table; `Shop` has a notebook of its own, `attach` docs/DEPLOY.md."""
    assert all(getattr(package, name) is not None for name in package.__all__)
    assert set(package.__all__) - {"Shop", "attach"} <= NAMED


def test_no_other_name_is_promised():
    """What is in the tables is public."""
    assert {name for package in PACKAGES for name in package.__all__} >= NAMED
