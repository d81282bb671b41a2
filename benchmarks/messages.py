"""The messages of one order that succeeds, in their order, as they are on the wire."""

from itertools import pairwise

import msgspec

from ecom_lab.docs.examples import examples

_EVENTS = (
    "order.created",
    "inventory.processed",
    "payment.processed",
    "inventory.committed",
    "order.confirmed",
)
_SEEN = examples()
WIRE = {key: (_SEEN[key][0], msgspec.json.encode(_SEEN[key][1])) for key in _EVENTS}
FOLLOWING = dict(pairwise((*_EVENTS, None)))
