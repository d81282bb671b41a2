"""At which broker a shop lives: its folder says so, whoever asks, and whatever they use."""

import stat
import uuid

import pytest

from ecom.amqp import address as connecting
from ecom.amqp.blocking import operator
from ecom.broker.installation import BrokerUnavailable
from ecom.broker.lease import shared_node
from ecom.contract.topology import queue, users
from ecom.errors import ShopError
from ecom.harness import tenancy
from ecom.harness.tenancy import (
    address,
    forget,
    forget_abandoned,
    keep_broker,
    kept_broker,
    prepare,
)
from ecom_lab.shop import CONTRACT

ELSEWHERE = "amqp://ada:secret@127.0.0.1:9/%2F"  # where no broker is


@pytest.fixture
def folder(tmp_path, broker):
    """The folder of a shop that lives at the session's broker, beside those of other tests."""
    folder = tmp_path / f"test-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    keep_broker(folder, broker)
    prepare(CONTRACT, broker, folder.name)
    yield folder
    forget(CONTRACT, broker, folder.name)


def test_exchanges_are_there_before_the_rights_to_them():
    """RabbitMQ 4.3 refuses rights to the topics of any other."""
    passwords = dict.fromkeys(users(CONTRACT), "x")
    first, then = tenancy._definitions(CONTRACT, "tea", passwords, "operator")
    assert {(it["vhost"], it["exchange"]) for it in then["topic_permissions"]} == {
        (it["vhost"], it["name"]) for it in first["exchanges"]
    }


def test_the_private_broker_is_given_longer_than_a_service_gives_it(folder, broker, monkeypatch):
    """A service may have another node to go to, and tries again; an opening would only fail."""
    monkeypatch.setattr(connecting, "CONNECT_SECONDS", 1e-6)
    with pytest.raises(BrokerUnavailable, match="cannot be used"):
        prepare(CONTRACT, f"{broker}?heartbeat=30".replace("127.0.0.1", "localhost"), folder.name)
    assert prepare(CONTRACT, broker, folder.name)


def exists(folder, broker):
    try:
        with operator(address(broker, folder.name), "a test") as at:
            return at.send(queue(folder.name, "order"), {}, b"") is None
    except ShopError:
        return False


def test_an_abandoned_shop_is_forgotten_where_it_lived(folder, broker):
    """Not at the broker of whoever clears it away, which knows nothing of it."""
    assert exists(folder, broker)
    assert forget_abandoned(CONTRACT, ELSEWHERE, folder)
    assert not exists(folder, broker)


def test_an_abandoned_shop_whose_broker_is_away_stays(folder, broker, caplog):
    """Whoever comes while that broker is there clears it away; nobody else need hear of it."""
    keep_broker(folder, ELSEWHERE)
    assert not forget_abandoned(CONTRACT, broker, folder)
    assert exists(folder, broker)
    assert not [it for it in caplog.records if it.name.startswith("ecom")]


def test_the_note_is_for_the_owner_only_and_outlives_a_port(folder, broker, tmp_path, monkeypatch):
    """It may have a password in it; the private broker's address may change, so it has none."""
    keep_broker(folder, ELSEWHERE)
    assert kept_broker(folder) == ELSEWHERE
    assert stat.S_IMODE((folder / "broker").stat().st_mode) == 0o600
    keep_broker(folder, shared_node().url)
    assert kept_broker(folder) == ""
    assert kept_broker(tmp_path) is None
    monkeypatch.setenv("ECOM_HOME", str(tmp_path / "another"))  # whose private broker sleeps
    assert not forget_abandoned(CONTRACT, broker, folder)
