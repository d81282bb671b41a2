"""Mail over SMTP: a few connections, kept, each for many mails.

E-mail is at-least-once by nature; a stable Message-ID lets a mailbox drop what it has already.
"""

import asyncio
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from ecom.effects import TIMEOUT, parts_of
from ecom.effects.mime import SENDER, headers_of, letter
from ecom.process.performers import NotDone
from ecom.runtime.service import Impossible
from ecom.services.notification import MailSent, SendMail

CONNECTIONS = 8  # at a time: most servers allow a client ten or more
PORTS = {"smtp": 25, "smtps": 465}
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class SmtpMailer:
    """The mail server at `smtp://[user:password@]host[:port][?from=address]`, or `smtps://`.

    With `smtp`, TLS is used where the server offers it, and insisted on before a
    password is sent, but for `?tls=no` on this machine.
    """

    def __init__(self, url: str, shop: str) -> None:
        server, self._shop = _parse(url), shop
        self._sender = parse_qs(urlsplit(url).query).get("from", [SENDER])[0]
        self._free: asyncio.LifoQueue[aiosmtplib.SMTP] = asyncio.LifoQueue()  # few are opened
        for _ in range(CONNECTIONS):
            self._free.put_nowait(aiosmtplib.SMTP(**server))

    async def send(self, key: str, effect: SendMail) -> MailSent:
        """Hand one mail over. Raises `Impossible` for an address that the server refuses for good,
        and for text that would not stay within its header; for all else `NotDone`, also without an
        answer: under its Message-ID, a mail may come twice."""
        written = letter(headers_of(key, effect, self._shop, self._sender), effect.body)
        options = [] if (self._sender + effect.to).isascii() else ["SMTPUTF8"]
        connection = await self._free.get()  # the wait is none of the time for the dialogue
        is_broken_off = True
        try:
            async with asyncio.timeout(TIMEOUT):
                if not connection.is_connected:
                    connection.close()  # what is left of one that was lost
                    await connection.connect()
                await connection.sendmail(self._sender, [effect.to], written, mail_options=options)
            is_broken_off = False
        except aiosmtplib.SMTPRecipientsRefused as refused:
            is_broken_off = False
            code, said = refused.recipients[0].code, refused.recipients[0].message
            error = Impossible if code >= 500 else NotDone
            raise error(f"{effect.to} was refused: {code} {said}") from refused
        except aiosmtplib.SMTPNotSupported as error:
            raise Impossible(f"{effect.to} needs a server that speaks SMTPUTF8") from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise NotDone(f"{type(error).__name__}: {error}") from error
        finally:
            if is_broken_off:
                connection.close()
            self._free.put_nowait(connection)
        return MailSent(effect.order_id, key)

    async def close(self) -> None:
        """Close the connections."""
        for connection in [self._free.get_nowait() for _ in range(self._free.qsize())]:
            connection.close()
            self._free.put_nowait(connection)  # else who sends after this would wait for ever


def _parse(url: str) -> dict:
    """The arguments of `aiosmtplib.SMTP`. Raises `ShopError` for what is no SMTP address."""
    parts = parts_of("ECOM_SMTP_URL", url, PORTS, "smtp://user:password@host:587 or smtps://…")
    user = unquote(parts.username) if parts.username else None
    is_here = parts.hostname in LOOPBACK and parse_qs(parts.query).get("tls") == ["no"]
    return {
        "hostname": parts.hostname,
        "port": parts.port or PORTS[parts.scheme],
        "username": user,
        "password": unquote(parts.password) if parts.password else None,
        "use_tls": parts.scheme == "smtps",
        # None: if it is offered. A password needs it.
        "start_tls": False if parts.scheme == "smtps" or is_here else True if user else None,
        "timeout": None,  # `send` bounds the whole dialogue
    }
