"""Every customer's mailbox in one file, without a mail server between."""

from pathlib import Path
from time import time

from ecom.effects.mime import headers_of
from ecom.harness.journal import Journal
from ecom.runtime.service import Impossible
from ecom.sandbox.cards import BOUNCES
from ecom.services.notification import MailSent, SendMail
from ecom.stores.base import Row


class Mail(Row, frozen=True):
    """A mail as it was taken."""

    table = "mails"

    message_id: str
    order_id: str
    to_address: str
    subject: str
    body: str
    at: float


def bounces(address: str) -> bool:
    """Whether this address is refused for good."""
    return address.lower().endswith(BOUNCES)


def open_mails(folder: Path) -> Journal[Mail]:
    """The mails in `mailbox.db`, table `mails`; the same Message-ID is kept once."""
    return Journal(folder / "mailbox.db", Mail)


class Mailbox:
    """Takes the mail that a mail server would take, and refuses what it would."""

    def __init__(self, folder: Path, shop: str) -> None:
        self._shop, self._mails = shop, open_mails(folder)

    async def send(self, key: str, effect: SendMail) -> MailSent:
        """Keep one mail."""
        headers = headers_of(key, effect, self._shop)
        if bounces(effect.to):
            raise Impossible(f"there is no mailbox {effect.to}")
        said = effect.order_id, effect.to, effect.subject, effect.body
        await self._mails.write_once(Mail(headers["Message-ID"], *said, time()))
        return MailSent(effect.order_id, key)

    async def close(self) -> None:
        """Close the file."""
        self._mails.close()
