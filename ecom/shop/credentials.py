"""The token of a shop's HTTP API: kept in the shop's folder, for other terminals of its owner."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def token_file(folder: Path) -> Path:
    """Where the token lies. Removed while the shop is closed, the next one is new."""
    return folder / "http-token"


def kept_token(folder: Path) -> str | None:
    """The token of the shop in `folder`, if it has been open before."""
    with suppress(FileNotFoundError):
        return token_file(folder).read_text()
    return None


def keep_token(folder: Path) -> str:
    """`ECOM_HTTP_TOKEN`, else what is kept, else a new one; kept where only the owner reads it."""
    token = os.environ.get("ECOM_HTTP_TOKEN") or kept_token(folder) or secrets.token_urlsafe(32)
    draft = token_file(folder).with_suffix(".tmp")
    draft.unlink(missing_ok=True)  # whatever its mode was
    draft.touch(0o600, exist_ok=False)
    draft.write_text(token)
    draft.replace(token_file(folder))
    return token
