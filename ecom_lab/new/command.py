"""`ecom new NAME`: a small project, whole: a saga, tests that explore and run it, a notebook."""

import json
import re
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

import ecom
from ecom.errors import ShopError


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Write a project with a saga of your own, of two services, into the folder NAME.

    Its README has two commands: one installs what this comes from, the other tests it.
    """
    if not re.fullmatch("[a-z][a-z0-9_]{0,30}", name):
        raise ShopError(f"{name!r} is no name for a package: use a-z, 0-9 and _, a letter first.")
    folder = Path(name)
    if folder.exists():
        raise ShopError(f"{folder} is there already: choose another name, or another place.")
    _write(files("ecom_lab.new") / "template", folder, {"NAME": name, "ORIGIN": origin()})
    click.echo(f"{folder} is written; {folder / 'README.md'} says how to go on.")


def origin() -> str:
    """Where this package was installed from, as a URL: a checkout or a wheel, no registry."""
    checkout = Path(ecom.__file__).absolute().parents[1]
    if (checkout / "pyproject.toml").exists():
        return checkout.as_uri()
    try:
        known = distribution("ecom").read_text("direct_url.json")
    except PackageNotFoundError:
        known = None
    if known is None:
        raise ShopError("Nobody knows where ecom was installed from: install it from its wheel.")
    return json.loads(known)["url"]


def _write(source: Traversable, target: Path, words: dict[str, str]) -> None:
    """A folder of templates or one of them, with words in place of their placeholders."""
    if source.is_dir():
        target.mkdir()
        for each in source.iterdir():
            _write(
                each, target / each.name.removesuffix(".txt").replace("NAME", words["NAME"]), words
            )
        return
    text = source.read_text()
    for placeholder, word in words.items():
        text = text.replace("{{" + placeholder + "}}", word)
    target.write_text(text)
