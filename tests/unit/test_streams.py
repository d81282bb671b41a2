"""Which numbers have come, in ranges: the same as a plain set of them would tell."""

from itertools import pairwise

from helpers import EXAMPLES, Hand, delivery, steady
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ecom.runtime.streams import MOST, grown, merged, missing, size, within
from ecom.runtime.tables import Received
from ecom_lab.shop import SAGA

CREATED = EXAMPLES["order.created"]
numbers = st.integers(1, 30)
sets = st.sets(numbers)


def ranges(some):
    return merged((n, n) for n in some)


def members(some):
    return [n for first, last in some for n in range(first, last + 1)]


@steady
@given(st.lists(st.tuples(numbers, numbers).map(lambda pair: (min(pair), max(pair)))))
def test_merged_ranges_hold_the_same_numbers_in_as_few_as_can_be(some):
    found = merged(some)
    assert members(found) == sorted(set(members(some)))
    assert all(before + 1 < after for (_, before), (after, _) in pairwise(found))
    assert merged([*found, *some]) == found


@steady
@given(sets, st.sets(numbers, min_size=1))
def test_ranges_grow_by_some_as_if_all_were_merged(some, more):
    fresh = [(n, n) for n in more]
    assert grown(ranges(some), fresh) == ranges(some | more)


@steady
@given(sets, st.integers(0, 30))
def test_missing_is_what_is_not_there_up_to_the_last(some, last):
    assert members(missing(ranges(some), last)) == sorted({*range(1, last + 1)} - some)
    assert size(missing(ranges(some), last)) == len({*range(1, last + 1)} - some)


@steady
@given(sets, numbers, numbers)
def test_within_is_what_lies_between(some, first, last):
    assert members(within(ranges(some), first, last)) == sorted(some & {*range(first, last + 1)})


def test_what_is_beyond_the_most_ranges_counts_as_missing():
    """A row is bounded: what is asked for in vain, inboxes absorb."""
    found = ranges(range(1, 4 * MOST, 2))
    assert len(found) == MOST
    assert missing(found, 4 * MOST)[-1] == (2 * MOST, 4 * MOST)


def test_replicas_that_were_delivered_every_other_event_forget_none():
    """Though one of them has noted thousands before its siblings have committed theirs."""
    ours, theirs = ranges(range(1, 6_000, 2)), ranges(range(2, 6_000, 2))
    assert merged([*ours, *theirs]) == [(1, 5_999)]


def test_a_batch_costs_a_row_for_each_type_whatever_order_it_comes_in():
    """Also what comes twice, or with no number that can be read, as of an earlier release."""
    hand = Hand(SAGA.services["audit"])
    batch = [delivery(CREATED, f"event-{n}", n) for n in range(1, 9)]
    said = ["3", "0000000001", "2", "2", "5", None, "-7", "9" * 40]
    batch = [
        replace(it, headers=it.headers | {"ce-sequence": number})
        for it, number in zip(batch, said, strict=True)
    ]
    hand.give(*batch)
    assert hand.rows(Received) == [Received("order.created", [(1, 3), (5, 5)])]
