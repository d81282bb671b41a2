"""The contract as documents: current, valid, and true of what is really said."""

import copy
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers import EXAMPLES, wire
from jsonschema import Draft7Validator
from lamps import lamps
from listening import listening, say_everything

from ecom import Shop
from ecom.cli.main import main
from ecom.contract import topology
from ecom.contract.envelope import ATTRIBUTES, REQUIRED, Refused, decode, is_id
from ecom.errors import ShopError
from ecom_lab.docs.asyncapi import SHOP, asyncapi
from ecom_lab.docs.command import written
from ecom_lab.docs.table import BEGIN, renewed
from ecom_lab.shop import CONTRACT, EVENTS, SERVICES

DOCS = Path(__file__).parents[2] / "docs"
OFFICIAL = json.loads((Path(__file__).parents[1] / "asyncapi" / "3.0.0.json").read_text())
AGAIN = "run `ecom documents`, and commit what it writes"


@pytest.fixture(scope="module")
def document():
    """The AsyncAPI document."""
    return json.loads((DOCS / "asyncapi.json").read_text())


@pytest.mark.parametrize("name", ["asyncapi.json", "openapi.json", "datasette.json"])
def test_the_committed_document_is_what_the_code_says(name):
    assert json.loads((DOCS / name).read_text()) == json.loads(written()[name]), AGAIN


def test_the_committed_table_of_events_is_what_the_code_says():
    text = (DOCS / "EVENTS.md").read_text()
    assert renewed(CONTRACT, text) == text, AGAIN


def test_a_page_without_a_place_for_the_table_is_told_what_is_missing():
    with pytest.raises(ShopError, match=BEGIN):
        renewed(CONTRACT, "# Events\n")


def test_the_command_writes_the_documents_and_renews_the_table(tmp_path):
    """And leaves what is around the table as it was."""
    text = (DOCS / "EVENTS.md").read_text()
    (tmp_path / "EVENTS.md").write_text(text.replace("| `order.confirmed` |", "| `gone` |"))
    said = CliRunner().invoke(main, ["documents", str(tmp_path)], catch_exceptions=False)
    names = ["asyncapi.json", "openapi.json", "datasette.json", "EVENTS.md"]
    assert said.output.split() == [str(tmp_path / name) for name in names]
    for name in names:
        assert (tmp_path / name).read_text() == (DOCS / name).read_text(), AGAIN


def test_the_document_is_valid_asyncapi(document):
    """By AsyncAPI's own JSON Schema; which would say if it were not."""
    official = Draft7Validator(OFFICIAL)
    assert [error.message for error in official.iter_errors(document)] == []
    for path, value in [
        (("channels", "order.created", "bindings", "amqp", "exchange", "type"), "tropical"),
        (("operations", "order.consumes", "action"), "listen"),
        (("components", "schemas", "Line", "properties", "sku", "maxLength"), "64"),
    ]:
        broken = copy.deepcopy(document)
        at = broken
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        assert not official.is_valid(broken), path


def references(part):
    """Every `$ref` in the document."""
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for each in part.values():
            yield from references(each)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)


def at(document, reference):
    """What a `$ref` refers to."""
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


def test_every_reference_leads_somewhere(document):
    assert all(at(document, reference) for reference in references(document))


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_publishes_and_consumes_what_the_code_has_it(document, service):
    """Operations, channels and bindings tell the same story as events and topology."""
    operations = document["operations"]
    says = [key for key, kind in EVENTS.items() if kind.producer == service]
    assert [f"{service}.publishes.{key}" for key in says] == [
        name for name in operations if name.startswith(f"{service}.publishes.")
    ]
    heard = at(document, operations[f"{service}.consumes"]["channel"]["$ref"])
    assert heard["address"] == topology.queue(SHOP, service)
    assert set(heard["messages"]) == {
        key for key in EVENTS if service in (*CONTRACT.listeners(key), "audit")
    }
    keys = [key for queue, key in topology.bindings(CONTRACT, SHOP) if queue == heard["address"]]
    assert heard["bindings"]["amqp"]["x-bindings"] == keys


def test_the_user_is_named_who_may_say_an_event(document):
    """`user_id` is required: the operation says whose, the description that."""
    for key, kind in EVENTS.items():
        operation = document["operations"][f"{kind.producer}.publishes.{key}"]
        assert operation["bindings"]["amqp"]["userId"] == f"{{shop}}.{kind.producer}"
    assert "`user_id` is required" in document["info"]["description"]


