"""Where things are and how long they take: one frozen object, read from the environment."""

import os
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any


def home() -> Path:
    """The folder of private state (broker, shops): `ECOM_HOME`, else `.ecom` beside a checkout."""
    if given := os.environ.get("ECOM_HOME"):
        return Path(given).absolute()
    checkout = Path(__file__).absolute().parent.parent
    return (checkout if (checkout / "environment.yml").exists() else Path.home()) / ".ecom"


@dataclass(frozen=True)
class Settings:
    """What a service process needs to know. `from_environment` reads `ECOM_*` variables."""

    amqp_url: str = field(repr=False)  # it has a password in it
    folder: Path  # one SQLite file a service lives here
    shop: str = "ecom"  # prefix of exchange and queue names: two shops never meet
    replica: str = "1"  # stable name of this process among those of its service
    hold_seconds: float = 900.0  # how long stock is held for an unpaid order
    tally_seconds: float = 10.0  # between tallies, by which lost events are found
    http_host: str = "127.0.0.1"
    http_port: int = 0  # 0: any free port
    http_token: str | None = field(default=None, repr=False)  # None: open to all, on loopback only
    gateway_url: str | None = None  # a payment provider over HTTP; None: the sandbox, in a file
    # A mail server, smtp:// or smtps://, perhaps with a password; None: a mailbox in a file.
    smtp_url: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read `ECOM_AMQP_URL`, `ECOM_FOLDER`, … Raises `KeyError` for what has no default; what is
        empty counts as not there."""
        found: dict[str, Any] = {}
        for it in fields(cls):
            name = f"ECOM_{it.name.upper()}"
            value = os.environ[name] if it.default is MISSING else os.environ.get(name)
            kind: Any = it.type if it.type in (Path, float, int) else str
            if value:
                found[it.name] = kind(value)
        return cls(**found)
