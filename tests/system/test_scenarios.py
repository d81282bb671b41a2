"""The scenarios of `data/`: played in one shop, each ends as it promises."""

import pandas as pd
import pytest

from ecom import Shop
from ecom.errors import ShopError
from ecom.shop.catalogue import cards, products, stock
from ecom_lab.experiments.scenarios import lines_of, play, table


@pytest.fixture(scope="module")
def shop(broker):
    """A shop with the catalogue's stock."""
    with Shop(amqp_url=broker) as shop:
        yield shop


@pytest.fixture(scope="module")
def played(shop):
    """All of them, as they ended."""
    return play(shop)


@pytest.mark.parametrize("name", table().scenario.unique())
def test_a_scenario_ends_as_it_promises(played, name):
    """As many orders in each state, for each reason, as the file says."""
    mine = played[played.scenario == name]
    assert len(mine) == (table().scenario == name).sum()
    assert mine.as_promised.all(), mine.to_string()


def test_what_one_order_takes_and_gives_back_does_not_touch_another(shop, played):
    """The books balance, and each shelf lacks what was confirmed of it, not a unit more."""
    assert shop.books().balanced
    confirmed = played[played.state == "CONFIRMED"]
    sold = pd.Series(stock()) - shop.stock().set_index("sku").available
    counted = confirmed["lines"].str.split(", ").explode().str.split(" × ")
    wanted = counted.str[0].astype(int).groupby(counted.str[1]).sum()
    assert sold[sold > 0].to_dict() == wanted.to_dict()


def test_every_scenario_is_worth_reading():
    """Known customers and products (but for the one that is about it), a reason, a sentence."""
    wishes = table()
    skus = {line["sku"] for words in wishes.lines for line in lines_of(words)}
    assert skus - products().keys() == {"UNICORN"}
    assert set(wishes.customer) <= cards().keys()
    assert ((wishes.reason != "") == (wishes.state == "CANCELLED")).all()
    assert wishes.because.str.endswith(".").all()
    assert wishes.because.is_unique


def test_a_broken_promise_is_told(shop, played):
    """The shop has no moon left, so that both are disappointed: neither order is as promised."""
    again = play(shop, "the last one")
    assert again.state.tolist() == ["CANCELLED", "CANCELLED"]
    assert not again.as_promised.any()


def test_a_scenario_that_is_not_there_is_named(shop):
    with pytest.raises(ShopError, match="no scenario 'the first one': choose of tea for two, out"):
        play(shop, "the first one")
