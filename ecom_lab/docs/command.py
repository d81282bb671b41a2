"""`ecom documents`: write the contract for other languages."""

import json
from pathlib import Path

import click

from ecom.cli.options import Place
from ecom_lab.shop import CONTRACT


@click.command()
@click.argument("folder", type=Place(exists=True, file_okay=False), default="docs")
def documents(folder: Path) -> None:
    """Write the contract into FOLDER (docs), for other languages and tools.

    That is asyncapi.json, openapi.json, datasette.json, and the table of events in its EVENTS.md.
    """
    from ecom_lab.docs.table import renewed

    for name, document in written().items():
        (folder / name).write_text(document, encoding="utf-8")
        click.echo(folder / name)
    events = folder / "EVENTS.md"
    if events.exists():
        events.write_text(renewed(CONTRACT, events.read_text(encoding="utf-8")), encoding="utf-8")
        click.echo(events)


def written() -> dict[str, str]:
    """The documents as they are committed, by the name of the file."""
    from ecom.api.app import application
    from ecom_lab.docs.asyncapi import asyncapi
    from ecom_lab.docs.datasette import metadata
    from ecom_lab.docs.examples import examples

    documents = {
        "asyncapi.json": asyncapi(CONTRACT, examples()),
        "openapi.json": application().openapi(),
        "datasette.json": metadata(),
    }
    return {
        name: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for name, document in documents.items()
    }
