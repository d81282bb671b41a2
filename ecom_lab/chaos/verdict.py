"""What one run of one fault came to; and the file that keeps such rows, a line of JSON each."""

import json
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ecom.broker.installation import find_rabbitmq, version
from ecom.errors import ShopError

CHECKOUT = Path(__file__).absolute().parents[2]
PLAYED = ("ecom", "ecom_lab/chaos")  # the code on which a row depends


class HarnessFailed(ShopError):
    """The experiment itself did not work, so it says nothing of the shop: it may be repeated."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of one fault: ten fields of the scorecard, which `--json` prints, and the rest.
    All of it is JSON."""

    fault: str
    seed: int
    injected: int  # faults that did strike
    attempted: int  # orders sent
    acknowledged: int  # orders that were answered with a number
    lost: int  # acknowledged, and yet not ended or its customer not told
    unexpected: int  # orders there are that nobody sent
    duplicate_deliveries: int  # messages that an inbox knew already: proof that faults bit
    duplicate_effects: int  # orders, captures, refunds, mails, log entries done more than once
    books: str  # "balanced: …", or "off: …" with every promise that was broken
    kinds: Mapping[str, int] = field(default_factory=dict)  # what struck, how often
    seconds: float = 0.0
    size: tuple[float, ...] = ()  # orders, rounds, seconds: as it was asked for
    configuration: str = ""  # what it was played on
    commit: str = ""  # of the code that was played

    def as_dict(self) -> dict[str, Any]:
        """The ten fields of the scorecard."""
        return {name: getattr(self, name) for name in FIELDS}

    @property
    def violations(self) -> list[str]:
        """Every promise that was broken, a sentence each; empty is what we want."""
        counts = {
            "acknowledged orders were lost": self.lost,
            "orders exist that nobody sent": self.unexpected,
            "effects happened twice": self.duplicate_effects,
        }
        found = [f"{number} {what}" for what, number in counts.items() if number]
        off = [] if self.books.startswith("balanced") else [f"the books are {self.books}"]
        return found + off


FIELDS = tuple(Verdict.__dataclass_fields__)[:10]


class Rows:
    """The rows in the file at `path`: the last one of each fault, seed, size and configuration."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self._rows = {_plan(row): row for row in (Verdict(**json.loads(line)) for line in lines)}

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self._rows.values())

    def find(self, fault: str, seed: int, size: tuple[float, ...]) -> Verdict | None:
        """The row that was played so, on this configuration, by code that is still the same."""
        row = self._rows.get((fault, seed, tuple(size), configuration()))
        return row if row and row.commit and _is_same(row.commit, PLAYED) else None

    def keep(self, verdict: Verdict, size: tuple[float, ...]) -> None:
        """Write the row, at once and whole: whoever dies afterwards has not lost it."""
        row = replace(verdict, size=size, configuration=configuration(), commit=commit(PLAYED))
        self._rows.pop(_plan(row), None)  # the new one comes last
        self._rows[_plan(row)] = row
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.write_text("".join(json.dumps(asdict(it), ensure_ascii=False) + "\n" for it in self))
        draft.replace(self._path)


def configuration() -> str:
    """What is played on."""
    python, system = platform.python_version(), platform.system()
    return f"RabbitMQ {version(find_rabbitmq())}, Python {python}, {system}"


def _plan(row: Verdict) -> tuple:
    return (row.fault, row.seed, tuple(row.size), row.configuration)


def commit(code: Iterable[str]) -> str:
    """The checkout's commit, `-dirty` if this code was changed since; nothing if there is none."""
    head = _git("rev-parse", "--short=12", "HEAD").stdout.strip()
    return head if not head or _is_same(head, code) else f"{head}-dirty"


def _is_same(commit: str, code: Iterable[str]) -> bool:
    return _git("diff", "--quiet", commit, "--", *code).returncode == 0


def _git(*words: str) -> subprocess.CompletedProcess:
    command = ["git", "-C", str(CHECKOUT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)
