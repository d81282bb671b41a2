"""A deployment on PostgreSQL: services with nothing but their environment (docs/DEPLOY.md)."""

import json
import os
import re
import subprocess
import sys
import uuid
from contextlib import nullcontext
from pathlib import Path

import httpx
import psycopg
import pytest
from outer import outer
from psycopg.errors import InsufficientPrivilege

from ecom import attach
from ecom.broker.lease import private_node
from ecom.broker.management import ask
from ecom.bus import remove_topology
from ecom.contract.topology import queue
from ecom.errors import OrderRefused, ShopError
from ecom.process import child
from ecom.process.databases import Server
from ecom.shop.provision import stock_shelves
from ecom_lab.shop import CONTRACT, SERVICES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "DEPLOY.md").read_text()
TOKEN = "a-token-of-the-checkout-for-tests"
LINE = {"sku": "TEA-COSY", "quantity": 2, "unit_price": 1250}
ORDER = {"customer": "lotte@example.com", "card": "4242424242424242", "lines": [LINE]}


class Deployed:
    """A shop's processes, and where they are found: by what they were told, and by their logs."""

    def __init__(self, broker, cluster, folder):
        self.name, self.broker = f"deployed-{uuid.uuid4().hex[:8]}", broker
        self._cluster, self.logs, self.nowhere = cluster, folder / "logs", folder / "nowhere"
        self.running = []
        self.logs.mkdir()
        self.nowhere.mkdir(0o500)

    def run_sql(self, n, url):
        """What the page has somebody do in the database; its n-th listing."""
        listing = re.findall(r"```sql\n(.+?)```", PAGE, re.DOTALL)[n]
        ours = re.sub(r"\becom_(\w+)", rf'"{self.name}_\1"', listing)
        with psycopg.connect(url, autocommit=True) as db:
            for statement in re.split(r"(?<=;)\n", ours.strip()):
                db.execute(statement)

    def database(self, role):
        """Where this role finds the database."""
        place = self._cluster.url.partition("@")[2].replace("/postgres?", "/ecom?")
        who = f"{self.name}_{role}:{role}-secret"
        return f"postgresql://{who}@{place}&target_session_attrs=read-write"

    def start(self, service, by_hand=False, **settings):
        """Start one: by hand, in an interpreter of its own; else forked, which is the same and
        costs less. All that it has is this environment."""
        told = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": "/dev/null/none",
            "ECOM_HOME": "/dev/null/none",
            "ECOM_AMQP_URL": self.broker,
            "ECOM_DATABASE_URL": self.database(service),
            "ECOM_SHOP": self.name,
            **settings,
        }
        with open(self.logs / service, "ab") as log:
            if by_hand:
                command = [sys.executable, "-m", "ecom.serve", service]
                it = subprocess.Popen(command, cwd=self.nowhere, env=told, stderr=log)
            else:
                it = child.start("ecom.serve:serve", [service], log=log, environment=told)
        self.running.append(it)
        return it

    def log(self, service):
        return (self.logs / service).read_text()

    def attached(self, role="reader", **options):
        """Held in a notebook, as this role."""
        return attach(self.database(role), self.broker, self.http_url, shop=self.name, **options)

    @property
    def http_url(self):
        return re.search(r" Ready .*http=(\S+)", self.log("order"))[1]


@pytest.fixture(scope="module")
def deployed(broker, cluster, tmp_path_factory, wait_for):
    """All services of a shop, two of them started by hand, on roles that have the page's rights."""
    it = Deployed(broker, cluster, tmp_path_factory.mktemp("deployed"))
    with outer(it.logs) as outside:
        outside.start("gateway")
        outside.start("mail")
        it.outside = outside
        try:
            it.run_sql(0, cluster.url)
            it.start("provisioner")
            wait_for(lambda: " Ready" in it.log("provisioner"), 60.0)
            it.run_sql(1, it.database("provisioner"))
            it.run_sql(2, it.database("provisioner"))
            stock_shelves(Server(it.database("inventory"), it.name), {"TEA-COSY": 9})
            it.start("order", by_hand=True, ECOM_HTTP_TOKEN=TOKEN)
            it.start("payment", by_hand=True, ECOM_GATEWAY_URL=outside.gateway_url)
            it.start("notification", ECOM_SMTP_URL=outside.smtp_url)
            it.start("inventory")
            it.start("audit")
            wait_for(lambda: all(" Ready " in it.log(each) for each in SERVICES), 60.0)
            yield it
            for each in it.running:
                each.terminate()
            assert [each.wait(30) for each in it.running] == [0] * len(it.running)
        finally:
            for each in it.running:
                each.kill()
                each.wait()
            remove_topology(CONTRACT, broker, it.name)


