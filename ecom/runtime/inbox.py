"""The inbox: telling duplicates; and reading ahead the rows of a batch, one query a table."""

from collections.abc import Iterable
from typing import Any

from ecom.contract.contract import Contract, subject_of
from ecom.contract.envelope import Envelope
from ecom.runtime.messages import Command, Delivery, Performed
from ecom.runtime.service import Service
from ecom.runtime.tables import Effect, Inbox
from ecom.stores.base import Row, Transaction


def find(envelope: Envelope, contract: Contract, tx: Transaction) -> tuple[str, Inbox | None]:
    """An event's key in the inbox, and its row there, if it is a duplicate. Ids are unique per
    source, as CloudEvents say, and may be derived by others: where another producer has used this
    one first, the key has the producer before the id."""
    seen = tx[Inbox].get(envelope.id)
    first = contract.by_key.get(seen.type) if seen else None
    if first is None or first.producer == envelope.producer:
        return envelope.id, seen
    key = f"{envelope.producer}/{envelope.id}"
    return key, tx[Inbox].get(key)


def read_ahead(inputs: Iterable[Any], service: Service, tx: Transaction) -> None:
    """Load inbox rows by id, effects by number, others by id, by saga or by a command's key."""
    said = [each.headers for each in inputs if type(each) is Delivery and each.headers]
    performed = [each for each in inputs if type(each) is Performed]
    keys = {getattr(each.message, "key", None) for each in inputs if type(each) is Command}
    if len(said) + len(performed) + len(keys) < 2:
        return
    ids, subjects = (
        {it[:128] for each in said if isinstance(it := each.get(name), str) and it.isprintable()}
        for name in ("ce-id", "ce-subject")  # no id is longer, or what is not printed
    )
    subjects.update(subject_of(each.result) for each in performed)
    wanted: dict[str, set[Any]] = dict.fromkeys(service.subject_fields, subjects)
    wanted |= {"id": ids, "seq": {each.seq for each in performed}, "key": keys - {None}}
    kinds: tuple[type[Row], ...] = (Inbox, Effect, *service.rows)
    for kind in kinds:
        if its := wanted.get(kind.__struct_fields__[0]):
            tx[kind].load(its)
