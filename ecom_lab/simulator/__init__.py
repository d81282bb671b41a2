"""The laboratory: a simulator that runs the real handlers through everything that can happen.

`Model` is what can happen, `Explorer` goes through all of it, `PROPERTIES` says what must hold,
and `ablations` takes the safeguards away, one at a time. Start at `ecom_lab.simulator.model`.
"""
