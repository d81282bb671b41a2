"""How fast it is, beside what the broker could do at best and what people would pick instead.

Everything is measured in one run, on one broker, over the same quorum queues, in turns: a noisy
machine is noisy for all of them alike. Only the ratios travel from one machine to another.
"""
