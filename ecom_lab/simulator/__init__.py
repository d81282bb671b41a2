"""The laboratory: a simulator that runs the real handlers through everything that can happen.

`Model` is what can happen, `Explorer` goes through all of it, `PROPERTIES` says what must hold,
and `ablations` takes the safeguards away, one at a time. Start at `ecom_lab.simulator.model`.
The names here are what explores a saga of your own: see `docs/YOUR_OWN.md`.
"""

from ecom_lab.simulator.ablations.ablation import Ablation, answering, having, performing
from ecom_lab.simulator.counterexample import shortest
from ecom_lab.simulator.properties import ALWAYS, SETTLED, promises
from ecom_lab.simulator.scenario import Client, Sandbox, Scenario
from ecom_lab.simulator.suites import Job, explore

__all__ = [
    "ALWAYS",
    "SETTLED",
    "Ablation",
    "Client",
    "Job",
    "Sandbox",
    "Scenario",
    "answering",
    "explore",
    "having",
    "performing",
    "promises",
    "shortest",
]
