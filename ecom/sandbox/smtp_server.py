"""A mail server: takes every mail over SMTP and keeps it, once, in the mailbox."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from functools import partial
from hmac import compare_digest
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from ecom.harness.journal import Journal
from ecom.process.performers import OutcomeUnknown
from ecom.sandbox.mailbox import Mail, bounces, open_mails


class MailServer:
    """Handles the commands of SMTP clients; see aiosmtpd for the names."""

    def __init__(self, mails: Journal[Mail], secret: str = "") -> None:
        self._mails, self._secret = mails, secret.encode()

    def known(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, shown: Any
    ) -> AuthResult:
        """Whether a client has the password."""
        is_known = isinstance(shown, LoginPassword)
        return AuthResult(success=is_known and compare_digest(shown.password, self._secret))

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._secret and not session.authenticated:
            return "530 5.7.0 a password is needed"
        if bounces(address):
            return "550 5.1.1 there is no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        mail = message_from_bytes(envelope.content)
        if "Message-ID" not in mail:
            return "554 5.6.0 a Message-ID is needed"
        id_, order_id, subject = (_line(mail, it) for it in ("Message-ID", "Order-ID", "Subject"))
        to = ", ".join(envelope.rcpt_tos)
        try:
            kept = Mail(id_, order_id, to, subject, _text(mail), time.time())
            await self._mails.write_once(kept)
        except OutcomeUnknown as error:
            return f"451 4.3.0 {error}"
        return "250 2.0.0 kept"


@asynccontextmanager
async def serve(folder: Path, listening: socket.socket, secret: str = "") -> AsyncIterator[None]:
    """Serve the mailbox in `folder`; with a `secret`, those who have it as their password."""
    mails = open_mails(folder)
    handler = MailServer(mails, secret)
    talk = partial(
        SMTP,
        handler,
        hostname="localhost",
        enable_SMTPUTF8=True,
        authenticator=handler.known,
        auth_require_tls=False,  # it listens on this machine only
    )
    # It warns at every login of what it does itself.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    server = await asyncio.get_running_loop().create_server(talk, sock=listening, backlog=128)
    yield
    server.close()
    mails.close()


def _line(mail: Message, name: str) -> str:
    """A header as it is read: unfolded and decoded."""
    written = "".join(str(mail.get(name, "")).splitlines())
    return str(make_header(decode_header(written)))


def _text(mail: Message) -> str:
    """The body of a mail that has one part; of others, nothing."""
    body = mail.get_payload(decode=True) or b""
    text = body.decode(mail.get_content_charset("utf-8"), "replace")
    return text.replace("\r\n", "\n").removesuffix("\n")
