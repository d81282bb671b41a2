"""Reading ahead: what the messages of a batch will want is read at once, a query a table."""

from collections.abc import Iterable
from typing import Any

from ecom.envelope import is_id
from ecom.ports import Delivery
from ecom.rows import Inbox
from ecom.store import Row, Transaction


def read_ahead(inputs: Iterable[Any], kinds: tuple[type[Row], ...], tx: Transaction) -> None:
    """Load the inbox's rows by id, and those of `kinds` that are kept by order."""
    headers = [each.headers for each in inputs if type(each) is Delivery and each.headers]
    if len(headers) < 2:
        return
    wanted = {
        column: {found for each in headers if is_id(found := each.get(header))}
        for column, header in (("id", "ce-id"), ("order_id", "ce-subject"))
    }
    for kind in (Inbox, *kinds):
        if keys := wanted.get(kind.__struct_fields__[0]):
            tx[kind].load(keys)
