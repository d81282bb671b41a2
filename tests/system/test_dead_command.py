"""`ecom dead` as a user meets it."""

import json
import uuid

from click.testing import CliRunner
from helpers import EXAMPLES, wire
from msgspec.structs import replace

from ecom import Shop
from ecom.amqp.blocking import operator
from ecom.cli.main import main
from ecom.contract.topology import dead_queue

LONG = "(and this is a long story, longer than a column of a table likes to be, but told whole)"


def failed(order):
    """A dead letter of inventory: money was captured for an order it does not know."""
    headers, body = wire(replace(EXAMPLES["payment.processed"], order_id=order), f"id-{order}")
    why = f"LookupError: no hold for order {order} {LONG}"
    return headers | {"dead-reason": "failed", "dead-exception": why}, body


def test_in_a_terminal(broker, tmp_path, monkeypatch):
    """list, show, dry-run, edit, replay, drop: each says what it did; mistakes get a sentence."""
    monkeypatch.setenv("ECOM_HOME", str(tmp_path))  # so that the broker is an external one
    monkeypatch.setenv("ECOM_AMQP_URL", broker)
    name = f"dead-{uuid.uuid4().hex[:8]}"

    def ecom(*arguments, **options):
        result = CliRunner().invoke(main, ["dead", *arguments, "--name", name], **options)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.output

    assert f"no shop '{name}'" in ecom("list")
    with Shop(name=name) as shop:
        assert ecom("list") == "No dead letters.\n"
        with operator(broker, "a test") as at:
            for n in range(4):
                at.send(dead_queue(name, "inventory"), *failed(str(n)))
        ids = [letter["id"] for letter in json.loads(ecom("list", "--json"))]
        assert f"LookupError: no hold for order … {LONG}\n" in ecom("list", "--groups")
        assert f"\n{ids[0]}  inventory " in ecom("list")
        assert "ce-id: id-1" in ecom("show", ids[1])
        assert ecom("dry-run", ids[0]).startswith("It would fail, and be tried again: LookupError")
        assert ecom("edit", ids[3], "--body", "-", input="{}") == "Replayed 1.\n"
        assert "not JSON" in ecom("edit", ids[0], "--body", "-", input="{")
        assert "no dead letter" in ecom("show", "nonsense")
        assert "Say which" in ecom("replay")
        assert ecom("replay", ids[0]) == "Replayed 1.\n"
        assert ecom("drop", "--all", "--reason", "a test") in [f"Dropped {n}.\n" for n in (2, 3, 4)]
        shop._workspace.is_named = False  # so that the broker forgets this test's queues
