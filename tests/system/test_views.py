"""A service's database, opened by hand: views that read well, and a page of Datasette for each."""

import asyncio
import html
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from ecom import Shop
from ecom.runtime.service import Service
from ecom.shop.provision import provision, views_of
from ecom_lab.docs.datasette import metadata
from ecom_lab.shop import SAGA, SERVICES

DOCUMENT = Path(__file__).parents[2] / "docs" / "datasette.json"
ADA, HUGO = "ada@example.com", "hugo@example.com"


@pytest.fixture(scope="module")
def folder(broker, tmp_path_factory):
    """A shop's databases after a sale, a shortage, a refusal, and with a deadline still ahead."""
    folder = tmp_path_factory.mktemp("views") / "shop"
    with Shop({"TEAPOT": 5, "KITE": 3}, folder=folder, amqp_url=broker) as shop:
        shop.place_many(
            [
                {"customer": ADA, "lines": {"TEAPOT": 2, "KITE": 1}},
                {"customer": ADA, "lines": {"TEAPOT": 9}},
                {"customer": HUGO, "lines": {"KITE": 1}},
            ]
        )
        shop.place("odd@bounce.example", {"KITE": 1})  # its mail can never be sent
        shop.settle()
        shop.gateway(down=True)
        waiting = shop.place(ADA, {"KITE": 1})
        shop.wait_until(lambda: waiting in set(shop.table("payment", "effects").subject))
    return folder


@pytest.fixture
def read(folder):
    """All rows of a view, as sqlite-utils gives them."""

    def read(service, view):
        with closing(Database(folder / f"{service}.db")) as database:
            return list(database[view].rows)

    return read


@pytest.mark.parametrize("service", SERVICES)
def test_every_view_can_be_read_and_says_what_it_shows(folder, service, read):
    """By sqlite-utils, with its comment in the schema, and `about` names all there is."""
    with closing(Database(folder / f"{service}.db")) as database:
        assert database.view_names() == [*views_of(SAGA.services[service])]
        for view in database.views:
            assert re.search(r"\n-- [A-Z].+\.\n", view.schema), view.name
            list(view.rows)
        told = {row["name"] for row in read(service, "about")}
        assert told | {"about"} == {*database.table_names(), *database.view_names()}


def test_the_order_with_two_lines_is_two_rows(read):
    rows = [row for row in read("order", "orders_with_lines") if row["order_id"] == "1001"]
    lines = [(row["sku"], row["quantity"], row["unit_price"]) for row in rows]
    assert lines == [("TEAPOT", 2, 24.5), ("KITE", 1, 15.75)]
    assert {(row["state"], row["order_total"]) for row in rows} == {("CONFIRMED", 64.75)}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", rows[0]["placed"])


def test_the_shelves_and_the_money_are_counted(read):
    shelf = {
        row["sku"]: (row["on_the_shelf"], row["held"], row["sold"])
        for row in read("inventory", "stock_now")
    }
    assert shelf == {"TEAPOT": (3, 0, 2), "KITE": (0, 1, 2)}
    money = {row["state"]: row["amount"] for row in read("payment", "money_by_state")}
    assert money == {"CAPTURED": 80.5, "DECLINED": 15.75, "PENDING": 15.75, "CANCELLED": 0.0}


def test_a_saga_is_told_in_one_line(read):
    stories = {row["order_id"]: row["story"] for row in read("audit", "sagas")}
    assert stories["1002"] == "order.created → inventory.failed → order.cancelled"


def test_what_is_open_or_given_up_is_found(read):
    """The hold's deadline, the unanswered call, and the mail nobody can deliver."""
    assert [row["subject"] for row in read("inventory", "timers_running")] == ["1005"]
    (row,) = read("payment", "effects_open")
    assert row["key"].startswith("capture/1005/")
    dead = read("notification", "dead")
    assert [(row["reason"], row["subject"]) for row in dead] == [("effect failed", "1004")]
    assert "no such mailbox" in dead[0]["error"]


def test_unsent_and_waiting_messages_are_found(tmp_path):
    """Views of what a quiet shop does not have, on rows written by hand."""
    provision(SAGA, tmp_path)
    with closing(Database(tmp_path / "order.db")) as database:
        database["outbox"].insert(
            {
                "seq": 1,
                "id": "a",
                "type": "order.created",
                "subject": "1",
                "exchange": "events",
                "headers": "{}",
                "body": b'{"x":1}',
                "created_at": 0.0,
                "owner": "1",
            }
        )
        database["inbox"].insert(
            {
                "id": "b",
                "type": "payment.failed",
                "subject": "1",
                "at": 0.0,
                "state": "waiting",
                "attempts": 2,
                "due": 60.0,
            }
        )
        (unsent,) = database["outbox_unsent"].rows
        (waiting,) = database["inbox_waiting"].rows
    assert (unsent["body"], unsent["written"]) == ('{"x":1}', "1970-01-01 00:00:00")
    assert (waiting["attempts"], waiting["next_try"]) == (2, "1970-01-01 00:01:00")


def test_an_outdated_view_is_made_anew_and_a_current_one_left_alone(tmp_path):
    provision(SAGA, tmp_path)
    path = tmp_path / "payment.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("DROP VIEW money_by_state")
        database.execute("CREATE VIEW money_by_state AS SELECT 1 AS old")
        before = database.execute("PRAGMA schema_version").fetchone()[0]
        provision(SAGA, tmp_path)
        after = database.execute("PRAGMA schema_version").fetchone()[0]
        names = [row[1] for row in database.execute("PRAGMA table_info(money_by_state)")]
        provision(SAGA, tmp_path)
        assert database.execute("PRAGMA schema_version").fetchone()[0] == after > before
    assert names == ["state", "payments", "amount"]


def test_the_metadata_speaks_of_what_there_is(folder):
    """No table or column that it describes is missing, and no database goes without a word."""
    document = metadata()["databases"]
    assert document.keys() == {path.stem for path in folder.glob("*.db")}
    for name, described in document.items():
        with closing(Database(folder / f"{name}.db")) as database:
            assert described["tables"].keys() == {*database.table_names(), *database.view_names()}
            for table, told in described["tables"].items():
                assert told.get("columns", {}).keys() <= database[table].columns_dict.keys()


def test_datasette_shows_tables_and_views_with_a_sentence_on_each(folder):
    """Its own pages, of the real files, with the committed metadata: first and last of each."""
    app = pytest.importorskip("datasette.app", reason="datasette is not installed")
    files = sorted(map(str, folder.glob("*.db")))
    reader = app.Datasette(files, metadata=json.loads(DOCUMENT.read_text()))

    async def page(path):
        answer = await reader.client.get(path)
        assert answer.status_code == 200
        return html.unescape(answer.text)

    async def look_at_pages():
        for name, described in metadata()["databases"].items():
            if name in SERVICES:  # the first page leads to the view that tells of the others
                assert f'href="{name}/about">about</a>' in await page(f"/{name}")
            for table in list(described["tables"])[:: len(described["tables"]) - 1 or 1]:
                assert described["tables"][table]["description"] in await page(f"/{name}/{table}")

    asyncio.run(look_at_pages())


def test_a_service_of_ones_own_has_the_machinerys_views():
    """It need not come with any."""
    names = [*views_of(Service("bakery", (), {}))]
    assert "outbox_unsent" in names
    assert names[-1] == "about"
