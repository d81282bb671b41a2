"""A whole shop whose services keep their rows in PostgreSQL, not in files."""

import pytest

from ecom import Shop
from ecom.errors import ShopError

SERVICES = ("order", "inventory", "payment", "notification", "audit")
ORDER = {"customer": "lotte@example.com", "lines": {"TEA-COSY": 2}}


def test_it_sells_all_there_is_though_services_are_killed(broker, cluster):
    """Two replicas of each, some of which die amid the orders: all of these end, the last units are
    sold once, and the books balance. (Of `cluster`, we need to know that there can be one.)"""
    with Shop({"TEA-COSY": 40}, amqp_url=broker, database="postgres") as shop:
        for service in SERVICES:
            shop.start(service, "2")
        placed = shop.place_many([ORDER] * 12)
        killed = ("inventory", "1"), ("payment", "2"), ("audit", "1"), ("order", "2")
        for member in killed:
            shop.kill(*member)
        placed += shop.place_many([ORDER] * 12)
        for member in killed:
            shop.start(*member)
        shop.settle(120)
        assert shop.books().balanced, shop.books()
        assert shop.orders()["state"].value_counts().to_dict() == {"CONFIRMED": 20, "CANCELLED": 4}
        assert sorted(shop.orders()["order_id"]) == sorted(placed)
        assert list(shop.table("order", "orders").order_id) == sorted(placed)
        with pytest.raises(ShopError, match="no table"):
            shop.table("order", "no such")


@pytest.mark.parametrize("kept", [{"name": "kept"}, {"folder": "kept"}])
def test_a_shop_that_is_kept_has_no_private_server(kept):
    """Its rows would be gone with the server, and its folder would know nothing of them."""
    with pytest.raises(ShopError, match="goes with its shop"):
        Shop(database="postgres", **kept)
