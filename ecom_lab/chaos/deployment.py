"""A shop on three hosts, as docs/DEPLOY.md has it: a node of a RabbitMQ cluster and a replica of
every service on each, PostgreSQL on one, its synchronous standby on another. What is outside
(payment provider, mail server) is on a fourth, to which nothing happens.
"""

import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg

from ecom.broker.installation import environment, find_rabbitmq
from ecom.broker.node import CONFIGURATION, FILES
from ecom.contract.topology import PROVISIONER
from ecom.harness.postgres import OPTIONS, find_postgres, other_user
from ecom.harness.processes import Member
from ecom.process.databases import Server
from ecom.runtime.saga import Saga
from ecom.sandbox import SERVERS
from ecom.settings import made, write_private
from ecom.shop.attached import attach
from ecom.shop.folder import keep_token
from ecom.shop.provision import provision
from ecom.stores.reader import SERVER
from ecom_lab.chaos.environments import clustering, passing_folder
from ecom_lab.chaos.fault import Fault, ShopTrial, Size
from ecom_lab.chaos.hosts import START_SECONDS, Host, address
from ecom_lab.chaos.testbed import wait_for
from ecom_lab.chaos.workload import Orders

HOSTS, OUTSIDE = (1, 2, 3), 4
PORTS = {"amqp": 5672, "http": 15672, "dist": 25672, "epmd": 4369}
HTTP_PORT = 8000
ROOT = Path(__file__).parents[2]
AGAIN = ("sh", "-c", 'until "$@"; do sleep 1; done', "sh")  # until a command ends well


class Database:
    """A PostgreSQL on two hosts: what is committed is on both of them. The network is sealed, so
    it asks for no passwords."""

    def __init__(self, folder: Path, primary: Host, standby: Host) -> None:
        self.folder, self.primary, self.standby = folder, primary, standby
        user = other_user()
        os.chown(folder, user["user"], user["group"])
        who = f"--reuid={user['user']}", f"--regid={user['group']}", "--clear-groups"
        self._as, self._programs = ("setpriv", *who), find_postgres()
        data, told = self._data(primary), ("--username=ecom", "--auth=trust", "--encoding=UTF8")
        self._call(primary, "initdb", *told, "--locale=C", "--no-sync", f"--pgdata={data}")
        (data / "pg_hba.conf").write_text("host all,replication all all trust\n")
        self.start(primary)
        self.follow()

    def url(self, *hosts: Host) -> str:
        """Where a superuser finds it: on these hosts, or on that which takes writes."""
        places = ",".join(address(it.number, "back") for it in hosts) or "10.0.1.1,10.0.1.2"
        attribute = "any" if hosts else "read-write"
        return f"postgresql://ecom@{places}/postgres?target_session_attrs={attribute}"

    def start(self, host: Host) -> None:
        """Start what is on this host, as what it was."""
        data = self._data(host)
        (data / "postmaster.pid").unlink(missing_ok=True)  # of another life of the host
        command = self._programs / "postgres", "-D", data, "-k", ""
        options = OPTIONS | {"listen_addresses": "*", "wal_sender_timeout": "5s"}
        told = (f"--{name}={value}" for name, value in options.items())
        host.run(*self._as, *command, *told, log="postgres.log")
        wait_for(lambda: self._answers(self.url(host), "SELECT 1"), START_SECONDS, "PostgreSQL")

    def follow(self) -> None:
        """Make the standby anew, of what the primary has; which from then on waits for it."""
        data, name = self._data(self.standby), f"host{self.standby.number}"
        shutil.rmtree(data, ignore_errors=True)
        place = f"{self.url(self.primary)}&application_name={name}"
        how = "-R", "-C", "-S", name, "--checkpoint=fast", "--no-sync"
        self._call(self.standby, "pg_basebackup", "-d", place, "-D", data, *how)
        self.start(self.standby)
        with psycopg.connect(self.url(self.primary), autocommit=True) as db:
            db.execute(f"ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 ({name})'")
            db.execute("SELECT pg_reload_conf()")

    def restore(self, host: Host) -> None:
        """Start what was on a host that was away, if anything: as a standby, whatever it was."""
        if host is self.standby and (self._data(host) / "standby.signal").exists():
            self.start(host)
        elif host is self.standby:
            self.follow()
        shown = "SELECT 1 FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"
        place = self.url(self.primary)
        wait_for(lambda: self._answers(place, shown), START_SECONDS, "the standby")

    def kill(self) -> None:
        """SIGKILL of the primary, whose host goes on."""
        pid = (self._data(self.primary) / "postmaster.pid").read_text().split()[0]
        self.primary.call("sh", "-c", 'kill -KILL "$0"', pid)

    def promote(self) -> None:
        """The standby, which waits for nobody, is the primary; the primary must have ended."""
        self._call(self.standby, "pg_ctl", "promote", "-D", self._data(self.standby))
        self.primary, self.standby = self.standby, self.primary

    def _call(self, host: Host, program: str, *words: str | Path) -> None:
        host.call(*self._as, self._programs / program, *words)

    def _data(self, host: Host) -> Path:
        return self.folder / str(host.number)

    def _answers(self, place: str, statement: str) -> bool:
        try:
            with psycopg.connect(place, connect_timeout=5) as db:
                return db.execute(statement).fetchone() is not None
        except psycopg.OperationalError:
            return False


