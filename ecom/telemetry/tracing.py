"""One trace an order: which spans there are, and what each follows from. Nobody keeps state.

Span ids are derived, as event ids are, so a parent is known to be the parent whichever process
exports it: an event's span has the id in its own `ce-traceparent`, and what a service did about it
has one made of that and the service's name. What happens twice (a duplicate, a resent event) is
told twice, under the same id.
"""

import asyncio
import logging
import os
import re
from collections.abc import Callable, Sequence
from hashlib import sha1
from typing import Any, NamedTuple

from ecom.amqp.address import brokers
from ecom.contract.contract import Contract, Event, subject_of
from ecom.contract.envelope import command_id, derived_id, is_id, trace_after
from ecom.contract.topology import exchange
from ecom.runtime.dead_letters import describe
from ecom.runtime.messages import Command, Delivery, Failed, Performed
from ecom.runtime.service import Service
from ecom.runtime.tables import Effect, Outbox
from ecom.settings import Settings
from ecom.telemetry.logs import clean

_CONTEXT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}\Z")
_ASKING = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)
_PACKAGES = "opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"

log = logging.getLogger("ecom.tracing")

About = dict[str, str | int]  # attributes


class Span(NamedTuple):
    """Something that was done, in OpenTelemetry's terms; ids in hex, times in epoch seconds."""

    name: str
    kind: str  # SERVER, PRODUCER, CONSUMER, CLIENT, INTERNAL
    trace: str
    id: str
    parent: str  # "": none
    start: float
    end: float
    about: About
    error: str = ""  # what went wrong, if it did


def read_context(value: object) -> tuple[str, str] | None:
    """The trace and the span of a W3C `traceparent` (version 00); None if it is none."""
    found = _CONTEXT.match(value) if isinstance(value, str) else None
    return found.groups() if found else None


def context_from(headers: Sequence[str]) -> str:
    """The trace context in the `traceparent` headers of a request, "" if there is no good one."""
    return headers[0] if len(headers) == 1 and read_context(headers[0]) else ""


def context_of(effect: Effect) -> str:
    """The trace context of this attempt to perform an effect, for whoever is asked to."""
    attempt = derived_id(effect.id, f"attempt/{effect.attempts}")
    return trace_after(effect.traceparent, effect.correlation, attempt)


def span_of(id: str) -> str:
    """The span id of what has this id: an event's, as in its `ce-traceparent`; a command's."""
    return trace_after("", id, id)[36:52]