def test_an_order_is_confirmed_by_services_that_have_only_their_environment(deployed):
    """Placed over HTTP, paid at a provider and told by mail; and no process has left a file."""
    shown = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=deployed.http_url, headers=shown, timeout=30) as client:
        number = client.post("/orders", json=ORDER).json()["order_id"]
        with deployed.attached() as it:
            it.settle(60)
        assert client.get(f"/orders/{number}").json()["state"] == "CONFIRMED"
    ledger = httpx.get(f"{deployed.outside.gateway_url}/ledger").json()
    (moved,) = [each for each in ledger if each["order_id"] == number]
    assert (moved["outcome"], moved["amount"]) == ("captured", 2500)
    assert list(deployed.nowhere.iterdir()) == []


def test_a_deployment_is_read_and_ordered_from_as_a_shop_is(deployed):
    """By a role that only reads, and with the checkout's token; the provider shows its ledger."""
    url = deployed.outside.gateway_url
    with deployed.attached(token=TOKEN, gateway_url=url) as it:
        kept, undone = it.place_many([{"customer": "ada@example.com", "lines": [LINE]}] * 2)
        it.cancel(undone)
        assert it.watch(60).text.endswith("All is settled.")
        states = dict(it.orders()[["order_id", "state"]].values)
        assert (states[kept], states[undone]) == ("CONFIRMED", "CANCELLED")
        types = "order.created", "inventory.processed", "payment.processed", "inventory.committed"
        assert [*it.events(kept).type] == [*types, "order.confirmed"]
        assert f"Order {kept}: CONFIRMED" in repr(it.history(kept))
        assert kept in [*it.ledger().order_id]
        books = it.books()
        assert books.balanced, books
        assert str(books).endswith("captured and kept; not checked: customers' mailboxes")
    assert not it.folder.exists()


def test_what_cannot_be_seen_or_done_is_named(deployed):
    """Without the provider's address, a token, and a mailbox; nothing is assumed of them."""
    with deployed.attached() as it:
        books = it.books()
        assert books.unchecked == ("the payment provider's ledger", "customers' mailboxes")
        assert books.kept is None
        for ask, named in ((it.ledger, "gateway_url"), (it.emails, "mailboxes")):
            with pytest.raises(ShopError, match=named):
                ask()
        with pytest.raises(OrderRefused, match="token"):
            it.place("ada@example.com", [LINE])


@pytest.mark.parametrize("role", ["reader", "provisioner"])
def test_nothing_is_changed_over_these_connections(deployed, role):
    """The page's role has no right to; of another, which has, the server takes no change."""
    change = f'UPDATE "{deployed.name}_inventory".stock SET available = 0 WHERE false'
    with deployed.attached(role) as it:
        url = (it.folder / "database").read_text().split()[0]
    with psycopg.connect(url) as db, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        db.execute(change)
    may = nullcontext() if role == "provisioner" else pytest.raises(InsufficientPrivilege)
    with psycopg.connect(deployed.database(role)) as db, may:
        db.execute(change)


def test_dead_letters_are_read_from_rows_and_dropped_at_the_broker(
    deployed, put, tmp_path, monkeypatch
):
    """By an operator, in whose folder it is written what was dropped."""
    monkeypatch.chdir(tmp_path)
    with deployed.attached() as it:
        put(queue(deployed.name, "audit"), {}, b"junk")
        it.wait_until(lambda: len(it.dead_letters()))
        (letter,) = it.dead_letters().to_dict("records")
        assert (letter["service"], letter["reason"]) == ("audit", "malformed")
        assert it.dead.drop(it.dead.list(), "it was a test") == 1
        it.settle(60)
        assert it.dead_letters().empty
    assert json.loads((tmp_path / "dropped.log").read_text())["why"] == "it was a test"


@pytest.mark.parametrize(
    ("service", "variable"), [("payment", "ECOM_GATEWAY_URL"), ("notification", "ECOM_SMTP_URL")]
)
def test_a_service_without_its_world_outside_says_what_to_set(deployed, service, variable):
    """In its last line: there is no folder for a sandbox."""
    it = deployed.start(service, ECOM_REPLICA="2")
    deployed.running.remove(it)
    assert it.wait(30) == 1
    assert deployed.log(service).splitlines()[-1].startswith(f"{variable} is not set, and without")


def test_rabbitmq_takes_the_policy(broker):
    """Every key of it, for queues as ours are."""
    if (node := private_node(broker)) is None:
        pytest.skip("only at a private broker may we make policies")
    pattern, about, policy = re.search(
        r"set_policy -p ecom ecom '(.+?)' --apply-to (\w+) \\\n +'(.+?)'", PAGE
    ).groups()
    assert re.match(pattern, "ecom.order")
    vhost = f"policy-{uuid.uuid4().hex[:8]}"
    its = {"name": "ecom", "vhost": vhost, "pattern": pattern, "apply-to": about, "priority": 0}
    its["definition"] = json.loads(policy)
    try:
        said = {"vhosts": [{"name": vhost}], "policies": [its]}
        ask(node.http, "POST", "/definitions", said=said)
    finally:
        ask(node.http, "DELETE", f"/vhosts/{vhost}")
