"""Where things are and how long they take: one frozen object, read from the environment."""

import os
from dataclasses import dataclass, field
from pathlib import Path


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
        """Read `ECOM_AMQP_URL`, `ECOM_FOLDER`, … Raises `KeyError` for what has no default."""
        env = os.environ
        return cls(
            amqp_url=env["ECOM_AMQP_URL"],
            folder=Path(env["ECOM_FOLDER"]),
            shop=env.get("ECOM_SHOP", cls.shop),
            replica=env.get("ECOM_REPLICA", cls.replica),
            hold_seconds=float(env.get("ECOM_HOLD_SECONDS", cls.hold_seconds)),
            tally_seconds=float(env.get("ECOM_TALLY_SECONDS", cls.tally_seconds)),
            http_host=env.get("ECOM_HTTP_HOST", cls.http_host),
            http_port=int(env.get("ECOM_HTTP_PORT", cls.http_port)),
            http_token=env.get("ECOM_HTTP_TOKEN") or None,
            gateway_url=env.get("ECOM_GATEWAY_URL") or None,
            smtp_url=env.get("ECOM_SMTP_URL") or None,
        )
