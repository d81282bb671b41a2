"""`python -m ecom.serve SERVICE`: one of the shop's services, or its provisioner.

The composition root: here the machinery is handed the shop's saga, its payment provider and mail
server, and its HTTP API. Settings come from the environment.
"""

import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ecom.contract.permissions import PROVISIONER
from ecom.effects.performing import outside
from ecom.process.driver import Process, main
from ecom.process.provisioner import provide
from ecom.runtime.saga import Saga
from ecom.sagas.choreography import choreography
from ecom.settings import Settings


async def open_api(process: Process) -> tuple[str, Coroutine[Any, Any, None]]:
    """Serve the order service's HTTP API."""
    from ecom.api.app import open_door  # here: only this service pays for the web framework

    return await open_door(process)


def serve(
    arguments: Sequence[str],
    kind: type[Process] = Process,
    release: Callable[[float], Saga] = choreography,
) -> None:
    """Run one service from the environment's settings, as this kind of process, of this saga."""
    (name,) = arguments
    settings = Settings.from_environment()
    saga = release(settings.hold_seconds)
    if name == PROVISIONER:
        provide(saga.contract, settings)
        return

    def make() -> Process:
        api = open_api if name == "order" else None
        return kind(saga, name, settings, outside(name, settings, time.time), api)

    main(name, settings, make)


if __name__ == "__main__":
    serve(sys.argv[1:])
