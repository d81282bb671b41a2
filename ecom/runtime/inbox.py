"""Reading ahead: what the inputs of a batch will want is read at once, a query a table."""

from collections.abc import Iterable
from typing import Any

from ecom.contract.envelope import is_id
from ecom.runtime.messages import Delivery, Performed
from ecom.runtime.tables import Effect, Inbox
from ecom.stores.base import Row, Transaction


def read_ahead(inputs: Iterable[Any], kinds: tuple[type[Row], ...], tx: Transaction) -> None:
    """Load the inbox's rows by id, effects by number, and those of `kinds` kept by id or order."""
    headers = [each.headers for each in inputs if type(each) is Delivery and each.headers]
    performed = [each for each in inputs if type(each) is Performed]
    if len(headers) + len(performed) < 2:
        return
    wanted = {
        column: {found for each in headers if is_id(found := each.get(header))}
        for column, header in (("id", "ce-id"), ("order_id", "ce-subject"))
    }
    wanted["seq"] = {each.seq for each in performed}
    wanted["order_id"].update(each.result.order_id for each in performed)
    for kind in (Inbox, Effect, *kinds):
        if keys := wanted.get(kind.__struct_fields__[0]):
            tx[kind].load(keys)
