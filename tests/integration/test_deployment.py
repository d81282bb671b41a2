"""A deployment on PostgreSQL: services with nothing but their environment (docs/DEPLOY.md)."""

import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import psycopg
import pytest
from outer import outer

from ecom.broker.lease import private_node
from ecom.bus import remove_topology
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

    def run_sql(self, n):
        """What the page has a superuser do; its n-th listing."""
        listing = re.findall(r"```sql\n(.+?)```", PAGE, re.DOTALL)[n]
        ours = re.sub(r"\becom_(\w+)", rf'"{self.name}_\1"', listing)
        with psycopg.connect(self._cluster.url, autocommit=True) as db:
            for statement in ours.strip().split("\n"):
                db.execute(statement)

    def database(self, role):
        """Where this role finds the database."""
        place = self._cluster.url.partition("@")[2].replace("/postgres?", "/ecom?")
        return f"postgresql://{self.name}_{role}:{role}-secret@{place}"

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
            it.run_sql(0)
            it.start("provisioner")
            wait_for(lambda: " Ready" in it.log("provisioner"), 60.0)
            it.run_sql(1)
            stock_shelves(Server(it.database("inventory"), it.name), {"TEA-COSY": 5})
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


def test_an_order_is_confirmed_by_services_that_have_only_their_environment(deployed, wait_for):
    """Placed over HTTP, paid at a provider and told by mail; and no process has left a file."""
    shown = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=deployed.http_url, headers=shown, timeout=30) as client:
        number = client.post("/orders", json=ORDER).json()["order_id"]
        wait_for(lambda: client.get(f"/orders/{number}").json()["state"] == "CONFIRMED")
    (moved,) = httpx.get(f"{deployed.outside.gateway_url}/ledger").json()
    assert (moved["order_id"], moved["outcome"], moved["amount"]) == (number, "captured", 2500)
    assert list(deployed.nowhere.iterdir()) == []


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
        node.management.define({"vhosts": [{"name": vhost}], "policies": [its]})
    finally:
        node.management.remove(vhost, ())
