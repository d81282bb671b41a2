"""Logs that people and collectors read: one line a record, and at its end what it is about.

    2026-11-23T18:00:00.123Z INFO inventory Failed to reserve stock order=1004 … event=6f0c…

Time (UTC), level, service, message, then `name=value` in logfmt: what the saga is about (an order,
say), what the record brings as `extra`, and the event. The first and the last are those of the
message being handled, unless the record brings its own. Nothing from outside can end the line or
move the cursor, and what looks like a card or a password is masked, whoever wrote it.
"""

import logging
import os
import re
import shutil
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

from ecom.contract.envelope import rfc3339
from ecom.runtime.service import handling

MOST = 16 * 2**20  # bytes of a log that is a file of ours; then it is emptied into a second one

# What every record has: all else was brought.
_OWN = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}

# Controls, line ends, what turns the direction of writing, lone surrogates.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_IN_QUOTES = re.compile(r'[\s"=\\]')
_CARD = re.compile(r"(?<![\w-])\d(?:-?\d){8,14}-?(\d(?:-?\d){3})(?![\w-])")
_PASSWORD = re.compile(r"(?<=://)[^/\s@]*@")


class Line(logging.Formatter):
    """Writes a record as one line; `who` is the service, or `service-replica`, and `subject` the
    field by which messages name their saga, as the contract has it."""

    def __init__(self, who: str, subject: str = "subject") -> None:
        super().__init__()
        self._who, self._subject = who, subject

    def format(self, record: logging.LogRecord) -> str:
        message, cause = handling.get() or (None, None)
        ours = (record.name or "").startswith("ecom")  # others bring what is theirs
        more = {name: it for name, it in vars(record).items() if name not in _OWN} if ours else {}
        subject = more.pop("subject", getattr(message, self._subject, ""))
        event = more.pop("event", getattr(cause, "id", ""))
        about = {self._subject.removesuffix("_id"): subject, **more, "event": event}
        words = [rfc3339(record.created), record.levelname, self._who, clean(record.getMessage())]
        words += [f"{name}={_value(value)}" for name, value in about.items() if value]
        if record.exc_info:
            words.append(f"traceback={_value(self.formatException(record.exc_info))}")
        return " ".join(words)


def clean(text: str) -> str:
    """Text that stays within its line, without secrets."""
    return _CARD.sub(r"…\1", _PASSWORD.sub("…@", one_line(text)))


def one_line(text: str) -> str:
    """Text that neither ends its line nor moves a terminal's cursor, and says where it would."""
    return _UNFIT.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _value(value: object) -> str:
    text = str(value)
    if not text.isprintable() or _IN_QUOTES.search(text):
        text = text.replace("\\", "\\\\").replace('"', '\\"')
        text = f'"{text}"'
    return clean(text)


def write_logs(
    who: str, level: str = "INFO", subject: str = "subject", folder: Path | None = None
) -> None:
    """Have this process's log written to stderr, a line a record; of what is a file in `folder`,
    two times `MOST` bytes are kept at most."""
    handler = _handler(folder)
    handler.setFormatter(Line(who, subject))
    logging.basicConfig(handlers=[handler], level=level)
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # the bus says what there is to say


def _handler(folder: Path | None) -> logging.Handler:
    with suppress(OSError):  # stderr may be closed
        for file in folder.glob("*.log") if folder else ():
            if os.path.samefile(file, 2):
                handler = RotatingFileHandler(file, maxBytes=MOST, backupCount=1, encoding="utf-8")
                handler.rotator = _emptied
                return handler
    return logging.StreamHandler()


def _emptied(log: str, older: str) -> None:
    """As logrotate's `copytruncate`: stderr, and whoever started us, go on in the same file."""
    with suppress(OSError):  # the disk may be full
        shutil.copyfile(log, older)
    os.truncate(log, 0)
