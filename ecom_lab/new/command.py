"""`ecom new NAME`: a small project, whole: a saga, tests that explore and run it, a notebook."""

import json
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import click

import ecom
from ecom.errors import ShopError

TEMPLATE = Path(__file__).with_name("template")


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Write a project with a saga of your own, of two services, into the folder NAME.

    Its README has two commands: one installs what this comes from, the other tests it.
    """
    if not re.fullmatch("[a-z][a-z0-9_]{0,30}", name):
        raise ShopError(f"{name!r} is no name for a package: use a-z, 0-9 and _, a letter first.")
    folder, comes_from = Path(name), origin()
    if folder.exists():
        raise ShopError(f"{folder} is there already: choose another name, or another place.")
    for source in TEMPLATE.rglob("*.txt"):
        path = str(source.relative_to(TEMPLATE)).removesuffix(".txt").replace("NAME", name)
        text = source.read_text().replace("{{NAME}}", name).replace("{{ORIGIN}}", comes_from)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    click.echo(f"{folder} is written; {folder / 'README.md'} says how to go on.")


def origin() -> str:
    """Where this package was installed from, as a URL: a checkout or a wheel, no registry."""
    checkout = Path(ecom.__file__).absolute().parents[1]
    if (checkout / "pyproject.toml").exists():
        return checkout.as_uri()
    known = None
    with suppress(PackageNotFoundError):
        known = distribution("ecom").read_text("direct_url.json")
    if known is None:
        raise ShopError("Nobody knows where ecom was installed from: install it from its wheel.")
    return json.loads(known)["url"]