class Deployment:
    """The shop as who attaches to it sees it, and an operator's hands on its hosts."""

    name = "deployed"

    def __init__(self, saga: Saga, folder: Path, amqp_url: str, stock: Mapping[str, int]) -> None:
        self.saga, self.folder, self._stock = saga, folder, stock
        self._amqp_url, self._cookie = amqp_url, secrets.token_hex(16)
        self.hosts: dict[int, Host] = {}
        self.processes = self  # as a `Runner` has them
        self._running: dict[Member, Any] = {}  # what looks after a service
        # What every process is told: where Python is, and who is outside.
        self._told = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        for n, server in enumerate(SERVERS.values()):
            self._told[server.variable] = server.url.format("", address(OUTSIDE), HTTP_PORT + n)

    def __enter__(self) -> "Deployment":
        with ExitStack() as closing:
            self.token = keep_token(made(self.folder))
            folder = closing.enter_context(passing_folder())
            for number in (*HOSTS, OUTSIDE):
                self.hosts[number] = Host(number, self.folder / f"host-{number}")
                closing.callback(self.hosts[number].kill)
            self.database = Database(folder, self.hosts[1], self.hosts[2])
            self._open()
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _open(self) -> None:
        server = Server(self.database.url(), self.name)
        urls = provision(self.saga, self.folder, self._stock, server)
        self._urls = {PROVISIONER: server.url, **urls}
        write_private(self.folder / SERVER, f"{server.url}\n{self.name}")
        for name in SERVERS:
            told = {**self._told, "ECOM_FOLDER": str(self.folder)}
            command = sys.executable, "-m", "ecom.sandbox", name
            self.hosts[OUTSIDE].run(*command, log=f"{name}.log", told=told)
        for number in HOSTS:
            self.start_broker(number)
        self.start((PROVISIONER, "1"))

    def start_broker(self, number: int) -> None:
        """Start a host's node: it joins those before it."""
        host, scripts = self.hosts[number], find_rabbitmq()
        folder = made(host.folder / "broker")
        made(folder / "none")
        places = [f'{{host, {{10,0,0,{n}}}, ["host{n}"]}}.' for n in HOSTS]
        options = CONFIGURATION.read_text().format(
            password=urlsplit(self._amqp_url).password,
            http=PORTS["http"],
            more=clustering([f"ecom@host{n}" for n in HOSTS[:number]]),
        )
        names = "\n".join([*places, FILES["inetrc"]])
        more = {".erlang.cookie": self._cookie, "rabbitmq.conf": options, "inetrc": names}
        for name, text in (FILES | more).items():
            write_private(folder / name, text)
        told = environment(scripts, folder, "ecom", PORTS, "hosts")
        told |= {"RABBITMQ_NODENAME": f"ecom@host{number}", "RABBITMQ_NODE_IP_ADDRESS": "0.0.0.0"}
        told |= {"RABBITMQ_CTL_ERL_ARGS": "", "ERL_EPMD_ADDRESS": address(number)}
        told["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] = "+S 2:2 +sbwt none -kernel net_ticktime 8"
        (folder / "pid").unlink(missing_ok=True)
        host.run(scripts / "rabbitmq-server", log="broker.log", told=told)
        seconds = str(int(START_SECONDS))
        host.call(scripts / "rabbitmqctl", "wait", "--timeout", seconds, folder / "pid", told=told)

    def restore(self, host: Host) -> None:
        """Start all that a host had, which has been switched on again; PostgreSQL as a standby."""
        number = host.number
        self.database.restore(host)
        self.start_broker(number)
        if number == 1:
            self.start((PROVISIONER, "1"))
        self.start(*((service, str(number)) for service in self.saga.services))

    # ── services ──────────────────────────────────────────────────────────────────────────────
    def start(self, *members: Member, module: str = "ecom.serve", **more: str) -> None:
        """Start these services, replica n on host n, and wait until each is ready. One that ends by
        itself is started again, as by a service manager."""
        logs = {}
        for service, replica in members:
            host, name = self.hosts[int(replica)], f"{service}.log"
            logs[host.folder / name] = _times_ready(host.folder / name)
            command = *AGAIN, sys.executable, "-m", module, service
            told = {**self._environment(service, host.number), **more}
            self._running[service, replica] = host.run(*command, log=name, told=told)
        for log, before in logs.items():
            wait_for(lambda: _times_ready(log) > before, START_SECONDS, str(log))  # noqa: B023

    def leave(self, *members: Member) -> None:
        """Have these services end cleanly."""
        for member in members:
            *_, it = psutil.Process(self._running[member].pid).children(recursive=True)
            it.terminate()
        for member in members:
            self._running[member].wait(START_SECONDS)

    def _environment(self, service: str, number: int) -> dict[str, str]:
        """All that a service is told: nothing of a folder."""
        return {
            **self._told,
            "ECOM_AMQP_URL": self.amqp_url(number),
            "ECOM_DATABASE_URL": self._urls[service],
            "ECOM_SHOP": self.name,
            "ECOM_REPLICA": str(number),
            "ECOM_HTTP_HOST": "0.0.0.0",
            "ECOM_HTTP_PORT": str(HTTP_PORT),
            "ECOM_HTTP_TOKEN": self.token,
        }

    def amqp_url(self, number: int) -> str:
        """Where the brokers are: a host's own first. A node that is away, power and all, is noticed
        by its silence."""
        places = [address(it) for it in sorted(HOSTS, key=lambda it: (it - number) % len(HOSTS))]
        parts = urlsplit(self._amqp_url)
        netloc = f"{parts.username}:{parts.password}@{','.join(places)}"
        return parts._replace(netloc=netloc, query="heartbeat=10").geturl()

    def http_url(self, number: int) -> str:
        """Where the HTTP API of a host is."""
        return f"http://{address(number)}:{HTTP_PORT}"

    def attached(self) -> Any:
        """The shop, held in a notebook."""
        where = self.database.url(self.database.primary), self.amqp_url(1), self.http_url(1)
        gateway = self._told["ECOM_GATEWAY_URL"]
        return attach(*where, gateway, shop=self.name, token=self.token)

    def settle(self, seconds: float) -> None:
        """Wait until it is settled. Raises `NotSettled`."""
        with self.attached() as it:
            it.settle(seconds)


def _times_ready(log: Path) -> int:
    return log.read_text().count(" Ready") if log.exists() else 0


class HostsTrial(ShopTrial):
    """The shop on three hosts, whose customers ask one after the other."""

    def runner(self, fault: Fault, size: Size, **where: Any) -> Any:
        saga, stock = fault.saga(fault.hold_seconds), fault.stock(size.orders)
        return Deployment(saga, where["folder"], where["amqp_url"], stock)

    def workload(self, shop: Any, fault: Fault, size: Size, seed: int) -> Orders:
        customers, places = fault.customers(size.orders, seed), cycle(map(shop.http_url, HOSTS))
        return Orders(customers, lambda: next(places), shop.token, seed)


ON_HOSTS = HostsTrial()