class Tracer:
    """Tells `export` of the spans of one service, from its inputs and outputs.

    Attributes are by OpenTelemetry's conventions for messaging (those of RabbitMQ, 1.27) and for
    recording errors. `ecom.order` is the order that a span is about; what a saga is about, its
    contract says.
    """

    def __init__(
        self,
        service: Service,
        contract: Contract,
        settings: Settings,
        export: Callable[[Span], None],
        close: Callable[[], None],
    ) -> None:
        self._service = service.name
        self._keys = contract.by_key
        self._subject = f"ecom.{contract.subject}"
        self._export = export
        self.close = close  # sends what was not sent yet; may take as long as the network likes
        self._own = [kind.__name__ for kind in service.handlers if not issubclass(kind, Event)]
        known = brokers("ECOM_AMQP_URL", settings.amqp_url)
        self._messaging: About = {
            "messaging.system": "rabbitmq",
            "messaging.destination.name": exchange(settings.shop),
        }
        if len(known) == 1:
            self._messaging |= {"server.address": known[0].host, "server.port": known[0].port}

    def handled(self, batch: Sequence[Any], start: float, end: float) -> None:
        """A step has handled these inputs; commands are answered."""
        for each in batch:
            if type(each) is Delivery:
                self._processed(each, start, end)
            elif type(each) is Command:
                self._answered(each, start, end)

    def _processed(self, delivery: Delivery, start: float, end: float) -> None:
        headers = delivery.headers or {}
        context, type_ = read_context(headers.get("ce-traceparent")), headers.get("ce-type")
        id_, subject = headers.get("ce-id"), headers.get("ce-subject")
        if context is None or not (is_id(id_) and is_id(subject) and is_id(type_)):
            return  # no event: its dead letter has the story
        trace, cause = context
        about = self._message("process", type_, id_, subject)
        about["messaging.rabbitmq.message.delivery_tag"] = delivery.tag
        name, id_ = f"process {type_}", self._doing(cause)
        self._export(Span(name, "CONSUMER", trace, id_, cause, start, end, about))

    def _answered(self, command: Command, start: float, end: float) -> None:
        """The root of a trace, unless the caller brought one."""
        trace = trace_after(command.traceparent, command.id, command.id)[3:35]
        caller = read_context(command.traceparent)
        name, parent = type(command.message).__name__, caller[1] if caller else ""
        id_, outcome = span_of(command.id), self._outcome(command.token)
        self._export(Span(name, "SERVER", trace, id_, parent, start, end, *outcome))

    def _outcome(self, answer: asyncio.Future[Any]) -> tuple[About, str]:
        """What a command was answered: attributes, and what went wrong."""
        if answer.cancelled():  # whoever asked has gone
            return {}, ""
        if error := answer.exception():
            return _failed(describe(error))
        return {self._subject: subject_of(answer.result())}, ""

    def published(self, row: Outbox, now: float) -> None:
        """This message is on its way to the broker. Its span begins when it was written: so one
        sees how long it waited in the outbox."""
        context = read_context(row.headers.get("ce-traceparent"))
        if row.exchange != "events" or context is None:
            return
        trace, id_ = context
        cause, root = row.headers["ce-causationid"], row.headers["ce-correlationid"]
        is_command = cause in (root, command_id(root, row.subject))
        parent = span_of(cause) if is_command else self._doing(span_of(cause))
        at = row.created_at
        for kind in self._own:
            if cause == derived_id(root, f"{kind}/{row.subject}"):  # a timer, named by the runtime
                about = {self._subject: row.subject}
                self._export(Span(kind, "INTERNAL", trace, parent, span_of(root), at, at, about))
        about = self._message("send", row.type, row.id, row.subject)
        self._export(Span(f"send {row.type}", "PRODUCER", trace, id_, parent, at, now, about))

    def performed(self, row: Effect, answer: Performed | Failed, start: float, end: float) -> None:
        """An effect was tried; its result, if there is one, is handled next."""
        trace, id_ = read_context(context_of(row))
        context = read_context(row.traceparent)
        parent = self._doing(context[1]) if context else span_of(row.correlation)
        wrong, error = _failed(answer.error) if isinstance(answer, Failed) else ({}, "")
        about = {self._subject: row.subject, "ecom.attempt": row.attempts + 1, **wrong}
        self._export(Span(row.type, "CLIENT", trace, id_, parent, start, end, about, error))
        if isinstance(answer, Performed):
            name = type(answer.result).__name__
            about = {self._subject: row.subject}
            doing = self._doing(span_of(derived_id(row.id, name)))
            self._export(Span(name, "INTERNAL", trace, doing, id_, end, end, about))

    def _doing(self, cause: str) -> str:
        """The id of the span in which this service acted on the cause with that span id."""
        return sha1(f"{cause}/{self._service}".encode()).hexdigest()[:16]

    def _message(self, operation: str, type_: str, id_: str, subject: str) -> About:
        """What the conventions say of one message. A type that is none of ours may be anything."""
        key = {"messaging.rabbitmq.destination.routing_key": type_} if type_ in self._keys else {}
        return {
            **self._messaging,
            **key,
            "messaging.operation.name": operation,
            "messaging.operation.type": operation,
            "messaging.message.id": id_,
            self._subject: subject,
        }


def _failed(error: str) -> tuple[About, str]:
    """The attributes of what failed so (see `describe`), and its description for all to read."""
    return {"error.type": error.partition(":")[0]}, clean(error)


def tracer_for(service: Service, contract: Contract, settings: Settings) -> Tracer | None:
    """None unless OpenTelemetry's variables ask for traces, and its packages are there."""
    env = os.environ
    name = env.get("OTEL_TRACES_EXPORTER") or "otlp"
    asking = [variable for variable in _ASKING if env.get(variable)]
    if not asking or name == "none" or env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:  # here: it takes a tenth of a second, and more memory
        from ecom.telemetry.otel import Exporter

        exporter = Exporter(name, service.name, settings.shop, settings.replica)
    except ModuleNotFoundError:
        log.warning("No traces, though %s asks for them: pip install %s", asking[0], _PACKAGES)
        return None
    return Tracer(service, contract, settings, exporter.export, exporter.close)
