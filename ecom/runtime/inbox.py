"""Reading ahead: the rows that a batch will need are read at once, one query a table."""

from collections.abc import Iterable
from typing import Any

from ecom.contract.envelope import is_id
from ecom.contract.event import subject_of
from ecom.runtime.messages import Delivery, Performed
from ecom.runtime.service import Service
from ecom.runtime.tables import Effect, Inbox
from ecom.stores.base import Row, Transaction


def read_ahead(inputs: Iterable[Any], service: Service, tx: Transaction) -> None:
    """Load inbox rows by id, effects by number, and the service's rows by id or by saga."""
    headers = [each.headers for each in inputs if type(each) is Delivery and each.headers]
    performed = [each for each in inputs if type(each) is Performed]
    if len(headers) + len(performed) < 2:
        return
    ids, subjects = (
        {found for each in headers if is_id(found := each.get(header))}
        for header in ("ce-id", "ce-subject")
    )
    subjects.update(subject_of(each.result) for each in performed)
    wanted: dict[str, set[Any]] = {"id": ids, "seq": {each.seq for each in performed}}
    wanted |= dict.fromkeys(service.subject_fields, subjects)
    kinds: tuple[type[Row], ...] = (Inbox, Effect, *service.rows)
    for kind in kinds:
        if keys := wanted.get(kind.__struct_fields__[0]):
            tx[kind].load(keys)