def validator(document, schema):
    """Of one part of the document, in the light of all of it."""
    return Draft7Validator({**schema, "components": document["components"]})


def described(document, key, headers, body):
    """Whether the document describes this message."""
    message = document["components"]["messages"][key]
    whole = {"properties": {"headers": message["headers"], "payload": message["payload"]}}
    return validator(document, whole).is_valid({"headers": headers, "payload": json.loads(body)})


@pytest.mark.parametrize("key", EVENTS)
def test_each_example_is_an_event_that_we_would_take(document, key):
    """It fits its own schema, and our strict reader reads it."""
    (example,) = document["components"]["messages"][key]["examples"]
    body = json.dumps(example["payload"]).encode()
    assert described(document, key, example["headers"], body)
    assert type(decode(CONTRACT, example["headers"], body)[1]) is EVENTS[key]


@pytest.fixture(scope="module")
def heard(broker):
    """All that a shop says in a story with every event there is."""
    with Shop(amqp_url=broker) as shop, listening(shop) as so_far:
        say_everything(shop, so_far)
        return shop.name, so_far()


def test_every_event_that_is_really_said_is_as_the_document_says(document, heard):
    """Headers, body, content type, persistence, and who said it; all eleven are among them."""
    shop, events = heard
    for key, properties, body in events:
        assert described(document, key, properties.headers, body), (key, properties, body)
        message = document["components"]["messages"][key]
        operation = document["operations"][f"{EVENTS[key].producer}.publishes.{key}"]
        assert properties.content_type == message["contentType"]
        binding = operation["bindings"]["amqp"]
        assert properties.delivery_mode == binding["deliveryMode"]
        assert properties.user_id == binding["userId"].replace(SHOP, shop)
        assert properties.message_id == properties.headers["ce-id"]
    assert {each.key for each in events} == EVENTS.keys()


def harmed(headers, body):
    """Messages that are not quite right, and what is wrong with each."""
    for name in headers:
        if name not in ("ce-traceparent", "ce-sequence"):  # without these we do, if need be
            yield name, {key: value for key, value in headers.items() if key != name}, body
            yield f"{name} is a number", headers | {name: 1}, body
            yield f"{name} with a line break", headers | {name: f"{headers[name]}\n"}, body
    value = json.loads(body)
    for name in value:
        for wrong in (None, True, -1, 1.5, [], "\n", "x" * 300):
            yield f"{name} is {wrong!r}", headers, json.dumps(value | {name: wrong}).encode()


@pytest.mark.parametrize("key", EVENTS)
def test_the_document_refuses_what_we_refuse(document, key):
    """A client that follows it never has an event refused; one that checks is as strict as we."""
    headers, body = wire(EXAMPLES[key])
    assert described(document, key, headers, body)
    for what, bad_headers, bad_body in harmed(headers, body):
        try:
            taken = bool(decode(CONTRACT, bad_headers, bad_body))
        except Refused as refused:
            taken = "ce-subject is not the order" in str(refused)  # no schema can say that
        if "held_until" not in what:  # a time of any form is text to a schema
            assert described(document, key, bad_headers, bad_body) == taken, what


@pytest.mark.parametrize("text", ["a", "", "a b", "a\n", "x" * 128, "x" * 129, "é", "/:._-9Z"])
def test_the_document_knows_what_an_id_is(document, text):
    its = document["components"]["schemas"]["Envelope"]["properties"]["ce-id"]
    assert Draft7Validator(its).is_valid(text) == is_id(text)


def test_the_document_requires_the_attributes_that_the_code_does(document):
    """And knows the others that we send."""
    its = document["components"]["schemas"]["Envelope"]
    assert its["required"] == ["ce-specversion", *REQUIRED]
    assert list(its["properties"]) == list(ATTRIBUTES)


def test_another_trades_contract_makes_a_document_of_its_own():
    """The document is a function of a contract: no word of the shop is in that of the lamps."""
    contract = lamps().contract
    document = asyncapi(contract, {})
    assert set(document["channels"]) >= {"sensor.dusk", "queue.lamp"}
    assert "lamp.publishes.lamp.dimmed" in document["operations"]
    assert not re.findall("order|payment|inventory", json.dumps(document["channels"]))
