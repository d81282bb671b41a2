"""The scorecard's rows as data: a line of JSON each, beside the page that is made of them."""

import json
import platform
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

from ecom.broker.installation import find_rabbitmq, version
from ecom_lab.chaos.fault import Size
from ecom_lab.chaos.verdict import Verdict

CHECKOUT = Path(__file__).absolute().parents[2]
PLAYED = ("ecom", "ecom_lab/chaos")  # the code on which a row depends


class Rows:
    """The rows in the file at `path`: the last one of each fault, seed, size and configuration."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self._rows = [Verdict(**json.loads(line)) for line in lines]

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self._rows)

    def find(self, fault: str, seed: int, size: Size) -> Verdict | None:
        """The row that was played so, on this configuration, by code that is still the same."""
        wanted = (fault, seed, list(size), configuration())
        return next((row for row in self._rows if _plan(row) == wanted and _is_current(row)), None)

    def keep(self, verdict: Verdict, size: Size) -> None:
        """Write the row, at once and whole: whoever dies afterwards has not lost it."""
        row = replace(verdict, size=size, configuration=configuration(), commit=commit(PLAYED))
        self._rows = [each for each in self._rows if _plan(each) != _plan(row)] + [row]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.write_text(
            "".join(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in self._rows)
        )
        draft.replace(self._path)


def configuration() -> str:
    """What is played on."""
    python, system = platform.python_version(), platform.system()
    return f"RabbitMQ {version(find_rabbitmq())}, Python {python}, {system}"


def _plan(row: Verdict) -> tuple:
    return (row.fault, row.seed, list(row.size), row.configuration)


def commit(code: Iterable[str]) -> str:
    """The checkout's commit, `-dirty` if this code was changed since; nothing if there is none."""
    head = _git("rev-parse", "--short=12", "HEAD").stdout.strip()
    return head if not head or _is_same(head, code) else f"{head}-dirty"


def _is_current(row: Verdict) -> bool:
    return bool(row.commit) and _is_same(row.commit, PLAYED)


def _is_same(commit: str, code: Iterable[str]) -> bool:
    return _git("diff", "--quiet", commit, "--", *code).returncode == 0


def _git(*words: str) -> subprocess.CompletedProcess:
    command = ["git", "-C", str(CHECKOUT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)
