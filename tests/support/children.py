"""What the children of the tests do."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from paying import capture

from ecom.effects.http_gateway import HttpGateway
from ecom.process.lifecycle import write_note


def look():
    """What a process finds itself in."""
    with open("/proc/self/comm") as title:
        return {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "session": os.getsid(0),
            "environment": dict(os.environ),
            "stdin": os.readlink("/proc/self/fd/0"),
            "read": sys.stdin.read(),
            "title": title.read().strip(),
            "files": [
                os.readlink(f"/proc/self/fd/{fd}")
                for fd in os.listdir("/proc/self/fd")
                if os.path.lexists(f"/proc/self/fd/{fd}")
            ],
            "modules": sorted(sys.modules),
            "paths": sys.path,
        }


def stay(*words):
    """Say something, and wait for a signal."""
    print(*words, flush=True)
    while True:
        signal.pause()


def show(service, saga=None):
    """Be ready as a service is, and tell what we were told."""
    (name,) = service
    folder, replica = Path(os.environ["ECOM_FOLDER"]), os.environ["ECOM_REPLICA"]
    write_note(folder, name, replica, environment=dict(os.environ))
    stay()


def be_deaf():
    """Stay, whatever is said with SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stay("deaf")


def leave(how):
    """End in this way."""
    match how:
        case "well":
            return
        case int():
            sys.exit(how)
        case "at once":
            os._exit(70)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "crashed":
            os.kill(os.getpid(), signal.SIGSEGV)
    sys.exit(how)


def say(value):
    """What we are told."""
    return value


def fail():
    """As a bug would."""
    raise ZeroDivisionError("this is a bug")


def sleep():
    """Take too long."""
    time.sleep(1_000)


def pay(url):
    """Take money, at the provider that is there."""

    async def pay():
        gateway = HttpGateway(url)
        try:
            return await capture()(gateway)
        finally:
            await gateway.close()

    return asyncio.run(pay())
