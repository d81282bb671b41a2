"""Where things are and how long they take: one frozen object, read from the environment.

Also where any value from outside becomes ours, `number` and `text`, and what must be installed.
"""

import operator
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import MISSING, dataclass, field, fields
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any, Literal, overload

from ecom.errors import NotInstalled, ShopError

LONGEST_HOLD = 366 * 86_400.0  # seconds
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def shown(value: Any) -> str:
    """A value as a refusal may quote it: short, on one line, whatever it is."""
    try:
        words = repr(value)
    except Exception:
        words = f"a {type(value).__name__}"
    words = " ".join(_CONTROLS.sub(" ", words).encode(errors="backslashreplace").decode().split())
    return words if len(words) <= 80 else words[:79] + "…"


@overload
def number(what: str, value: Any, least: float, most: float, *, whole: Literal[True]) -> int: ...


@overload
def number(what: str, value: Any, least: float, most: float, *, whole: bool = False) -> float: ...


def number(what: str, value: Any, least: float, most: float, *, whole: bool = False) -> float:
    """The number that `value` is: of Python, numpy, pandas or decimal, but no truth value, no text.

    Raises `ShopError`, and nothing else, naming `what` it should have been.
    """
    try:
        if type(value).__name__ in ("bool", "bool_", "timedelta64"):  # numbers, to numpy
            raise TypeError
        known: Any = value if isinstance(value, Real | Decimal) else operator.index(value)
        if not least <= known <= most:  # before it is written out: there is Decimal("1e999999999")
            raise ValueError
        result = int(known) if whole else float(known)
        if whole and result != known:
            raise ValueError
    except Exception as error:
        kind = "a whole number" if whole else "a number"
        bounds = f"from {least:,} to {most:,}" if most < float("inf") else f"of at least {least:,}"
        raise ShopError(f"{what} must be {kind} {bounds}, not {shown(value)}.") from error
    return result


def text(what: str, value: Any) -> str:
    """The text that `value` is. Raises `ShopError`, and nothing else."""
    with suppress(UnicodeEncodeError):
        if isinstance(value, str) and value.encode() is not None:
            return str(value)
    raise ShopError(f"{what} must be text, not {shown(value)}.")


def one_of(what: str, value: Any, known: Iterable[str]) -> str:
    """`value`, if it is one of the known words. Raises `ShopError`, which names them."""
    names = [*known]
    if isinstance(value, str) and value in names:
        return value
    raise ShopError(f"There is no {what} {shown(value)}: choose of {', '.join(names)}.")


def folder_named(what: str, value: Any) -> Path:
    """A folder, with `~` for the user's own; it need not exist. Raises `ShopError`."""
    try:
        path = Path(value).expanduser()
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()  # raises, too, if no folder could be called so
    except Exception as error:
        raise ShopError(f"{what} is no path of a folder: {shown(value)}.") from error
    return path


def made(folder: Path) -> Path:
    """This folder, which is made, for its owner alone, if it is not there. Raises `ShopError`."""
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ShopError(
            f"{folder} cannot be a folder of ours ({error.strerror}): choose another one."
        ) from error
    return folder


MIN_TOKEN = 32  # characters: too many to guess


def check_token_form(token: str) -> None:
    """Raise `ShopError`, which quotes none of it, unless this can be a token of the HTTP API."""
    if not re.fullmatch(rf"[!-~]{{{MIN_TOKEN},}}", token):
        raise ShopError(
            f"ECOM_HTTP_TOKEN is no token: it needs {MIN_TOKEN} or more printable ASCII "
            "characters, without spaces."
        )


def private(path: str, flags: int) -> int:
    """An opener for `open`: a file that is made is for its owner alone."""
    return os.open(path, flags, 0o600)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read; whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)  # whatever its mode was
    draft.touch(0o600, exist_ok=False)
    draft.write_text(text)
    draft.replace(path)


def read_private(path: Path) -> str | None:
    """What was kept there, if it was."""
    with suppress(FileNotFoundError):
        return path.read_text()
    return None


_OURS = ("ecom", "ecom_lab", "benchmarks")
_UNIX = ("fcntl", "grp", "pwd", "resource", "termios")  # what Linux and macOS alone have of Python


