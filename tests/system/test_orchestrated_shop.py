"""The shop with a coordinator, on the real broker; and with handlers of a reader's own."""

import pytest
from msgspec.structs import replace

from ecom import Shop
from ecom.errors import ShopError
from ecom.events import OrderCreated
from ecom.sagas.orchestration import orchestration
from ecom.sandbox.cards import DECLINED_CARD
from ecom.services import inventory
from ecom.shop.records import Records


@pytest.fixture(scope="module")
def shop(broker):
    """One that is coordinated, with three orders that end in three ways."""
    with Shop({"TEAPOT": 40}, saga=orchestration(), amqp_url=broker) as shop:
        shop.place("ada@example.com", {"TEAPOT": 1})
        shop.place("bob@example.com", {"TEAPOT": 41})
        shop.place("eve@example.com", {"TEAPOT": 1}, card=DECLINED_CARD)
        shop.settle()
        yield shop


def test_orders_end_as_they_do_without_a_coordinator(shop):
    """Each for the same reason, and the books balance."""
    ends = shop.orders().set_index("order_id")[["state", "reason"]].to_numpy().tolist()[:3]
    assert ends == [
        ["CONFIRMED", ""],
        ["CANCELLED", "insufficient stock"],
        ["CANCELLED", "card declined"],
    ]
    assert shop.books().balanced
    assert {*shop.emails("1002").subject} == {"Out of Stock - Order #1002 Cancelled"}


def test_its_history_names_commands_and_answers(shop):
    """Every step of one order, causes before effects; nothing is awaited any more."""
    history = shop.history("1003")
    assert history.awaited == []
    told = history.text
    for word in ("coordinator → payment", "coordinator.capture-money", "CAPTURING → REJECTING"):
        assert word in told
    assert told.index("coordinator.reject-order") < told.index("coordinator.release-stock")
    assert list(shop.events("1003").type)[:2] == ["order.created", "coordinator.hold-stock"]


def test_the_past_is_rebuilt_and_read_without_the_shop(shop):
    """From the folder alone, which says which saga is played there."""
    records = Records(shop.folder)
    assert "coordinator" in records.saga.services
    now = records.table("coordinator", "coordinations")
    log = records.table("audit", "events")
    then = records.at(len(log)).table("coordinator", "coordinations")
    assert list(then.state) == list(now.state)


def test_a_coordinator_that_is_killed_goes_on_where_it_was(shop):
    """SIGKILL amid orders, twice, and a second replica meanwhile."""
    before = len(shop.orders())
    for _ in range(2):
        shop.place_many([{"customer": "ada@example.com", "lines": {"TEAPOT": 1}}] * 25)
        shop.kill("coordinator")
        shop.start("coordinator")
    shop.start("coordinator", "2")
    shop.cancel("1001")
    shop.settle()
    assert len(shop.orders()) == before + 50
    assert (shop.orders().state == "CONFIRMED").sum() == 39
    assert shop.books().balanced


def test_a_handler_of_ones_own_runs_in_a_process_of_its_own(broker):
    """It needs no module, only the function; all else is the shop's."""

    def hold_one_more(order, work):
        lines = tuple(replace(line, quantity=line.quantity + 1) for line in order.lines)
        inventory.hold_stock(replace(order, lines=lines), work, hold_seconds=60.0)

    mine = {"inventory": {OrderCreated: hold_one_more}}
    with Shop({"TEAPOT": 9}, services=mine, amqp_url=broker, outside="files") as shop:
        shop.place("ada@example.com", {"TEAPOT": 2})
        shop.kill("inventory")
        shop.start("inventory")
        shop.settle()
        assert shop.stock().committed.sum() == 3
        assert shop.history("1001").awaited == []


@pytest.mark.parametrize(
    "given",
    [{"saga": "orchestration"}, {"services": {"bakery": {}}}, {"services": {"payment": print}}],
    ids=["no saga", "no such service", "no handlers"],
)
def test_what_is_no_saga_is_refused_in_a_sentence(given):
    """Before anything is started."""
    with pytest.raises(ShopError, match=r"saga must be|service"):
        Shop(**given)
