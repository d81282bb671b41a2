"""Events are for ever: what was ever said can be read, and no change makes it unreadable."""

import copy
import json
from pathlib import Path

import msgspec
import pytest

from ecom.contract.envelope import decode
from ecom_lab.docs.asyncapi import bodies
from ecom_lab.shop import CONTRACT, EVENTS

RECORDED = Path(__file__).parents[1] / "recorded"
PHOTOGRAPH = RECORDED / "schema.json"
EVER_SAID = [
    (path.stem, said)
    for path in sorted(RECORDED.glob("*.*.json"))
    for said in json.loads(path.read_text())
]


@pytest.mark.parametrize(
    ("key", "said"), EVER_SAID, ids=[f"{key} {said['what']}" for key, said in EVER_SAID]
)
def test_what_was_ever_said_is_read_as_it_was_meant(key, said):
    """Each recorded event, byte for byte: every field is there still, with the value it had."""
    envelope, event = decode(CONTRACT, said["headers"], said["body"].encode())
    assert (type(event), envelope.id) == (EVENTS[key], said["headers"]["ce-id"])
    assert holds(msgspec.to_builtins(event), said["reads"])


def holds(now, then):
    """Whether all that was there then is there now; fields may have been added since."""
    if isinstance(then, dict):
        return all(name in now and holds(now[name], value) for name, value in then.items())
    if isinstance(then, list):
        return len(now) == len(then) and all(map(holds, now, then))
    return now == then


def test_every_event_type_is_on_record():
    assert {key for key, _ in EVER_SAID} == EVENTS.keys(), "record one: see docs/EVENTS.md"


def photograph():
    """The fields of all event types and of what they hold, as they are now."""
    schemas = bodies(CONTRACT)
    about = {key: (kind.__name__, kind.producer, kind.version) for key, kind in EVENTS.items()}
    parts = schemas.keys() - {name for name, _, _ in about.values()}
    about |= {name: (name, None, None) for name in parts}
    return {
        key: {"said by": producer, "version": version, "fields": fields(schemas[name])}
        for key, (name, producer, version) in about.items()
    }


def fields(schema):
    required = schema.get("required", [])
    return {
        name: {**field, "required": name in required}
        for name, field in schema["properties"].items()
    }


def complaints(then, now):
    """One sentence about each change that would make old events, or old readers, useless."""
    for key, old in then.items():
        if key not in now:
            yield f"{key} is gone, and old events of it are not: bring it back."
            continue
        new = now[key]
        if new["said by"] != old["said by"]:
            yield f"{key} is said by another service: take that back, and add a new event type."
        for name, field in old["fields"].items():
            if name not in new["fields"]:
                yield (
                    f"{key}: the field {name!r} is gone, or renamed. Bring it back; to be rid "
                    "of it, add a new event type."
                )
            elif new["fields"][name] != field:
                yield (
                    f"{key}: the field {name!r} was {field} and is {new['fields'][name]}. Take "
                    "that back; add a field with a default, or a new event type."
                )
        yield from complaints_about_added(key, old, new)


def complaints_about_added(key, old, new):
    added = new["fields"].keys() - old["fields"].keys()
    for name in sorted(added):
        if new["fields"][name]["required"]:
            yield (
                f"{key}: the field {name!r} is new and has no default, so old events cannot be "
                "read: give it one."
            )
    if added and old["version"] and new["version"] <= old["version"]:
        yield f"{key} has a new field: raise its version to {old['version'] + 1}."


def test_no_change_makes_old_events_or_old_readers_useless():
    """Against the committed photograph: nothing removed, renamed, retyped; nothing compulsory
    added. docs/EVENTS.md has the rule."""
    then = json.loads(PHOTOGRAPH.read_text())
    assert not list(complaints(then, photograph()))


def test_the_photograph_shows_what_there_is():
    """What was added is on it, too, so that it can never be removed unnoticed."""
    now = photograph()
    for key, shown in now.items():
        stands = json.loads(PHOTOGRAPH.read_text()).get(key)
        assert stands == shown, f"write in {PHOTOGRAPH.name}: {json.dumps({key: shown})}"


BROKEN = {
    "type removed": (lambda it: it.pop("payment.failed"), "payment.failed is gone"),
    "producer changed": (lambda it: it["payment.failed"].update({"said by": "order"}), "another"),
    "field removed": (lambda it: it["Line"]["fields"].pop("sku"), "'sku' is gone"),
    "field renamed": (lambda it: rename(it["order.created"]["fields"]), "'total' is gone"),
    "field retyped": (lambda it: set_(it, "order.created", "total", type="string"), "'total' was"),
    "limit narrowed": (lambda it: set_(it, "order.created", "total", maximum=9), "'total' was"),
    "default changed": (lambda it: set_(it, "Line", "unit_price", default=1), "'unit_price' was"),
    "default gone": (lambda it: set_(it, "Line", "unit_price", required=True), "'unit_price' was"),
    "added without default": (lambda it: add(it, required=True), "'gift' is new and has no"),
    "added without a new version": (lambda it: add(it, required=False), "raise its version to 2"),
}


def set_(it, key, name, **schema):
    it[key]["fields"][name].update(schema)


def rename(fields):
    fields["sum"] = fields.pop("total")


def add(it, required):
    it["order.created"]["fields"]["gift"] = {"type": "boolean", "required": required}


@pytest.mark.parametrize(("change", "says"), BROKEN.values(), ids=BROKEN)
def test_each_forbidden_change_is_found_and_told(change, says):
    now = copy.deepcopy(photograph())
    change(now)
    assert says in " ".join(complaints(photograph(), now))


def test_what_may_be_added_may_be_added():
    """A field with a default, and a version that says so; a new event type."""
    now = copy.deepcopy(photograph())
    add(now, required=False)
    now["order.created"]["version"] = 2
    now["order.shipped"] = {"said by": "order", "version": 1, "fields": {}}
    assert not list(complaints(photograph(), now))
