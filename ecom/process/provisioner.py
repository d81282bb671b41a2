"""The provisioner of a saga, a process that declares its exchanges and queues, again and again.

It alone has the right to, so no service can bind its queue to other services' events. What is
deleted or unbound comes back within `ECOM_TALLY_SECONDS`; events lost meanwhile are found by gap
detection (see `ecom.runtime.gap_detection`). It stops as the services do.
"""

import asyncio
import logging
from contextlib import suppress

from ecom.amqp.connection import TROUBLE, why
from ecom.bus import declare
from ecom.contract.contract import Contract
from ecom.contract.topology import PROVISIONER
from ecom.process.lifecycle import write_note
from ecom.settings import Settings

log = logging.getLogger("ecom.provisioner")


async def provide(contract: Contract, settings: Settings, stop: asyncio.Event) -> None:
    """Declare this contract's topology again and again until `stop` is set."""
    is_ready = False
    while not stop.is_set():
        try:
            declare(contract, settings.amqp_url, settings.shop)
            if not is_ready:
                write_note(settings.folder, PROVISIONER, settings.replica)
            is_ready = True
        except TROUBLE as error:
            seconds = settings.tally_seconds
            log.warning("Cannot declare (%s); next attempt in %g s", why(error), seconds)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), settings.tally_seconds)
