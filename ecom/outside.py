"""Performing effects: which call to the outside world each effect means."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec import Struct

from ecom.dead import describe
from ecom.gateway import Gateway, GatewayError, SandboxGateway
from ecom.mailer import Mailbox, Mailer, MailError
from ecom.ports import Failed, Perform, Performed
from ecom.service import Impossible
from ecom.services.notification import MailSent, SendMail
from ecom.services.payment import Capture, Refund

Performer = Callable[[str, Struct], Awaitable[Struct]]  # idempotency key, effect → result
TIMEOUT = 30.0  # seconds for one call; its outcome is then unknown, and it is asked again

log = logging.getLogger("ecom.outside")


def payments(gateway: Gateway) -> dict[type[Struct], Performer]:
    """What the payment service may ask for."""
    return {
        Capture: lambda key, it: gateway.capture(key, it.order_id, it.amount, it.card),
        Refund: lambda key, it: gateway.refund(key, it.order_id, it.amount),
    }


def mails(mailer: Mailer) -> dict[type[Struct], Performer]:
    """What the notification service may ask for."""

    async def send(key: str, mail: SendMail) -> MailSent:
        await mailer.send(f"<{key}@ecom>", mail.order_id, mail.to, mail.subject, mail.body)
        return MailSent(mail.order_id)

    return {SendMail: send}


def outside(service: str, folder: Path, clock: Callable[[], float]) -> dict[type, Performer]:
    """The outside world of one service."""
    if service == "payment":
        return payments(SandboxGateway(folder, clock))
    if service == "notification":
        return mails(Mailbox(folder, clock))
    return {}


async def perform(performers: dict[type, Performer], output: Perform) -> Performed | Failed:
    """Carry out one effect. Whatever goes wrong is an answer, too."""
    row = output.row
    try:
        result = await asyncio.wait_for(performers[type(output.effect)](row.key, output.effect), TIMEOUT)
        return Performed(row.seq, result)
    except Impossible as error:
        return Failed(row.seq, describe(error), final=True)
    except (GatewayError, MailError, TimeoutError, OSError, sqlite3.Error) as error:
        return Failed(row.seq, describe(error))
    except Exception as error:
        log.exception("Performing %s failed in a way nobody foresaw", row.key)
        return Failed(row.seq, describe(error))
