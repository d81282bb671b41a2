"""What the report says around its numbers."""

OPENING = """# Performance

Written by `make bench`; do not edit. {orders:,} orders a run, {runs} interleaved runs, medians;
{system}, {cores} cores, Python {python}.{absent}

Read the ratios, not the numbers: within each part all took turns on one broker and over the same
kind of quorum queues, with persistent messages and `synchronous=FULL` throughout. A ratio is the
median of the rounds' own ratios, not the quotient of the medians: what slows the machine down for
a while slows both sides of it.
*± %* is half the distance between the fastest and the slowest run."""

SECTIONS = {
    "Throughput": """From the first order accepted to the last database and queue at rest.

**ecom** takes its orders by HTTP and runs all five services, audit included, with inbox, outbox
and effects. Nobody below it does that much.

**floor** is the same messages (properties, sizes, queues, bindings, five processes) with pika, and
nothing else: no database, no decoding of bodies, no HTTP. Asyncio adapter, prefetch 1,000, one
acknowledgement for all that came together, pipelined confirms, frames written together.

**bare** is the floor once more, but past pika's codec: ecom reads and writes the frames of its own
messages itself (`ecom/amqp/codec.py`), which makes up for a part of what its guarantees cost. This
is what it would reach if they cost nothing.

**pika, faststream, celery, dramatiq, nameko** carry out the same choreography with the same rows
written to SQLite, audit and the ledgers of payment provider and mailbox included, each as its own
documentation leads one to write it (see `benchmarks/peers/`): persistent messages, publisher
confirms, quorum queues, acknowledged after the work. Their orders are placed by a process beside
them, without HTTP. They carry out a tenth of the orders. What they do not do: an outbox (a crash
between commit and publish loses the saga), an inbox (a redelivery is handled twice, and some of
their inserts then fail for ever), the deadlines of holds.""",
    "Latency of one order, idle, milliseconds": """From the order's being written down to its
being found CONFIRMED in the order service's database: four events through three services. HTTP is
not in it.""",
    "Scale": """Throughput should not depend on how many orders there are, were, or wait, nor
memory. On few cores, more processes of one service are no faster: each has smaller batches, and
they take turns at one database.""",
    "Intake": """`POST /orders`, sixteen requests at a time, the order service alone: accepted
means committed and on its way.""",
    "Start, seconds": "A shop is open when its door takes orders.",
    "Explorer": "The lab's search through every interleaving of the real handlers.",
}

CLOSING = """## Again

    benchmarks/peers/setup      # once: the peers' own environments
    make bench

`ecom bench --help` tells how to measure less, or in JSON."""
