"""An audit service that some messages kill, as a segmentation fault would: `python mortal.py`.

An order whose number begins with `poison-` ends its process at once, in the middle of a batch. The
process is started again as often as it dies (forked, so that a life begins quickly). Each death is
a line in `deaths` in the service's folder: the number of the order.
"""

import asyncio
import os
import signal
from dataclasses import replace

from ecom.process.driver import Process
from ecom.sagas.choreography import choreography
from ecom.settings import Settings


def deadly(handler, folder):
    def handle(event, work):
        if event.order_id.startswith("poison-"):
            with open(folder / "deaths", "a") as deaths:
                deaths.write(event.order_id + "\n")
            os._exit(1)
        return handler(event, work)

    return handle


async def live(settings):
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    saga = choreography()
    audit = saga.services["audit"]
    handlers = {kind: deadly(it, settings.folder) for kind, it in audit.handlers.items()}
    saga = saga.replacing(replace(audit, handlers=handlers))
    await Process(saga, "audit", settings).run(stop)


def main():
    while True:
        child = os.fork()
        if not child:
            asyncio.run(live(Settings.from_environment()))
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            return


if __name__ == "__main__":
    main()
