"""A history of the laboratory as the sequence diagram of an order's history; and for documents."""

from collections.abc import Iterable

from ecom.harness.history.diagram import Diagram
from ecom.harness.history.step import Step as Line
from ecom_lab.shop import EVENTS
from ecom_lab.simulator.trace import Arrow, Step, arrows

FAILURES = {key for key, event in EVENTS.items() if event.failure}
KINDS = {"message": "event", "request": "command", "time": "timer", "fault": "crash"}


def diagram(steps: Iterable[Step], title: str) -> Diagram:
    """The picture of a history."""
    return Diagram(title, [_line(arrow) for arrow in arrows(steps)], FAILURES)


def _line(arrow: Arrow) -> Line:
    kind = "answer" if arrow.source == "provider" else KINDS.get(arrow.kind, "state")
    return Line(kind, arrow.source, arrow.target, arrow.label)


def mermaid(lines: Iterable[Arrow]) -> str:
    """The history as a Mermaid `sequenceDiagram`."""
    told = [
        f"    Note over {line.target}: {line.label}"
        if line.source == line.target
        else f"    {line.source}->>{line.target}: {line.label}"
        for line in lines
    ]
    return "\n".join(["sequenceDiagram", *told])
