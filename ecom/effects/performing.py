"""Performing effects: which call to the outside world each effect means."""

import logging
import sqlite3
from collections.abc import Awaitable, Callable

from msgspec import Struct

from ecom.effects.gateway import Gateway, GatewayError, ProcessingError, SandboxGateway
from ecom.effects.mailer import Mailbox, Mailer, MailError
from ecom.runtime.context import about, traceparent
from ecom.runtime.dead_letters import describe
from ecom.runtime.messages import Failed, Perform, Performed
from ecom.runtime.service import Impossible
from ecom.services.notification import MailSent, SendMail
from ecom.services.payment import Capture, Refund
from ecom.settings import Settings
from ecom.telemetry.tracing import context_of

Performer = Callable[[str, Struct], Awaitable[Struct]]  # idempotency key, effect → result

log = logging.getLogger("ecom.outside.performing")


class Outside:
    """The outside world of one service: who performs which effect."""

    def __init__(self, performers: dict[type, Performer], close: Callable | None = None) -> None:
        self._performers = performers
        self._close = close

    async def perform(self, output: Perform) -> Performed | Failed:
        """Carry out one effect. Whatever goes wrong is an answer, too. How long it may take is for
        the performer to say: what is done in files need not be bounded."""
        row = output.row
        traceparent.set(context_of(row))  # we run in a task, and so in a context, of our own
        try:
            result = await self._performers[type(output.effect)](row.key, output.effect)
            return Performed(row.seq, result)
        except Impossible as error:
            return Failed(row.seq, describe(error), final=True)
        except (ProcessingError, MailError) as error:
            return Failed(row.seq, describe(error))
        except (GatewayError, TimeoutError, OSError, sqlite3.Error) as error:
            return Failed(row.seq, describe(error), unknown=True)
        except Exception as error:
            what = "Performing %s failed in a way nobody foresaw"
            log.exception(what, row.key, extra=about(row))
            return Failed(row.seq, describe(error), unknown=True)

    async def close(self) -> None:
        """Let go of connections and files."""
        if self._close:
            await self._close()


def payments(gateway: Gateway) -> Outside:
    """What the payment service may ask for."""
    performers = {
        Capture: lambda key, it: gateway.capture(key, it.order_id, it.amount, it.card),
        Refund: lambda key, it: gateway.refund(key, it.order_id, it.amount),
    }
    return Outside(performers, gateway.close)


def mails(mailer: Mailer, shop: str) -> Outside:
    """What the notification service may ask for. Message-IDs are stable, and no two shops' meet."""

    async def send(key: str, mail: SendMail) -> MailSent:
        message_id = f"<{key}@{shop}.ecom.example>"
        await mailer.send(message_id, mail.order_id, mail.to, mail.subject, mail.body)
        return MailSent(mail.order_id)

    return Outside({SendMail: send}, mailer.close)


def outside(service: str, settings: Settings, clock: Callable[[], float]) -> Outside:
    """The outside world of one service: over the network if the settings name it, else in files."""
    if service == "payment":
        return payments(_gateway(settings, clock))
    if service == "notification":
        return mails(_mailer(settings, clock), settings.shop)
    return Outside({})


def _gateway(settings: Settings, clock: Callable[[], float]) -> Gateway:
    if settings.gateway_url is None:
        return SandboxGateway(settings.folder, clock)
    from ecom.effects.http_gateway import HttpGateway

    return HttpGateway(settings.gateway_url)


def _mailer(settings: Settings, clock: Callable[[], float]) -> Mailer:
    if settings.smtp_url is None:
        return Mailbox(settings.folder, clock)
    from ecom.effects.smtp import SmtpMailer

    return SmtpMailer(settings.smtp_url, clock)
