"""All faults, by name, in the order of the scorecard."""

from ecom_lab.chaos.fault import Fault
from ecom_lab.chaos.faults import (
    brokers,
    clusters,
    disks,
    failpoints,
    hostile,
    lines,
    races,
    services,
    soak,
    topologies,
)

FAMILIES = (
    services, failpoints, brokers, clusters, lines, disks, topologies, hostile, races, soak,
)  # fmt: skip
FAULTS: dict[str, Fault] = {fault.name: fault for family in FAMILIES for fault in family.FAULTS}