@contextmanager
def all_installed() -> Iterator[None]:
    """Around imports of what an extra brings, or not every system has: if it is missing,
    `NotInstalled` says what to do."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in _OURS:
            raise
        if error.name in _UNIX:
            raise NotInstalled(
                "ecom runs on Linux and macOS, and on Windows within WSL (`wsl --install`): it "
                f"needs Python's {error.name}, which is not there."
            ) from error
        extras, others = "notebook,lab", "services need neither"
        if error.name == "psycopg":
            extras, others = "postgres", "databases in files do not need it"
        raise NotInstalled(
            f"This needs {error.name}, which is not installed. Install ecom's wheel with extras: "
            f"`pip install 'ecom-….whl[{extras}]'`; {others}."
        ) from error


def home() -> Path:
    """The folder of private state (broker, shops): `ECOM_HOME`, else `.ecom` beside a checkout."""
    if given := os.environ.get("ECOM_HOME"):
        return folder_named("ECOM_HOME", given).absolute()
    checkout = Path(__file__).absolute().parent.parent
    return (checkout if (checkout / "environment.yml").exists() else Path.home()) / ".ecom"


@dataclass(frozen=True)
class Settings:
    """What a service process needs to know. `from_environment` reads `ECOM_*` variables."""

    amqp_url: str = field(repr=False)  # it has a password in it
    # One SQLite file a service lives here, and its note; None: nothing is kept on this machine.
    folder: Path | None = None
    shop: str = "ecom"  # prefix of exchange and queue names: two shops never meet
    replica: str = "1"  # stable name of this process among those of its service
    hold_seconds: float = 900.0  # how long stock is held for an unpaid order
    tally_seconds: float = 10.0  # between tallies, by which lost events are found
    http_host: str = "127.0.0.1"
    http_port: int = 0  # 0: any free port
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0  # of the first service; see `ecom.telemetry.metrics.port_of`; 0: any
    http_token: str | None = field(default=None, repr=False)  # None: open to all, on loopback only
    # Where services keep their rows: a PostgreSQL server; None: files in the folder.
    database_url: str | None = field(default=None, repr=False)
    gateway_url: str | None = None  # a payment provider over HTTP; None: the sandbox, in a file
    # A mail server, smtp:// or smtps://, perhaps with a password; None: a mailbox in a file.
    smtp_url: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read `ECOM_AMQP_URL`, `ECOM_FOLDER`, …; what is empty counts as not there.

        Raises `ShopError`, which names the variable, and its value unless that is a secret.
        """
        found: dict[str, Any] = {}
        for it in fields(cls):
            name = f"ECOM_{it.name.upper()}"
            if value := os.environ.get(name):
                found[it.name] = _read(name, value, it.name)
            elif it.default is MISSING:
                raise ShopError(f"{name} is not set: a process of a shop cannot do without it.")
        if not found.keys() & {"folder", "database_url"}:
            raise ShopError(
                "ECOM_FOLDER is not set: a process of a shop cannot do without it, unless its rows "
                "are on a server (ECOM_DATABASE_URL)."
            )
        return cls(**found)

    def folder_for(self, what: str, instead: str) -> Path:
        """The folder, in which there is to be `what`. Raises `ShopError` if there is none, which
        names the variable to set `instead`."""
        if self.folder is None:
            raise ShopError(f"{instead} is not set, and without ECOM_FOLDER there is no {what}.")
        return self.folder


# The least and the most of what is a number, and whether it is whole; in seconds, but for ports.
_BOUNDS: dict[str, tuple[float, float, bool]] = {
    "hold_seconds": (0, LONGEST_HOLD, False),
    "tally_seconds": (0.01, 86_400, False),
    "http_port": (0, 65_535, True),
    "metrics_port": (0, 65_000, True),
}


def _read(name: str, value: str, setting: str) -> Any:
    if setting == "folder":
        return folder_named(name, value)
    if setting in ("shop", "replica") and not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value):
        raise ShopError(f"{name} must be letters, digits, '.', '_' and '-', not {shown(value)}.")
    if setting not in _BOUNDS:
        return value
    least, most, whole = _BOUNDS[setting]
    given: Any = value
    with suppress(ValueError):
        given = int(value) if whole else float(value)
    return number(name, given, least, most, whole=whole)
