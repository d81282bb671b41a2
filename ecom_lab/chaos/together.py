"""All services of a host, forked from one interpreter: the same as one each, and costs less.

What ends by itself is started again, as by a service manager; it ends when all have ended well.
"""

import json
import os
import sys
import time
from importlib import import_module
from pkgutil import resolve_name

IMPORTS = "ecom.api.app", "ecom.effects.http_gateway", "ecom.effects.smtp", "ecom.stores.postgres"


def main(target: str) -> None:
    """Run them: the environment's TOGETHER says each one's environment, and where it logs."""
    run, told, running = resolve_name(target), json.loads(os.environ.pop("TOGETHER")), {}
    for module in IMPORTS:
        import_module(module)
    while told:
        for service in told.keys() - running.values():
            if (pid := os.fork()) == 0:
                _become(told[service])
                sys.exit(run([service]))
            running[pid] = service
        pid, status = os.wait()
        service = running.pop(pid)
        if status == 0:
            del told[service]
        else:
            time.sleep(1.0)


def _become(told: dict[str, str]) -> None:
    log = os.open(told.pop("log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in 1, 2:
        os.dup2(log, stream)
    os.environ |= told


if __name__ == "__main__":
    main(sys.argv[1])
