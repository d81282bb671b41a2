"""What messages advise: nobody loses an order by doing as they say."""

import re
from pathlib import Path

import pytest
from pika.exceptions import ChannelClosedByBroker

import ecom
from ecom.amqp.connection import why

LATE = (
    "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: "
    "1800000 ms. This timeout value can be configured, see consumers doc guide to learn more"
)
OTHERWISE = (
    "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'shop.order' in vhost '/': "
    "received 'quorum' but current is 'classic'"
)
USER = "PRECONDITION_FAILED - user_id property set to 'a' but authenticated user was 'b'"


@pytest.mark.parametrize(
    ("said", "words"),
    [(LATE, "in hand for longer"), (OTHERWISE, "may hold orders: leave it"), (USER, "'b'")],
)
def test_a_failed_precondition_says_what_it_was(said, words):
    """RabbitMQ has one code, 406, for a dozen things; each is told by its text."""
    told = why(ChannelClosedByBroker(406, said))
    assert said in told
    assert words in told
    assert "otherwise" not in told or said == OTHERWISE


ADVICE = re.compile(r"\b(delete|remove|erase|purge|move) (it|them|the)\b|deleted to|begin afresh")


@pytest.mark.parametrize(
    "path", sorted(Path(ecom.__file__).parent.rglob("*.py")), ids=lambda path: path.stem
)
def test_no_message_tells_anybody_to_delete_what_may_hold_an_order(path):
    """Neither queue nor folder nor database; docstrings and comments may speak of it."""
    code = re.sub(r'""".*?"""|#.*', "", path.read_text(), flags=re.S)
    assert not (found := ADVICE.search(code)), found
