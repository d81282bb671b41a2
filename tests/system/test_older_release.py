"""A shop whose databases an earlier release has written: it opens, and goes on."""

import shutil
from pathlib import Path

import pytest

from ecom import Shop

RECORDED = Path(__file__).parents[1] / "recorded" / "3531616"


@pytest.fixture
def folder(tmp_path):
    """Copies of the databases of commit 3531616."""
    return shutil.copytree(RECORDED, tmp_path / "shop")


def test_a_shop_of_an_earlier_release_opens_and_goes_on(folder, broker):
    """Orders of every outcome, of which some were under way: an event that was not sent yet, one
    that waits for another try, a call to be repeated, and two dead letters. The call, a capture, is
    older than a provider knows its key: it is a third. All are replayed. Then a new order and a
    late cancellation; and each order's history can be told, but for the changes of state: in what
    order its services had worked, that release did not write down."""
    with Shop({}, folder=folder, amqp_url=broker) as shop:
        shop.settle()
        assert sorted(shop.dead.list().order_id) == ["1009", "1010", "1011"]
        shop.dead.replay(shop.dead.list())
        shop.settle()
        books = shop.books()
        assert (books.problems, books.orders, books.confirmed) == ((), 13, 7)
        new = shop.place("ada@example.com", {"KITE": 1})
        shop.cancel("1002")
        shop.settle()
        states = shop.orders().set_index("order_id").state
        assert (states[new], states["1002"]) == ("CONFIRMED", "CANCELLED")
        assert shop.books().balanced
        for order_id in states.index:
            history = shop.history(order_id)
            assert "Without its changes of state" in history.title
            assert history.awaited == []
