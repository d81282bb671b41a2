"""A collector of OpenTelemetry's spans for tests, and ways to look at a tree of them."""

import threading
from collections import Counter as Tally
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
ORDER = {"customer": "ada@example.com", "card": "4242", "lines": [{"sku": "TEAPOT", "quantity": 1}]}


class Spans(list):
    """What a collector was sent, as (service, span)."""

    def of(self, order_id):
        """The trace of this order's messages. A request that was repeated, and so placed nothing,
        names the order, too, in its caller's trace."""
        traces = {
            span.trace_id
            for _, span in self
            for each in span.attributes
            if each.key == "ecom.order" and each.value.string_value == order_id
            if span.kind == Span.SPAN_KIND_PRODUCER
        }
        (trace,) = traces
        return Spans((service, span) for service, span in self if span.trace_id == trace)

    def roots(self):
        """The spans without a parent among these."""
        ids = {span.span_id for _, span in self}
        return [span for _, span in self if span.parent_span_id not in ids]

    def names(self):
        return Tally((service, span.name) for service, span in self)

    def named(self, service, name):
        """The one span of this name."""
        (found,) = [span for whose, span in self if (whose, span.name) == (service, name)]
        return found

    def path(self, span):
        """The names from this span up to the root."""
        by_id = {each.span_id: (service, each) for service, each in self}
        names = []
        while span.span_id in by_id:
            service, span = by_id[span.span_id]
            names.append(f"{service}: {span.name}")
            span = by_id.get(span.parent_span_id, (None, Span()))[1]
        return names


@contextmanager
def collector():
    """An OpenTelemetry collector that only keeps: its address, and the spans."""
    spans = Spans()

    class Keep(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            for each in ExportTraceServiceRequest.FromString(body).resource_spans:
                about = {it.key: it.value.string_value for it in each.resource.attributes}
                for scope in each.scope_spans:
                    spans.extend((about["service.name"], span) for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keep)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield "http://{}:{}".format(*server.server_address), spans
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
