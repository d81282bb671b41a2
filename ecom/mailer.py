"""The mail service: what we ask of one, and a local mailbox that takes everything.

E-mail is at-least-once by nature; a stable Message-ID lets a mailbox drop what it has already.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ecom.journal import Journal


class MailError(Exception):
    """The mail could not be handed over: try again."""


class Mailer(Protocol):
    """Something that delivers mail, at least once."""

    async def send(self, message_id: str, order_id: str, to: str, subject: str, body: str) -> None:
        """Hand one mail over. Raises `MailError` when that is not certain."""


class Mailbox:
    """A mailbox in a file: `mailbox.db`, table `mails`; the same Message-ID is kept once."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._mails = Journal(
            folder / "mailbox.db",
            "mails",
            ("message_id", "order_id", "to_address", "subject", "body", "at"),
        )

    async def send(self, message_id: str, order_id: str, to: str, subject: str, body: str) -> None:
        await self._mails.write_once((message_id, order_id, to, subject, body, self._clock()))
