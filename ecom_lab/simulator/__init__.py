"""The laboratory: a simulator that runs the real handlers through everything that can happen.

`World` is what can happen, `Explorer` goes through all of it, `INVARIANTS` says what must hold,
and `ablations` takes the safeguards away, one at a time. Start at `ecom_lab.simulator.model`.
"""
