"""Every customer's mailbox in one file, without a mail server between."""

from collections.abc import Callable
from pathlib import Path

from ecom.effects.mime import SENDER, Letter, message_id
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

    def __init__(self, folder: Path, shop: str, clock: Callable[[], float]) -> None:
        self._shop, self._clock = shop, clock
        self._mails = open_mails(folder)

    async def send(self, key: str, effect: SendMail) -> MailSent:
        """Keep one mail."""
        id_, now = message_id(key, self._shop), self._clock()
        order_id, to, text = effect.order_id, effect.to, (effect.subject, effect.body)
        Letter(id_, order_id, SENDER, to, *text, now).check()
        if bounces(to):
            raise Impossible(f"there is no mailbox {to}")
        await self._mails.write_once(Mail(id_, order_id, to, *text, now))
        return MailSent(order_id, key)

    async def close(self) -> None:
        """Close the file."""
        self._mails.close()
