"""The report of a sweep: tables that can be read."""

import re

import pytest
from sweeping import ERROR, HOLDS, RATES, RESULTS, rows, write_page

from ecom_lab.experiments.report import means


@pytest.fixture
def page(tmp_path):
    """The page, without the space between its elements."""
    return re.sub(r">\s+<", "><", write_page(tmp_path).read_text())


def test_each_parameter_has_the_mean_of_each_result():
    """Of what varies, and of runs that are done; over the seeds."""
    frame = rows().assign(SEED=1)
    done = frame[frame.status == "done"]
    by_rate, by_hold = means(done, {"RATE": RATES, "HOLD": HOLDS, "SEED": [1, 2]})
    assert list(by_rate.columns) == ["RATE", *RESULTS]
    assert list(by_rate.RATE) == [0.0, 0.5]  # at a rate of 1, all have failed
    assert list(by_hold.HOLD) == HOLDS


def test_numbers_are_written_as_people_write_them(page):
    """Whole ones without a point, large ones with all their digits."""
    assert "<td>RATE</td><td>0, 0.5, 1</td>" in page
    assert "<td>0.5</td><td>1</td><td>1.25</td><td>done</td><td>1234566</td>" in page
    assert "<td>0.5</td><td>1235000</td>" in page


def test_each_failed_run_has_its_parameters_and_its_reason(page):
    for hold in ("0.5", "1", "2", "4", "8", "16"):
        assert f"<td>1</td><td>{hold}</td><td>{ERROR}</td>" in page


def test_what_did_not_vary_is_told_once(page):
    """Among the parameters, not again in every run."""
    assert page.count("STOCK") == 1
    assert "<td>STOCK</td><td>0.8</td>" in page
