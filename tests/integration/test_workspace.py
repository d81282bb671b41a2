"""A shop's folder: busy for as long as somebody is in, and no longer."""

import os
import signal

import pytest

from ecom.errors import ShopBusy
from ecom.harness.workspace import Workspace


@pytest.fixture
def fork():
    """Forks a process that stays, as a worker of a pool does, after it has done something."""
    forked = []

    def begin(do):
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                do()
                os.write(write, b"x")
                signal.pause()
            finally:
                os._exit(1)
        forked.append(pid)
        os.close(write)
        assert os.read(read, 1) == b"x"
        os.close(read)

    yield begin
    for pid in forked:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_process_that_is_forked_from_one_that_is_in_keeps_no_shop_busy(tmp_path, fork):
    """As long as its starter is in, it is; then it is not, whatever the other one does."""
    ours = Workspace(None, tmp_path)
    fork(lambda: None)
    with pytest.raises(ShopBusy):
        Workspace(None, tmp_path)
    ours.leave(remove=False)
    Workspace(None, tmp_path).leave(remove=False)


def test_a_process_that_is_forked_closes_no_shop(shop, fork):
    """It is for whoever opened it to close."""
    alive = repr(shop)
    fork(shop.close)
    assert repr(shop) == alive
    shop.place("ada@example.com", {"TEAPOT": 1})
    shop.settle()
