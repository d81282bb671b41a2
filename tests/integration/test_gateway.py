"""Payment providers, in a file and over HTTP: one contract."""

import asyncio

import pytest
from paying import KEY, InFile, OverHttp, capture, ledger, refund, use

from ecom.events import CARD_DECLINED
from ecom.process.performers import NotDone
from ecom.runtime.service import Impossible
from ecom.sandbox.cards import DECLINED_CARD, ERROR_CARD, GOOD_CARD
from ecom.services.payment import Captured, Declined, Refunded


@pytest.fixture(params=[InFile, OverHttp])
def provider(request, tmp_path):
    """A provider of either kind."""
    if request.param is InFile:
        return InFile(tmp_path)
    return OverHttp(request.getfixturevalue("outside"))


def test_one_key_has_one_effect_and_one_answer(provider):
    """Asked three times, the money is taken once."""
    assert use(provider, capture(), capture(), capture()) == [Captured("1001")] * 3
    assert ledger(provider) == [(KEY, "capture", "captured")]


def test_a_key_is_remembered_over_restarts(provider):
    """The provider may crash between two calls: its ledger is durable."""
    first = use(provider, capture(DECLINED_CARD))
    provider.restart()
    assert use(provider, capture(DECLINED_CARD)) == first
    assert ledger(provider) == [(KEY, "capture", "declined")]


def test_calls_under_one_key_at_the_same_time_have_one_effect(provider):
    """Fifty at once: one row, one answer."""

    async def run():
        gateway = provider.opened()
        answers = await asyncio.gather(*(capture()(gateway) for _ in range(50)))
        await gateway.close()
        return answers

    assert asyncio.run(run()) == [Captured("1001")] * 50
    assert len(ledger(provider)) == 1


def test_a_declined_card_stays_declined_under_its_key(provider):
    """The first answer stands, even if the card is a good one the next time."""
    answers = use(provider, capture(DECLINED_CARD), capture(GOOD_CARD))
    assert answers == [Declined("1001", CARD_DECLINED)] * 2


def test_a_processing_error_leaves_no_trace(provider):
    """It may be asked again, and nothing was taken."""
    assert use(provider, capture(ERROR_CARD)) == [NotDone]
    assert ledger(provider) == []


def test_a_refund_without_its_capture_is_impossible(provider):
    """Nothing captured, only declined, another amount, another order: no money goes back."""
    answers = use(
        provider,
        refund(),
        capture(DECLINED_CARD),
        refund(),
        capture(key="capture/1002", order="1002"),
        refund("refund/1002", "1002", 1199),
        refund("refund/1003", "1003"),
    )
    assert [answer for answer in answers if answer is Impossible] == [Impossible] * 4
    assert "refunded" not in {outcome for _, _, outcome in ledger(provider)}


def test_a_refund_is_made_once(provider):
    """Asked twice under its key, over a restart: one row."""
    assert use(provider, capture(), refund()) == [Captured("1001"), Refunded("1001")]
    provider.restart()
    assert use(provider, refund()) == [Refunded("1001")]
    assert [outcome for _, _, outcome in ledger(provider)] == ["captured", "refunded"]


def test_a_key_that_belongs_to_something_else_is_refused(provider):
    """Another order or amount under a known key is a mistake, not a repetition."""
    answers = use(provider, capture(), capture(amount=1), capture(order="1002"), refund(KEY))
    assert answers == [Captured("1001"), Impossible, Impossible, Impossible]
    assert len(ledger(provider)) == 1
