"""Mail services for tests, into a file and over SMTP, and ways to use either."""

import asyncio
from pathlib import Path

from msgspec.structs import replace

from ecom.effects.smtp import SmtpMailer
from ecom.process.performers import NotDone
from ecom.runtime.service import Impossible
from ecom.sandbox.mailbox import Mail, Mailbox
from ecom.services.notification import SendMail
from ecom.stores.reader import Reader

ID = "<confirmed/1001@tea.ecom.example>"  # the Message-ID that KEY makes in the shop `tea`
KEY = "confirmed/1001"


class InFile:
    """The mailbox without a server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def opened(self):
        return Mailbox(self.folder, "tea")

    def restart(self):
        """Nothing is left running between two uses."""


class OverSmtp:
    """The same mailbox behind a mail server."""

    def __init__(self, outside) -> None:
        self.folder, self._outside = outside.folder, outside
        outside.start("mail")

    def opened(self):
        return SmtpMailer(self._outside.smtp_url, "tea")

    def restart(self):
        self._outside.kill("mail")
        self._outside.start("mail")


def use(messages, *mails):
    """Send the mails one after another: what each raised, or None. A callable is called instead."""

    async def run():
        mailer = messages.opened()
        try:
            return [it() if callable(it) else await tried(mailer.send(*it)) for it in mails]
        finally:
            await mailer.close()

    return asyncio.run(run())


async def tried(sending):
    try:
        await sending
    except (NotDone, Impossible) as error:
        return type(error)


def mail(key=KEY, **changes):
    """A key, and the mail to be sent under it."""
    mail = SendMail("1001", "ada@example.com", "Order #1001 Confirmed", "Good news.")
    return key, replace(mail, **changes)


def kept(messages):
    with Reader(messages.folder) as read:
        return read["mailbox"].values(Mail, *Mail.__struct_fields__)
