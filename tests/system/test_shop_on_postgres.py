"""A whole shop whose services keep their rows in PostgreSQL, not in files."""

import psycopg
import pytest

from ecom import Shop
from ecom.errors import ShopError

SERVICES = ("order", "inventory", "payment", "notification", "audit")
ORDER = {"customer": "lotte@example.com", "lines": {"TEA-COSY": 2}}
SCHEMAS = "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE '%\\_order'"


def schemas(cluster):
    with psycopg.connect(cluster.url) as connection:
        return [name for (name,) in connection.execute(SCHEMAS)]


def test_it_sells_all_there_is_though_services_are_killed(broker, cluster):
    """Two replicas of each, some of which die amid the orders: all of these end, the last units are
    sold once, and the books balance. Then nothing of it is left on the server."""
    with Shop({"TEA-COSY": 40}, amqp_url=broker, database=cluster.url) as shop:
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
        assert schemas(cluster) == [f"{shop.name}_order"]
    assert schemas(cluster) == []


def test_a_shop_that_is_kept_has_its_rows_where_it_had_them(broker, cluster, tmp_path):
    """On a server that stays; it does not begin anew in files, which know nothing of its orders."""
    kept = {"folder": tmp_path, "amqp_url": broker}
    with Shop({"TEA-COSY": 40}, database=cluster.url, **kept) as shop:
        placed = shop.place("lotte@example.com", {"TEA-COSY": 2})
        shop.settle()
    with pytest.raises(ShopError, match="has its rows on a server"):
        Shop(**kept).open()
    with Shop(database=cluster.url, **kept) as shop:
        assert list(shop.orders()["order_id"]) == [placed]


@pytest.mark.parametrize("kept", [{"name": "kept"}, {"folder": "kept"}])
def test_a_shop_that_is_kept_has_no_private_server(kept):
    """Its rows would be gone with the server, and its folder would know nothing of them."""
    with pytest.raises(ShopError, match="goes with its shop"):
        Shop(database="postgres", **kept)


def test_there_is_no_other_kind_of_database():
    """What is meant is not guessed, and an address is not repeated: it may have a password."""
    with pytest.raises(ShopError, match="files, postgres, or the URL of a PostgreSQL"):
        Shop(database="sqlite")
