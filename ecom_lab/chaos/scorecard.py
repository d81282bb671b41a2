"""All faults, by name, in the order of the scorecard: what each is, and how much of it."""

from functools import partial

from ecom.sagas.orchestration import orchestration
from ecom_lab.chaos.deployment import ON_HOSTS
from ecom_lab.chaos.environments import clustered, impatient, private, proxied, steady, watchful
from ecom_lab.chaos.fault import SHOP, Fault, Size
from ecom_lab.chaos.faults import (
    brokers,
    databases,
    hostile,
    hosts,
    outages,
    outcomes,
    services,
    soak,
)
from ecom_lab.chaos.hosts import apart, lack
from ecom_lab.chaos.testbed import salvo

_OF_SHOP = {"not_on": {"own": "it is about orders in a shop"}}
_ON_SERVER = {"not_on": {"files": "it is about a PostgreSQL: see --database"}, "bites": False}
_BUYERS = {"customers": outcomes.buyers, "stock": outcomes.last_units, "bites": False, **_OF_SHOP}
_WORLDS = {"customers": outcomes.customers, "stock": outcomes.stock, **_OF_SHOP}
_ON_HOSTS = {"environment": apart, "trial": ON_HOSTS, "replicas": 3, "bites": False}
_ON_HOSTS |= {"not_on": {"here": lack}, "fixed": "hosts have one setup, with all that it takes"}
_ROUNDS = 3 * len(services.points(orchestration(), SHOP.asked))

FAULTS: dict[str, Fault] = {fault.name: fault for fault in (
    Fault("service-kills", "SIGKILL of a random service every 0.5 to 2 s",
          salvo(services.kill, gap=(0.0, 1.0)), Size(300, 4), Size(10_000, 300)),
    Fault("frozen-services", "SIGSTOP past the heartbeat, then SIGCONT",
          salvo(services.freeze), Size(100, 1), Size(2_500, 50), impatient),
    Fault("rolling-restarts", "all services replaced one by one, releases N and N+1 mixed",
          services.roll, Size(100, 1), Size(10_000, 100), bites=False, **_OF_SHOP),
    Fault("failpoints", "os._exit before and after every durable step of every service",
          services.crash, Size(600, 8), Size(10_000, _ROUNDS), hold_seconds=2.0),
    Fault("broker-kills", "SIGKILL of the broker, and a restart",
          salvo(brokers.kill, gap=(0.5, 5.0)), Size(300, 1), Size(10_000, 10), private),
    Fault("broker-alarms", "alarms of memory and disk at the broker",
          salvo(*brokers.ALARMS, gap=(0.5, 2.0)),
          Size(100, 2, 1.5), Size(2_000, 6, 30.0), private, bites=False),
    Fault("cluster", "of three nodes: leader, follower, any killed; a node paused",
          salvo(*brokers.NODES, gap=(2.0, 5.0)),
          Size(200, 1, 5.0), Size(10_000, 12, 15.0), clustered),
    Fault("bad-lines", "TCP between service and broker cut, half-open, slow, clogged",
          salvo(*brokers.LINES, gap=(0.1, 0.5)), Size(400, 10), Size(10_000, 300), proxied),
    Fault("full-disks", "no room for a service's database",
          salvo(databases.full), Size(100, 3), Size(2_000, 20), bites=False,
          not_on=databases.NOT_FULL_ON),
    Fault("locked-databases", "a foreign writer holds a service's database, or all its rows",
          salvo(databases.busy), Size(100, 1), Size(2_000, 20), bites=False),
    Fault("database-kills", "SIGKILL of the server that has all rows, and a restart",
          salvo(databases.kill), Size(200, 2), Size(5_000, 30), steady, **_ON_SERVER),
    Fault("database-lines", "connections to it cut; the server frozen",
          salvo(databases.cut, databases.freeze), Size(200, 4), Size(5_000, 60), steady,
          **_ON_SERVER),
    Fault("topology", "queues deleted and unbound under load",
          salvo(brokers.delete_queue, brokers.unbind_queue, gap=(0.2, 1.5)),
          Size(200, 3), Size(5_000, 40), watchful, bites=False),
    Fault("hostile-messages", "malformed and hostile bodies and headers among the orders",
          hostile.bombard, Size(200, 10), Size(1_000, 1_000), bites=False, **_OF_SHOP),
    *(Fault(f"last-unit-{n}", f"one unit, {outcomes.BUYERS} buyers, {n} inventories",
            partial(outcomes.race, n), Size(150, 3), Size(15_000, 300), **_BUYERS) for n in (2, 4)),
    Fault("outcomes", "services killed; each order ends as a table says, of which many are races",
          outcomes.compare, Size(12, 3), Size(200, 40), hold_seconds=2.0, **_WORLDS),
    Fault("host-kills", "of three hosts one killed as a whole, primary, standby or neither on it",
          hosts.in_turn(*hosts.KILLS),
          Size(200, 3, 2.0), Size(3_000, 12, 10.0), **_ON_HOSTS),
    Fault("host-lines", "a host cut off, or from databases only, or slowed",
          hosts.in_turn(*hosts.BAD_LINES),
          Size(200, 3, 15.0), Size(3_000, 18, 15.0), **_ON_HOSTS),
    Fault("failovers", "the primary killed, or cut off and ended; its standby promoted",
          hosts.in_turn(hosts.fence, hosts.fail_over),
          Size(200, 2, 5.0), Size(3_000, 12, 15.0), **_ON_HOSTS),
    Fault("host-releases", "all services replaced host by host, releases N and N+1 mixed",
          hosts.roll, Size(200, 2), Size(2_000, 10), **_ON_HOSTS),
    Fault("outages", "inventory, payment, notification, broker, a database away for long",
          outages.outages, Size(200, len(outages.FIRST)), Size(9_000, len(outages.CELLS)),
          private, bites=False, hold_seconds=4.0),
    Fault("soak", "all faults mixed",
          soak.soak, Size(300, 1, 4.0), Size(20_000, 1_000, 1_800.0), proxied),
)}  # fmt: skip
