"""The events as a table, for people: renewed between two marks in a Markdown file."""

import inspect

import msgspec

from ecom.contract.contract import Contract, Event
from ecom.errors import ShopError

BEGIN, END = "<!-- The table: made by `ecom documents` -->", "<!-- End of the table -->"
COLUMNS = ("event", "version", "published by", "consumed by", "fields", "meaning")


def table(contract: Contract) -> str:
    """One line an event, in Markdown. A field in brackets may be missing: it has a default."""
    lines = (COLUMNS, ["---"] * len(COLUMNS), *(_line(contract, kind) for kind in contract.events))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def renewed(contract: Contract, text: str) -> str:
    """`text` with the table as it is now. Raises `ShopError` if the marks are not there."""
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ShopError(f"There is no place for the table of events: put {BEGIN} and {END} there.")
    return f"{before}{BEGIN}\n\n{table(contract)}\n{END}{after}"


def _line(contract: Contract, kind: type[Event]) -> list[str]:
    consumers = ", ".join(contract.listeners(kind.key)) or "(audit only)"
    named = ((f"`{it.name}`", it.required) for it in msgspec.structs.fields(kind))
    fields = ", ".join(name if required else f"[{name}]" for name, required in named)
    meaning = inspect.getdoc(kind) or ""
    return [f"`{kind.key}`", str(kind.version), kind.producer, consumers, fields, meaning]
