"""One line of a sequence diagram."""

from dataclasses import dataclass

KINDS = ("command", "event", "state", "timer", "effect", "answer", "mail", "retry", "dead", "crash")
STATUSES = ("done", "retried", "duplicate", "awaited", "dead")


@dataclass(frozen=True)
class Step:
    """What passed from `source` to `target`; the same twice for what happens there."""

    kind: str  # one of KINDS
    source: str  # a lifeline
    target: str
    label: str
    note: str = ""
    status: str = "done"  # one of STATUSES

    def __str__(self) -> str:
        way = self.source if self.source == self.target else f"{self.source} → {self.target}"
        status = "" if self.status == "done" else f" [{self.status}]"
        note = f" ({self.note})" if self.note else ""
        return f"{way:<26} {self.label}{status}{note}"
