"""What a notebook defines goes to the processes of its services: events, rows, handlers."""

import pickle
import subprocess
import sys

import msgspec
import pytest

from ecom.harness.carried import carried

# A notebook's cells: two services of which one greets the other, and keeps what it has heard.
CELLS = '''
from typing import Annotated
from msgspec import Meta, field, json
from ecom import Contract, Event, Row, Saga, Service
from ecom.harness.carried import carried

class Greeted(Event, frozen=True):
    """Somebody was greeted."""
    key, producer = "host.greeted", "host"
    guest: Annotated[str, Meta(max_length=5)]
    words: list[str] = field(default_factory=list)
    loudly: bool = True

class Guest(Row, frozen=True):
    """Who was greeted."""
    table = "guests"
    name: str

def hear(greeted, work):
    work[Guest].put(Guest(greeted.guest))

doors = Service("door", (Guest,), {Greeted: hear})
contract = Contract("party", (Greeted,), {"host": (), "door": (Greeted.key,)})
saga = Saga(contract, {"host": Service("host", (), {}), "door": doors})
'''


def test_a_saga_of_a_notebook_is_the_same_elsewhere():
    """Here, where none of it was defined: fields, bounds, defaults, words, and which is which."""
    there = f"{CELLS}\nimport sys\nsys.stdout.buffer.write(carried(saga))"
    done = subprocess.run([sys.executable, "-c", there], capture_output=True, check=True)
    saga = pickle.loads(done.stdout)
    (greeted,) = saga.contract.events
    (handled,) = saga.services["door"].handlers
    assert greeted is handled
    assert greeted("ada") == msgspec.json.decode(b'{"guest": "ada"}', type=greeted)
    assert (greeted("ada").words, greeted("ada").loudly) == ([], True)
    assert (greeted.key, greeted.__doc__) == ("host.greeted", "Somebody was greeted.")
    kept = {}
    saga.services["door"].handlers[greeted](greeted("ada"), Books(kept))
    assert [(row.table, row.name) for row in kept.values()] == [("guests", "ada")]


def test_its_bounds_hold_there_too():
    """As the services check what comes."""
    cells = {"__name__": "__main__"}
    exec(CELLS, cells)
    (greeted,) = pickle.loads(carried(cells["saga"])).contract.events
    assert greeted is not cells["Greeted"]
    with pytest.raises(msgspec.ValidationError, match="length <= 5"):
        msgspec.json.decode(b'{"guest": "everybody"}', type=greeted)


class Books:
    """As much of a unit of work as the handler needs."""

    def __init__(self, kept):
        self.kept = kept

    def __getitem__(self, kind):
        self.kind = kind
        return self

    def put(self, row):
        assert type(row) is self.kind
        self.kept[row.name] = row
