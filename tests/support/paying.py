"""Payment providers for tests, in a file and over HTTP, and ways to use either."""

import asyncio
from pathlib import Path

from ecom.effects.http_gateway import HttpGateway
from ecom.process.performers import NotDone, OutcomeUnknown
from ecom.runtime.service import Impossible
from ecom.sandbox.cards import GOOD_CARD
from ecom.sandbox.gateway import Movement, SandboxGateway
from ecom.services.payment import Capture, Refund
from ecom.stores.reader import Reader

KEY = "capture/1001"


class InFile:
    """The sandbox in this very process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def opened(self):
        return SandboxGateway(self.folder)

    def restart(self):
        """Nothing is left running between two uses."""


class OverHttp:
    """The sandbox behind its HTTP server."""

    def __init__(self, outside) -> None:
        self.folder, self._outside = outside.folder, outside
        outside.start("gateway")

    def opened(self):
        return HttpGateway(self._outside.gateway_url)

    def restart(self):
        self._outside.kill("gateway")
        self._outside.start("gateway")


def use(provider, *calls):
    """Make the calls one after another on one gateway: what each returned or raised."""

    async def run():
        gateway = provider.opened()
        try:
            return [await outcome(call(gateway)) for call in calls]
        finally:
            await gateway.close()

    return asyncio.run(run())


async def outcome(call):
    try:
        return await call
    except (NotDone, OutcomeUnknown, Impossible, TimeoutError) as error:
        return type(error)


def capture(card=GOOD_CARD, key=KEY, order="1001", amount=1200):
    return lambda gateway: gateway.capture(key, Capture(order, amount, card))


def refund(key="refund/1001", order="1001", amount=1200):
    return lambda gateway: gateway.refund(key, Refund(order, amount))


def ledger(provider):
    with Reader(provider.folder) as read:
        return read["gateway"].values(Movement, "key", "kind", "outcome")
