"""Progress in a notebook: seen while it lasts, and nothing of it stored."""

from displaying import displayed

CELL = """
from ecom.harness.progress import progress
import time
with progress(3, "orders ended") as bar:
    for _ in range(3):
        until = time.monotonic() + {seconds}
        while time.monotonic() < until:
            pass
        bar.set_postfix_str("waits for: <you>")
        bar.update(1)
"""


def test_a_bar_leaves_the_same_output_however_long_it_took():
    """It draws while it lasts; stored outputs are equal, so that nbval can compare them."""
    quick, slow = displayed(*(CELL.format(seconds=seconds) for seconds in (0, 0.15)))
    assert quick.stored == slow.stored == [{"text/html": "", "text/plain": ""}]
    assert any("2/3" in it and "waits for: &lt;you&gt;" in it for it in slow.drawn)
