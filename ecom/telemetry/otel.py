"""The way to OpenTelemetry: spans whose ids we know before, through the SDK's own front door.

Where they go, how many at a time and how patiently is the SDK's business: its `OTEL_…` variables
hold. A collector that is away costs spans, never an order.
"""

import os
import sys
from typing import ClassVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

from ecom.errors import ShopError
from ecom.telemetry.tracing import Span


def _otlp() -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
    os.environ["no_proxy"] = f"{direct},localhost,127.0.0.1,::1"  # a collector may be beside us
    return OTLPSpanExporter()


def _console() -> SpanExporter:
    """A line of JSON a span, into the log."""
    return ConsoleSpanExporter(out=sys.stdout, formatter=lambda span: span.to_json(None) + "\n")


class _GivenIds(IdGenerator):
    """The ids of the next span."""

    trace = span = ""

    def generate_trace_id(self) -> int:
        return int(self.trace, 16)

    def generate_span_id(self) -> int:
        return int(self.span, 16)


class Exporter:
    """Exports spans by the name that OTEL_TRACES_EXPORTER has. Raises `ShopError`."""

    BY_NAME: ClassVar = {"otlp": _otlp, "console": _console}

    def __init__(self, name: str, service: str, shop: str, replica: str) -> None:
        if name not in self.BY_NAME:
            known = ", ".join([*self.BY_NAME, "none"])
            raise ShopError(f"OTEL_TRACES_EXPORTER is {name!r}: set it to one of {known}.")
        about = {"service.name": service, "service.namespace": shop, "service.instance.id": replica}
        self._ids = _GivenIds()
        self._provider = TracerProvider(
            resource=Resource.create(about), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(self.BY_NAME[name]()))
        self._tracer = self._provider.get_tracer("ecom")

    def export(self, span: Span) -> None:
        """Hand one span over; it leaves with others, in a while, from a thread."""
        self._ids.trace, self._ids.span = span.trace, span.id
        start, kind = int(span.start * 1e9), trace.SpanKind[span.kind]
        made = self._tracer.start_span(
            span.name, self._parent(span), kind, span.about, start_time=start
        )
        if span.error:
            made.set_status(trace.StatusCode.ERROR, span.error)
        made.end(int(max(span.start, span.end) * 1e9))

    def _parent(self, span: Span) -> Context:
        if not span.parent:
            return Context()
        sampled = trace.TraceFlags(trace.TraceFlags.SAMPLED)
        parent = trace.SpanContext(int(span.trace, 16), int(span.parent, 16), True, sampled)
        return trace.set_span_in_context(trace.NonRecordingSpan(parent))

    def close(self) -> None:
        """Send what is left, however long that takes."""
        self._provider.shutdown()
