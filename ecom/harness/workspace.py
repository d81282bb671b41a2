"""A shop's folder, and the lock on it while the shop is open.

The lock is held by the process that opened the shop and by every service it started, so a free lock
means that all of them have ended. A temporary folder whose lock is free was abandoned, and the next
shop to open removes it.
"""

import fcntl
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from ecom.errors import ShopBusy, ShopError
from ecom.settings import home, private, shown

LEAVING_SECONDS = 15.0  # how long services may take to end after their shop
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")


class Workspace:
    """The folder and name of an open shop. Raises `ShopBusy` if another process has it open."""

    def __init__(self, name: str | None, folder: Path | None) -> None:
        self.is_temporary = name is None and folder is None
        self.name = name_for(folder) if name is None else _checked(name)
        self.is_named = name is not None
        self.folder = (folder or folder_of(self.name)).absolute()
        try:
            self.folder.mkdir(0o700, parents=True, exist_ok=True)
            if folder is None:
                self.folder.chmod(0o700)  # customers' addresses are in it, and the API's token
            self.lock = _move_in(self.folder)
        except OSError as error:
            raise ShopError(
                f"{self.folder} cannot be a shop's folder ({error.strerror}): choose a folder of "
                "your own, on a disk that has file locks, as folder=… or by ECOM_HOME."
            ) from error
        # In a process that is forked: else the shop would be busy for as long as that lives.
        os.register_at_fork(after_in_child=self.lock.close)
        if self.is_temporary:
            (self.folder / "temporary").touch()

    def leave(self, remove: bool) -> None:
        """Release the lock; `remove` the folder if it is temporary."""
        if self.is_temporary and remove:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.close()


def folder_of(name: str) -> Path:
    """Where the shop of this name keeps its databases, logs and notes. Raises `ShopError` for what
    is no name."""
    return home() / "shops" / _checked(name)


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise ShopError(f"{shown(name)} is no name for a shop: use a-z, 0-9 and -, at most 40.")
    return name


def holder_of(folder: Path) -> int | None:
    """The pid of the process that has the shop in `folder` open, or None."""
    with suppress(FileNotFoundError), open(folder / "lock", "r+b", 0) as lock:
        return None if _take(lock, fcntl.LOCK_SH) else _pid(lock)
    return None


def clear_abandoned(forget: Callable[[Path], bool]) -> None:
    """Remove each abandoned temporary folder, once `forget` has done the same at the broker."""
    for marker in (home() / "shops").glob("*/temporary"):
        folder = marker.parent
        # There is no lock any more if another shop has just cleared it away.
        with suppress(FileNotFoundError), open(folder / "lock", "r+b", 0) as lock:
            if _take(lock) and forget(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _take(lock: IO[bytes], kind: int = fcntl.LOCK_EX) -> bool:
    """Whether the lock was free, and is ours now, until it is closed."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def name_for(folder: Path | None) -> str:
    """A new name; always the same for one folder, so that its shop can be opened again."""
    if folder is None:
        return f"shop-{uuid.uuid4().hex[:10]}"
    return f"shop-{hashlib.sha256(bytes(folder.absolute())).hexdigest()[:10]}"


def _move_in(folder: Path) -> IO[bytes]:
    """Take the folder's lock, waiting for services that are ending. Raises `ShopBusy`."""
    begun = time.monotonic()
    with ExitStack() as failing:
        lock = failing.enter_context(open(folder / "lock", "a+b", 0, opener=private))
        while not _take(lock):
            owner = _pid(lock)
            patience = 0.5 if is_alive(owner) else LEAVING_SECONDS
            if time.monotonic() - begun > patience:
                raise ShopBusy(
                    f"The shop in {folder} is open in process {owner}: close it there first, "
                    "or choose another name."
                )
            time.sleep(0.02)
        lock.truncate(0)
        lock.write(b"%d" % os.getpid())
        failing.pop_all()
    return lock


def _pid(lock: IO[bytes]) -> int:
    return int(os.pread(lock.fileno(), 20, 0) or b"0")


def is_alive(pid: int) -> bool:
    """Whether there is such a process, whosever it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return pid > 0
