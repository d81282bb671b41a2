"""What an experiment is made of: customers and kills that repeat, and a storm that is simulated."""

import pytest

from ecom import Shop
from ecom.errors import ShopError
from ecom.services import payment
from ecom_lab.experiments import data_file, experiment, results
from ecom_lab.experiments.storm import full, none, storm


def test_the_same_seed_brings_the_same_customers_and_kills():
    """And another seed others: else a sweep over seeds would be one run, many times."""
    crowd = experiment.customers(50, 0.5, seed=1)
    assert crowd == experiment.customers(50, 0.5, seed=1) != experiment.customers(50, 0.5, seed=2)
    assert len({order["card"] for order in crowd}) == 2
    assert len({tuple(experiment.victims(seed)) for seed in range(5)}) > 1
    wanted = sum(order["lines"][0]["quantity"] for order in crowd)
    assert experiment.shelves(crowd, 1.0) == {"MOON": wanted}
    with pytest.raises(ShopError, match=r"from 0 to 1, not 1\.5"):
        experiment.customers(1, 1.5, seed=1)


def test_a_second_crowd_in_the_same_shop_is_refused(broker):
    """Its numbers would be those of both; nobody of it is let in."""
    crowd = experiment.customers(3, 0.0, seed=1)
    shelves = experiment.shelves(crowd, 1.0)
    with Shop(shelves, amqp_url=broker, outside="files") as shop:
        assert experiment.serve(shop, crowd, 0.0, seed=1).confirmed == 3
        with pytest.raises(ShopError, match=r"^One crowd a shop: open a new one"):
            experiment.serve(shop, crowd, 0.0, seed=1)
        assert len(shop.orders()) == 3


def test_recorded_results_are_found_from_whichever_folder(monkeypatch, tmp_path):
    """The checkout's, or those of another checkout that one works in; else a sentence says so."""
    monkeypatch.chdir(tmp_path)
    assert len(results(data_file("holds.db"))) == 72
    with pytest.raises(ShopError, match=r"^There is no data/none\.db in or above "):
        data_file("none.db")
    (tmp_path / "data").mkdir()
    (tmp_path / "notebooks").mkdir()
    mine = tmp_path / "data/holds.db"
    mine.touch()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert data_file("holds.db") == mine


def test_full_jitter_dissolves_the_storm_that_none_keeps_together():
    """Every client is served; the load is counted whole; capacity bounds what is served a slot."""
    policy = payment.service().retry_for(payment.Capture)
    wild = storm(policy, 200, recovers_at=5.0, capacity=10, jitter=none)
    calm = storm(policy, 200, recovers_at=5.0, capacity=10, jitter=full(1))
    # All fail at 0, 0.2, 0.6, 1.4 and 3 s, and are back at 6.2 s: ten of them are served.
    assert [i for i, calls in enumerate(wild.load[:70]) if calls] == [0, 2, 6, 14, 30, 62]
    assert set(wild.load[:70]) == {0, 200}
    assert max(wild.load[70:]) == 190
    assert calm.peak < wild.peak / 5
    assert calm.over_at < wild.over_at / 5
    assert calm == storm(policy, 200, recovers_at=5.0, capacity=10, jitter=full(1))
    assert wild.calls > calm.calls > 200
