"""What an operator reads is what is: every place that counts says the same, all through a life."""

import json
import re
from pathlib import Path

import httpx
import pytest
import sqlite_utils
from click.testing import CliRunner
from scraping import families, value

from ecom import Shop
from ecom.cli.main import main
from ecom.cli.status import status_of
from ecom.harness.diagrams.live import glance
from ecom.shop.folder import monitor
from ecom_lab.shop import SERVICES

METRICS = {
    "unsent": ("ecom_outbox_unsent",),
    "effects": ("ecom_effects_pending",),
    "retries": ("ecom_inbox_waiting", "ecom_effects_retrying"),
    "dead": ("ecom_dead_letters_left",),
}
VIEWS = {
    "unsent": "SELECT count(*) FROM outbox_unsent",
    "effects": "SELECT count(*) FROM effects_open",
    "retries": "SELECT (SELECT count(*) FROM inbox_waiting)"
    " + (SELECT count(*) FROM effects_open WHERE attempts > 0)",
    "dead": "SELECT count(*) FROM dead",
}


@pytest.fixture(scope="module")
def shop(broker):
    with Shop({"TEAPOT": 10}, amqp_url=broker) as shop:
        yield shop


def counts(shop):
    """service → kind → what each place says: status, the view of `watch`, metrics, SQL, letters."""
    with monitor(shop.folder) as looking:
        watched = glance(looking).services
    status = status_of(shop.folder).services
    letters = shop.dead.list().service.value_counts()
    found = {}
    for service in SERVICES:
        note = json.loads((shop.folder / f"{service}-1.json").read_text())
        page = families(httpx.get(note["metrics"]).text)
        database = sqlite_utils.Database(shop.folder / f"{service}.db")
        found[service] = {
            kind: [
                status[service][kind],
                watched[service][kind],
                sum(value(page, name, service=service) for name in names),
                database.execute(VIEWS[kind]).fetchone()[0],
                *([int(letters.get(service, 0))] if kind == "dead" else []),
            ]
            for kind, names in METRICS.items()
        }
        database.close()
    return found


def agreed(shop, service, **expected):
    """Whether these numbers are what every place says, and all say the same of all others."""
    found = counts(shop)
    assert found[service].keys() >= expected.keys()
    return all(
        set(said) == {expected.get(kind, 0) if name == service else 0}
        for name, kinds in found.items()
        for kind, said in kinds.items()
    )


def test_every_place_counts_the_same_through_a_life(shop, wait_for):
    """Quiet; a capture tried in vain; a mail given up, replayed, given up again, and dropped."""
    assert agreed(shop, "payment")
    shop.gateway(down=True)
    shop.place("patient@example.com", {"TEAPOT": 1})
    wait_for(lambda: agreed(shop, "payment", effects=1, retries=1))
    shop.gateway()
    shop.settle()
    assert agreed(shop, "payment")
    shop.place("nobody@bounce.example", {"TEAPOT": 1})
    shop.settle()
    wait_for(lambda: agreed(shop, "notification", dead=1))
    tried = shop.dead.dry_run(shop.dead.list().id[0])
    assert not tried.is_good
    assert "what is answered then nobody knows; the last answer was:" in repr(tried)
    shop.dead.replay(shop.dead.list())
    shop.settle()
    wait_for(lambda: agreed(shop, "notification", dead=1))
    shop.dead.drop(shop.dead.list(), "moved away")
    shop.settle()
    assert agreed(shop, "notification")
    rows = shop.table("notification", "dead_letters")
    assert [*rows.state] == ["replayed", "dropped"]
    assert [*rows.why.fillna("")] == ["", "moved away"]
    assert rows.ended_at.notna().all()


def test_the_command_says_it_too(shop):
    """What `ecom status` prints is that, and says by which rule a retry ends."""
    said = CliRunner().invoke(main, ["status", "--name", "nowhere"])
    assert "There is no shop" in said.stderr
    assert "is tried until its outcome is known" in str(status_of(shop.folder))


def test_rabbitmqs_own_pages_are_found_and_count(shop, wait_for):
    """Status and shop say the address and where the password is; statistics are on."""
    said = status_of(shop.folder).rabbitmq
    assert said == shop.rabbitmq
    address, password = re.fullmatch(r"(\S+) \(user ecom, its password is in (.+)\)", said).groups()
    login = "ecom", json.loads(Path(password).read_text())["password"]

    def statistics():
        url = f"{address}/api/queues/{shop.name}/{shop.name}.audit"
        return "message_stats" in httpx.get(url, auth=login, trust_env=False).json()

    shop.place("ada@example.com", {"TEAPOT": 1})
    wait_for(statistics)
