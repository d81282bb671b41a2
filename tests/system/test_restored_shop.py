"""A shop whose databases, one by one, are restored from a copy made while it was open."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from ecom import Shop
from ecom.shop.records import Records
from ecom_lab.shop import SERVICES


def back_up(path, copy):
    """As docs/RESTORE.md says: SQLite's own way, which needs nobody to stop."""
    with closing(sqlite3.connect(path)) as db, closing(sqlite3.connect(copy)) as target:
        db.backup(target)


def restore(path, copy):
    """The copy in place of the database, whose journal must not outlive it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(copy, path)


def problems(shop):
    """What is off, but that the log has what inventory, coming to it in another order, did not do
    again: such as to commit stock for an order that was cancelled later."""
    return [each for each in shop.books().problems if "are in the audit log" not in each]


@pytest.mark.parametrize("service", SERVICES)
def test_a_shop_goes_on_with_one_database_restored_from_an_older_copy(
    service, broker, tmp_path, monkeypatch
):
    """Orders keep their customers and their money, and no number comes again."""
    monkeypatch.setenv("ECOM_TALLY_SECONDS", "0.2")
    folder, copy = tmp_path / "shop", tmp_path / "copy.db"
    wish = {"customer": "ada@example.com", "lines": {"KITE": 1}}
    with Shop({"KITE": 50}, folder=folder, amqp_url=broker) as shop:
        shop.place_many([wish] * 3)
        back_up(folder / f"{service}.db", copy)
        shop.place_many([{**wish, "customer": "hugo@example.com"}] * 3)
        shop.settle()
        shop.cancel("1002")
        shop.settle()
        before, ledger = shop.orders(), shop.ledger()
    restore(folder / f"{service}.db", copy)
    with Shop({"KITE": 50}, folder=folder, amqp_url=broker) as shop:
        new = shop.place("ines@example.com", {"KITE": 1})
        shop.wait_until(lambda: not problems(shop))
        shop.settle()
        after = shop.orders()
        assert after[after.order_id != new].reset_index(drop=True).equals(before)
        assert new not in set(before.order_id)
        assert sorted(shop.ledger().order_id) == sorted([*ledger.order_id, new])
        assert problems(shop) == []
        assert shop.dead.list().empty


def test_services_started_by_hand_get_back_from_a_command_what_the_log_knows(broker, tmp_path):
    """As they do where the shop is opened."""
    folder, copy = tmp_path / "shop", tmp_path / "copy.db"

    def put_back():
        command = [sys.executable, "-m", "ecom.shop.restore", folder]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout or done.stderr

    assert put_back() == f"There is no database {folder}/order.db.\n"

    with Shop({"KITE": 50}, folder=folder, amqp_url=broker) as shop:
        back_up(folder / "order.db", copy)
        shop.place_many([{"customer": "ada@example.com", "lines": {"KITE": 1}}] * 3)
        shop.settle()
    restore(folder / "order.db", copy)
    assert put_back() == "Orders put back: 3.\n"
    assert Records(folder).orders().state.tolist() == ["CONFIRMED"] * 3
    assert put_back() == "Orders put back: 0.\n"
