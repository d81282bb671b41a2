"""Where a private RabbitMQ keeps its data when it is upgraded."""

import pytest

from ecom.broker.installation import BrokerUnavailable, check_data, data_folder


@pytest.mark.parametrize(
    ("there", "release", "where"),
    [
        ([], "3.10.8", "data-3.10"),
        (["data-3.10"], "3.10.25", "data-3.10"),
        (["data-3.10.8"], "3.10.9", "data-3.10.8"),  # as earlier releases of ecom named it
        (["data-3.10.8", "data-3.10.12", "data-3.9.30"], "3.10.13", "data-3.10.12"),
        (["data-3.1", "data-3.10"], "3.1.5", "data-3.1"),
        (["data-4.2", "data-4.3"], "4.3.0-rc.1", "data-4.3"),
    ],
)
def test_another_release_of_the_same_series_goes_on_with_what_is_there(
    tmp_path, there, release, where
):
    for name in there:
        (tmp_path / name).mkdir()
    check_data(tmp_path, release)
    assert data_folder(tmp_path, release).name == where


def test_another_series_is_refused_in_a_sentence_that_keeps_what_is_there(tmp_path):
    """It names both, and a way to go on with either."""
    (tmp_path / "data-3.10.8").mkdir()
    with pytest.raises(BrokerUnavailable, match=r"3\.10, and 4\.3\.1 .*Nothing is lost.*ECOM_HOME"):
        check_data(tmp_path, "4.3.1")
    assert [each.name for each in tmp_path.iterdir()] == ["data-3.10.8"]
