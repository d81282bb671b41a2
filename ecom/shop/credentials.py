"""The token of a shop's HTTP API: kept in the shop's folder, for other terminals of its owner."""

import os
import secrets
from pathlib import Path

from ecom.settings import check_token_form, keep_secret, kept_secret


def token_file(folder: Path) -> Path:
    """Where the token lies. Removed while the shop is closed, the next one is new."""
    return folder / "http-token"


def kept_token(folder: Path) -> str | None:
    """The token of the shop in `folder`, if it has been open before."""
    return kept_secret(token_file(folder))


def token_for(folder: Path) -> str | None:
    """The token of the shop in `folder`: `ECOM_HTTP_TOKEN`, else what is kept, if anything."""
    return os.environ.get("ECOM_HTTP_TOKEN") or kept_token(folder)


def keep_token(folder: Path) -> str:
    """`ECOM_HTTP_TOKEN`, else what is kept, else a new one; kept where only the owner reads it."""
    token = token_for(folder) or secrets.token_urlsafe(32)
    check_token_form(token)
    keep_secret(token_file(folder), token)
    return token
