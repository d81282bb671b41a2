"""A shop on three hosts, made of network namespaces: deployed, and amid what happens to hosts."""

import subprocess
import sys
from dataclasses import replace
from functools import partial

import psutil
import pytest

from ecom_lab.chaos.fault import Size
from ecom_lab.chaos.faults import hosts
from ecom_lab.chaos.hosts import lack
from ecom_lab.chaos.scorecard import FAULTS
from ecom_lab.chaos.testbed import play

pytestmark = pytest.mark.skipif(bool(lack()), reason=lack() or "there can be hosts here")


def everything(bed):
    """A host, and the primary with it, is killed; its successor is cut off and replaced, too; one
    is slow; then the next release comes."""
    strikes = (
        partial(hosts.kill, "primary"),
        partial(hosts.bad_lines, "standby", "cut off from databases"),
        partial(hosts.bad_lines, "neither", "slow"),
        hosts.fence,
    )
    yield from hosts.in_turn(*strikes)(bed)
    bed.rounds = 1
    yield from hosts.roll(bed)
    with bed.runner.attached() as it:
        it.settle()
        seen = it.books()
    bed.problems += [] if seen.balanced else [f"who attaches sees: {seen}"]


def test_no_order_is_lost_on_three_hosts_whatever_becomes_of_one(broker):
    """Acknowledged orders end and their customers are told; each effect happens once."""
    verdict = play(replace(FAULTS["host-kills"], inject=everything), Size(100, 4, 3.0), 1)
    assert (verdict.injected, verdict.violations) == (5, []), verdict
    assert verdict.acknowledged >= 0.8 * verdict.attempted > 0


ALIVE = """
from ecom_lab.chaos.hosts import Host, apart
import sys, time, pathlib
with apart():
    host = Host(1, pathlib.Path(sys.argv[1]) / "host")
    host.run("sleep", "600", log="log")
    print("up", flush=True)
    time.sleep(600)
"""


def test_nothing_of_a_host_outlives_who_made_it(tmp_path, wait_for):
    """Not its processes, nor therefore its network, however that one ends."""
    whole = [sys.executable, "-c", ALIVE, str(tmp_path)]
    with subprocess.Popen(whole, stdout=subprocess.PIPE) as maker:
        try:
            assert maker.stdout.readline() == b"up\n"
            begun = psutil.Process(maker.pid)
            wait_for(lambda: len(begun.children(recursive=True)) == 4)
            its = begun.children(recursive=True)
        finally:
            maker.kill()
    wait_for(lambda: not any(each.is_running() for each in its))
