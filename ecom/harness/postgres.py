"""A private PostgreSQL for whoever has none: in a folder of its own, reached by a socket in there.

It ends with the process that started it, however that ends. As PostgreSQL refuses to run as root,
for root it runs as the system's user `postgres`, or `nobody`.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ecom.errors import ShopError
from ecom.process import child
from ecom.process.child import Child
from ecom.settings import write_private

START_SECONDS = 120.0  # about one on an idle machine; a machine may be busy
# Deadlocks are found sooner than after a second: there are few, and those who wait are ours.
OPTIONS = {
    "listen_addresses": "",
    "max_connections": "200",
    "deadlock_timeout": "100ms",
    "dynamic_shared_memory_type": "mmap",  # in its folder, so that a killed one leaves none behind
}


class NoPostgres(ShopError, RuntimeError):
    """No PostgreSQL can be had; the message says why and what to do."""


def find_postgres() -> Path:
    """The folder of PostgreSQL's programs. Raises `NoPostgres` when there is none."""
    prefixes = [Path(it, "bin") for it in (os.environ.get("CONDA_PREFIX"), sys.prefix) if it]
    debian = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    newest = sorted(debian, key=lambda it: -float(it.parent.name))
    places = os.pathsep.join(map(str, (*prefixes, *newest, os.environ.get("PATH", ""))))
    if found := shutil.which("initdb", path=places):
        return Path(found).resolve().parent
    raise NoPostgres(
        "No PostgreSQL found: install one (Debian, Ubuntu: `apt-get install postgresql`; conda: "
        "`conda install -c conda-forge postgresql`; macOS: `brew install postgresql`)."
    )


class Cluster(AbstractContextManager):
    """A PostgreSQL whose whole state lives in a new folder, which goes when it is closed."""

    def __init__(self) -> None:
        self._programs = find_postgres()
        self.folder = Path(tempfile.mkdtemp(prefix="ecom-pg-"))  # short: it is a socket's path
        self._user: dict[str, Any] = other_user() if os.geteuid() == 0 else {}
        self._child: Child | None = None
        if self._user:
            os.chown(self.folder, self._user["user"], self._user["group"])
        try:
            self._make(secrets.token_hex(16))
            self.start()
        except BaseException:
            self.close()
            raise

    def _make(self, password: str) -> None:
        self.url = f"postgresql://ecom:{password}@/postgres?host={quote(str(self.folder), safe='')}"
        secret = self.folder / "password"
        write_private(secret, password)
        if self._user:
            os.chown(secret, self._user["user"], self._user["group"])
        told = ["--username=ecom", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        told += ["--no-sync", f"--pwfile={secret}", f"--pgdata={self.folder / 'data'}"]
        options: dict[str, Any] = {"capture_output": True, "text": True, "cwd": self.folder}
        made = subprocess.run([self._programs / "initdb", *told], **options, **self._user)
        secret.unlink()
        if made.returncode:
            raise NoPostgres(f"PostgreSQL cannot be set up: {made.stderr.strip()}")

    @property
    def pid(self) -> int:
        """The process id of the server, whose children serve a connection each; 0 if none runs."""
        return int([*self._said(), 0][0])

    def _said(self) -> list[str]:
        with suppress(FileNotFoundError):
            return (self.folder / "data" / "postmaster.pid").read_text().split()
        return []

    def start(self) -> None:
        """Return once it serves clients. Raises `NoPostgres`."""
        options = [f"--{name}={value}" for name, value in OPTIONS.items()]
        places = "-D", self.folder / "data", "-k", self.folder
        command = [self._programs / "postgres", *places, *options]
        log = self.folder / "log"
        (self.folder / "kept").unlink(missing_ok=True)
        with log.open("a+b") as output:  # which goes with its folder when a server does not start
            arguments = self.folder, list(map(str, command)), self._user
            self._child = child.start(f"{__name__}:_serve", *arguments, log=output)
            deadline = time.monotonic() + START_SECONDS
            while "ready" not in self._said():
                if self._child.poll() is not None or time.monotonic() > deadline:
                    output.seek(0)
                    said = output.read().decode(errors="replace").strip()[-2_000:]
                    raise NoPostgres(f"PostgreSQL did not start:\n{said}")
                time.sleep(0.02)

    def stop(self) -> None:
        """End it as an operator would; its data stay, for `start`."""
        if self._child is not None:
            with suppress(FileNotFoundError):  # it may have ended by itself
                (self.folder / "kept").touch()
            self._child.terminate()
            self._child.wait()

    def close(self) -> None:
        """End it, and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __exit__(self, *_: object) -> None:
        self.close()


def other_user() -> dict[str, Any]:
    """Who runs it for root."""
    for name in "postgres", "nobody":
        with suppress(KeyError):
            it = pwd.getpwnam(name)
            return {"user": it.pw_uid, "group": it.pw_gid, "extra_groups": []}
    raise NoPostgres("PostgreSQL does not run as root, and there is no user `nobody` here.")


def _serve(folder: Path, command: list[str], user: dict[str, Any]) -> None:
    """Be the parent of a server, which ends with us: told to, or killed (where Linux tells it)."""
    tie = ["setpriv", "--pdeathsig", "INT", "--"] if shutil.which("setpriv") else []
    server = subprocess.Popen([*tie, *command], cwd=folder, **user)
    signal.signal(signal.SIGTERM, lambda *_: server.send_signal(signal.SIGINT))
    status = server.wait()
    if not (folder / "kept").exists():  # whoever started us has gone
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)
