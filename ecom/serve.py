"""`python -m ecom.serve SERVICE`: one of the shop's services, or its provisioner.

The composition root: here the machinery is given the shop's saga, its payment provider and mail
server, and its HTTP API. Settings come from the environment.
"""

import os
import pickle
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ecom.contract.topology import PROVISIONER
from ecom.errors import ShopError
from ecom.process.databases import Server, databases
from ecom.process.driver import OpenApi, Process, main
from ecom.process.performers import Performers
from ecom.runtime.saga import Saga
from ecom.sagas.choreography import choreography
from ecom.services.notification import SendMail
from ecom.services.payment import Capture, Refund
from ecom.settings import Settings


def _performers(service: str, settings: Settings) -> Performers | None:
    """The performers of this service's effects: on the network if settings name it, else files."""
    # Imported where needed: each service pays for its own imports only.
    if service == "payment":
        from ecom.effects.http_gateway import HttpGateway
        from ecom.sandbox.gateway import SandboxGateway

        url, its = settings.gateway_url, ("ledger to practise on", "ECOM_GATEWAY_URL")
        gateway: Any = HttpGateway(url) if url else SandboxGateway(settings.folder_for(*its))
        return Performers({Capture: gateway.capture, Refund: gateway.refund}, gateway.close)
    if service == "notification":
        from ecom.effects.smtp import SmtpMailer
        from ecom.sandbox.mailbox import Mailbox

        url, its = settings.smtp_url, ("mailbox to practise on", "ECOM_SMTP_URL")
        shop = settings.shop
        mailer: Any = SmtpMailer(url, shop) if url else Mailbox(settings.folder_for(*its), shop)
        return Performers({SendMail: mailer.send}, mailer.close)
    return None


def serve(
    arguments: Sequence[str],
    pickled: bytes | None = None,
    kind: type[Process] = Process,
    release: Callable[[float], Saga] = choreography,
) -> None:
    """Run one service from the environment's settings, as this kind of process; of a saga that
    whoever starts us has pickled, else of this release of the shop's."""
    os.umask(0o077)  # what is ours to know is in our files
    try:
        settings = Settings.from_environment()
        saga: Saga = pickle.loads(pickled) if pickled else release(settings.hold_seconds)
        known = [*saga.services, PROVISIONER]
        if len(arguments) != 1 or arguments[0] not in known:
            raise ShopError(f"Use: python -m ecom.serve with one of {', '.join(known)}.")
        (name,) = arguments
        rows = databases(settings)
        if name == PROVISIONER and isinstance(rows, Server):  # no service may make its own tables
            for service in saga.services.values():
                rows.provision(service)
    except ShopError as error:
        sys.exit(str(error))

    def make() -> Process:
        open_api: OpenApi | None = None
        if name == "order":
            from ecom.api.app import open_api
        return kind(saga, name, settings, _performers(name, settings), open_api)

    main(saga, name, settings, make)


if __name__ == "__main__":
    serve(sys.argv[1:])
