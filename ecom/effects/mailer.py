"""The mail service: what we ask of one, and a local mailbox that takes what a mail server would.

E-mail is at-least-once by nature; a stable Message-ID lets a mailbox drop what it has already.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ecom.effects.journal import Journal
from ecom.effects.letter import Letter
from ecom.runtime.service import Impossible

SENDER = "orders@ecom.example"
BOUNCES = "@bounce.example"  # test addresses: nobody lives there, and the mail server says so


class MailError(Exception):
    """The mail could not be handed over: try again."""


class Mailer(Protocol):
    """Something that delivers mail, at least once."""

    async def send(self, message_id: str, order_id: str, to: str, subject: str, body: str) -> None:
        """Hand one mail over. Raises `MailError` when that is not certain.

        Raises `Impossible` for what no repetition can mend: an address that the mail server
        refuses for good, or text that would not stay within its header.
        """

    async def close(self) -> None:
        """Let go of connections and files."""


def bounces(address: str) -> bool:
    """Whether the local mail servers refuse this address for good."""
    return address.lower().endswith(BOUNCES)


def open_mails(folder: Path) -> Journal:
    """The mails in `mailbox.db`, table `mails`; the same Message-ID is kept once."""
    columns = ("message_id", "order_id", "to_address", "subject", "body", "at")
    return Journal(folder / "mailbox.db", "mails", columns)


class Mailbox:
    """Every customer's mailbox in one file, without a mail server between."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._mails = open_mails(folder)

    async def send(self, message_id: str, order_id: str, to: str, subject: str, body: str) -> None:
        now = self._clock()
        Letter(message_id, order_id, SENDER, to, subject, body, now).check()
        if bounces(to):
            raise Impossible(f"there is no mailbox {to}")
        await self._mails.write_once((message_id, order_id, to, subject, body, now))

    async def close(self) -> None:
        self._mails.close()
