"""Refunds and cancellation with a provider that fails: its own ledger is the judge."""

import pytest
from outer import outer

from ecom import Shop
from ecom.errors import ShopError
from ecom.sandbox.cards import DECLINED_CARD, GOOD_CARD
from ecom.shop.records import Records

ORDERS = 300


def outcomes(shop):
    return shop.ledger().outcome.tolist()


def state(shop, order):
    frame = shop.orders().set_index("order_id")
    return frame.state[order], frame.reason[order]


def tries(shop):
    """How often each effect of payment was tried and failed or succeeded."""
    return shop.table("payment", "effects").attempts


def test_a_provider_that_fails_three_calls_in_ten_costs_nobody_a_penny(broker):
    """Failing before or after the deed: all orders end, the books balance with its ledger, and no
    order is captured or refunded more than once."""
    with Shop({"YOYO": ORDERS * 9 // 10}, amqp_url=broker, hold_seconds=60) as shop:
        shop.gateway(fail_before=0.15, fail_after=0.15, seed=11)
        cards = [DECLINED_CARD if n % 10 == 3 else GOOD_CARD for n in range(ORDERS)]
        placed = shop.place_many(
            {"customer": f"c{n}@example.com", "lines": {"YOYO": 1}, "card": card}
            for n, card in enumerate(cards)
        )
        for order in placed[::4]:
            shop.cancel(order)
        shop.settle(timeout=120)
        assert set(shop.orders().state) == {"CONFIRMED", "CANCELLED"}
        assert shop.books().balanced, shop.books()
        moves = shop.ledger().groupby(["order_id", "kind"]).size()
        assert moves.max() == 1
        assert outcomes(shop).count("refunded") > 0
        failed = (tries(shop) - 1).sum() / tries(shop).sum()
        assert failed == pytest.approx(0.3, abs=0.08)


def test_money_captured_before_its_answer_came_is_refunded_once(shop, wait_for):
    """The provider is slow, the customer is not: cancelled while the answer is on its way."""
    shop.gateway(delay=1.0)
    order = shop.place("ada@example.com", {"TEAPOT": 1})
    wait_for(lambda: outcomes(shop) == ["captured"])
    shop.cancel(order)
    wait_for(lambda: state(shop, order) == ("CANCELLED", "cancelled by customer"))
    assert outcomes(shop) == ["captured"]
    shop.gateway()
    shop.settle()
    assert outcomes(shop) == ["captured", "refunded"]
    assert shop.books().balanced, shop.books()


def test_money_captured_after_the_cancellation_is_refunded_once(shop, wait_for):
    """The provider comes back when the order is long gone: what it takes then goes back."""
    shop.gateway(down=True)
    order = shop.place("ada@example.com", {"TEAPOT": 1})
    wait_for(lambda: tries(shop).tolist() > [0])
    shop.cancel(order)
    wait_for(lambda: state(shop, order) == ("CANCELLED", "cancelled by customer"))
    assert outcomes(shop) == []
    shop.gateway()
    shop.settle()
    assert outcomes(shop) == ["captured", "refunded"]
    assert shop.books().balanced, shop.books()


def test_an_answer_that_never_came_is_asked_for_again_under_the_same_key(shop, wait_for):
    """The connection breaks after the capture: the next try is told, and nothing is taken twice."""
    shop.gateway(fail_after=1.0)
    order = shop.place("ada@example.com", {"TEAPOT": 1})
    wait_for(lambda: tries(shop).tolist() > [1])
    assert state(shop, order) == ("PENDING", "")
    assert outcomes(shop) == ["captured"]
    shop.gateway()
    shop.settle()
    assert state(shop, order) == ("CONFIRMED", "")
    assert outcomes(shop) == ["captured"]


def test_a_shop_whose_provider_is_a_file_has_no_faults_to_set(broker):
    """Everything else is as ever: the order is paid and the customer told."""
    with Shop(amqp_url=broker, outside="files") as shop:
        with pytest.raises(ShopError, match="no gateway of its own"):
            shop.gateway(down=True)
        shop.place("ada@example.com", {"TEAPOT": 1})
        shop.settle()
        assert shop.books().balanced, shop.books()


def test_somebody_else_s_mail_server_is_used_when_the_environment_names_it(
    broker, tmp_path, monkeypatch
):
    """The mail goes there, over SMTP, and no other mail server is started."""
    with outer(tmp_path) as theirs:
        theirs.start("mail")
        monkeypatch.setenv("ECOM_SMTP_URL", theirs.smtp_url)
        with Shop(amqp_url=broker) as shop:
            shop.place("ada@example.com", {"TEAPOT": 1})
            shop.settle()
            assert Records(tmp_path).emails().subject.tolist() == ["Order #1001 Confirmed"]
            assert shop.emails().empty
            with pytest.raises(ShopError, match="no service 'mail'"):
                shop.kill("mail")


def test_the_outside_world_may_be_killed_at_any_time(broker, wait_for):
    """Provider and mail server, amid the orders: nothing is paid or told twice, nothing is lost."""
    with Shop({"YOYO": ORDERS}, amqp_url=broker) as shop:
        order = {"customer": "ada@example.com", "lines": {"YOYO": 1}}
        for part, table in (("gateway", "ledger"), ("mail", "mails")):
            before = len(shop.orders())
            shop.place_many([order] * (ORDERS // 2))
            database = "mailbox" if part == "mail" else part
            wait_for(lambda: len(shop.table(database, table)) > before)  # noqa: B023
            shop.kill(part)
            shop.start(part)
        shop.settle()
        assert shop.books().balanced, shop.books()
        assert shop.ledger().order_id.is_unique
        assert len(shop.emails()) == ORDERS
