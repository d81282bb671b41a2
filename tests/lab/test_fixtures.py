"""The fixtures for a saga of one's own: a test that fails tells the shortest story."""

import pytest

from ecom_lab.fixtures import explored  # noqa: F401
from examples.trip.ablations import ALL
from examples.trip.worlds import RACE

PIVOT = next(it for it in ALL if it.name == "pivot-last")


def test_what_keeps_its_promises_passes(explored):  # noqa: F811
    """With what was found on the way."""
    assert explored(RACE).quiet_states > 0


def test_what_does_not_fails_by_its_story(explored):  # noqa: F811
    """Step by step, and at its end what was promised; without a traceback of ours."""
    with pytest.raises(pytest.fail.Exception) as failed:
        explored(PIVOT.broken)
    first, *_, last = str(failed.value).splitlines()
    assert first == "  1  traveller 0 asks: book trip"
    assert last == "no-ticket-for-nothing: trip trip-0"
    assert not failed.value.pytrace
