"""Chaos: faults on real processes and a real broker, and whether anything went missing.

Where `ecom.lab` explores the code, this injects faults into the running system while customers
order, lets it come to rest, and counts as Jepsen does: what was attempted, acknowledged, lost,
unexpected, done twice. `ecom chaos --help` begins; `ecom.chaos.faults` has them all.
"""
