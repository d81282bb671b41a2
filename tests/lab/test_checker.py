"""The real services through everything that can happen in small worlds."""

import time
from dataclasses import replace

import pytest

from ecom.shop.balance import judge
from ecom_lab.simulator.checker import Explorer
from ecom_lab.simulator.model import REDUCTIONS, Model
from ecom_lab.simulator.properties import view_of
from ecom_lab.simulator.shop.properties import accounts
from ecom_lab.simulator.shop.scenario import CRASH_POINTS, Wish, jobs, race, shop
from ecom_lab.simulator.suites import Job, explore, explore_all, together, walks

CRASHES = ("crash",)


def ends(world):
    """Every way in which all can become quiet, as the judges see it; and what is broken."""
    explorer = Explorer(world, stop=False)
    seen = {}
    problems = explorer.judge.problems

    def watch(state, quiet):
        if quiet == world.all_quiet:
            view = view_of(world, state)
            seen[_end(view)] = view
        return problems(state, quiet)

    explorer.judge.problems = watch
    result = explorer.run()
    assert result.exhaustive
    return seen, {violation.promise for violation in result.violations}


def _end(view):
    """Customers of one wish are alike, so the end does not say whose order is whose."""
    books = accounts(view)
    return repr(
        (
            [(it.order_id, it.state, it.total, it.reason) for it in books.orders],
            books.stock,
            [(it.order_id, it.state) for it in books.reservations],
            sorted((it.order_id, it.outcome, it.amount) for it in books.ledger),
            books.told,
            sorted(books.logged.items()),
        )
    )


@pytest.fixture(scope="module")
def one_order():
    """Every history of one order with at most one fault, in every world of `jobs`."""
    return together(result for _, result in explore_all(jobs(orders=1, faults=1), workers=2))


def test_one_order_survives_every_fault(one_order):
    """With cancellation and expiry, whatever goes wrong once, every promise is kept."""
    assert one_order.exhaustive
    assert one_order.violations == []


def test_every_crash_point_is_reached(one_order):
    """A process dies before and after each commit, ack, publish, confirm, mark, call and timer."""
    assert one_order.crash_points == CRASH_POINTS


def test_a_race_for_the_last_unit_ends_well_without_faults():
    """Two customers, one teapot, every order of events, with good and with bad cards."""
    for job in jobs(orders=2, faults=0):
        result = explore(job)
        assert result.exhaustive
        assert result.violations == []
        assert result.quiet_states > 10


def test_a_race_for_the_last_unit_survives_any_crash():
    """Two customers, one teapot, a crash at any point."""
    result = explore(Job(replace(race(2, faults=1), kinds=CRASHES)))
    assert result.exhaustive
    assert result.violations == []


def test_the_explorer_is_fast_enough_to_be_exhaustive():
    """5,000 transitions a second a core, in the core's own time, from a cold start."""
    began = time.process_time()
    result = explore(Job(race(1, faults=1)))
    assert result.transitions / (time.process_time() - began) > 5_000


@pytest.mark.parametrize(
    ("reduction", "scenario"),
    [
        ("sinks last", shop(faults=0)),
        ("at once", race(1, faults=0)),
        ("restarts", replace(race(1, faults=1), kinds=CRASHES)),
        ("by subject", race(2, faults=0)),
        ("in line", race(2, faults=0)),
    ],
)
def test_a_reduction_loses_nothing(reduction, scenario):
    """Without it there are more states, and exactly the same ends."""
    fewer, broken = ends(Model(scenario))
    more, broken_too = ends(Model(scenario, reductions=REDUCTIONS - {reduction}))
    assert fewer.keys() == more.keys()
    assert broken == broken_too == set()


def test_a_reduction_is_one():
    """Each makes the world smaller; else it had no reason to be."""
    small = explore(Job(shop(faults=0))).states
    large = Explorer(Model(shop(faults=0), reductions=REDUCTIONS - {"sinks last"})).run().states
    assert large > 10 * small


def test_the_shops_own_books_agree_with_every_quiet_state():
    """What `Shop.books` would say of each end is that it balances, in many different ends."""
    seen, _ = ends(Model(race(2, faults=0)))
    assert len(seen) >= 20
    assert all(judge(accounts(view)) == [] for view in seen.values())


def test_a_seed_always_takes_the_same_way():
    """1,000 seeds, walked twice (the second time backwards), give identical traces."""
    scenario = shop((Wish(may_cancel=True),), faults=3)
    there = list(walks(scenario, range(1_000)))
    back = list(walks(scenario, reversed(range(1_000))))
    assert there == back[::-1]
    assert len({tuple(walk.steps) for walk in there}) > 700
    assert not any(walk.promise for walk in there)
