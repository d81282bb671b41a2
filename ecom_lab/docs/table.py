"""The events as a table, for people: renewed between two marks in a Markdown file."""

import inspect

import msgspec

from ecom.contract.event import Event
from ecom.errors import ShopError
from ecom_lab.shop import CONTRACT, EVENTS

BEGIN, END = "<!-- The table: made by `ecom documents` -->", "<!-- End of the table -->"
HEAD = "| event | version | said by | heard by | fields | meaning |\n|---|---|---|---|---|---|\n"


def table() -> str:
    """One line an event, in Markdown. A field in brackets may be missing: it has a default."""
    return HEAD + "".join(map(_line, EVENTS.values()))


def renewed(text: str) -> str:
    """`text` with the table as it is now. Raises `ShopError` if the marks are not there."""
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ShopError(f"There is no place for the table of events: put {BEGIN} and {END} there.")
    return f"{before}{BEGIN}\n\n{table()}\n{END}{after}"


def _line(kind: type[Event]) -> str:
    heard = ", ".join(CONTRACT.listeners(kind.key)) or "(audit only)"
    fields = ", ".join(map(_field, msgspec.structs.fields(kind)))
    meaning = inspect.getdoc(kind)
    return f"| `{kind.key}` | {kind.version} | {kind.producer} | {heard} | {fields} | {meaning} |\n"


def _field(field: msgspec.structs.FieldInfo) -> str:
    return f"`{field.name}`" if field.required else f"[`{field.name}`]"
