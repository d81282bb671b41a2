"""What only Linux has is used there alone; elsewhere it is left out, with a word."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ELSEWHERE = """
import resource
del resource.prlimit
from ecom.cli.main import main
from ecom_lab.chaos.faults import databases, soak
assert databases.full not in soak.IN_FILES and databases.busy in soak.STRIKES
main(["chaos", "full-disks"])
"""


def test_a_fault_that_a_system_cannot_play_is_named_and_left_out():
    """Asked for by name it is an error, so that nobody takes it for played; `soak` goes without."""
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"full-disks is not played: only Linux .*\.\n", done.stderr)


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.stem)
def test_what_looks_into_proc_is_skipped_where_there_is_none(path):
    """A test that waits until something is no longer in /proc would pass at once elsewhere."""
    text = path.read_text()
    looks = re.search(r"[\"']/proc\b", text) and path != Path(__file__)
    assert not looks or re.search(r"^@linux$|^pytestmark = pytest.mark.skipif", text, re.MULTILINE)
