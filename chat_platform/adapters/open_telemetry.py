"""Sends spans to a collector (OTLP over HTTP). The only module that imports OpenTelemetry's SDK.

It imports much, and is itself imported only if there is a collector.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from pydantic import SecretStr

from chat_platform.settings import Settings
from chat_platform.values.spans import Span, SpanId

CLOSE_SECONDS = 3.0
"""How long the last spans may take to leave."""

_SETTINGS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
)
_KINDS = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}


class OtlpTraces:
    """A thread of the SDK sends the spans, in batches; a collector that is down costs nothing else.

    Not OpenTelemetry's global provider: FastAPI would record errors with their words through it.
    """

    def __init__(self, settings: Settings) -> None:
        self._ids = _GivenIds()
        with _environment(settings):
            self._provider = TracerProvider(id_generator=self._ids, shutdown_on_exit=False)
            self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("chat_platform")

    def record(self, span: Span) -> None:
        self._ids.next = span.id
        made = self._tracer.start_span(
            span.name,
            context=self._within(span.parent),
            kind=_KINDS[span.kind],
            attributes={k: v for k, v in span.attributes.items() if v is not None},
            start_time=span.began_ns,
        )
        if span.error:
            made.set_attribute("error.type", span.error)
            made.set_status(Status(StatusCode.ERROR))
        made.end(max(span.began_ns, span.ended_ns))

    def traceparent(self, span_id: SpanId) -> str:
        """Return the span's id as the header `traceparent`, for whoever works for it."""
        return f"00-{span_id.trace_id:032x}-{span_id.span_id:016x}-{self._flags(span_id):02x}"

    def flush(self) -> None:
        """Send at once what has been recorded. Waits for the collector."""
        self._provider.force_flush()

    def close(self) -> None:
        """Send what is left, for CLOSE_SECONDS at most."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)

    def _within(self, parent: SpanId | None) -> Context:
        if parent is None:
            return Context()
        flags = TraceFlags(self._flags(parent))
        context = SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=flags)
        return set_span_in_context(NonRecordingSpan(context), Context())

    def _flags(self, span_id: SpanId) -> int:
        """Whether the trace is sampled follows from its id, in every process."""
        decision = self._provider.sampler.should_sample(None, span_id.trace_id, "").decision
        return int(decision.is_sampled())


class _GivenIds(IdGenerator):
    """Spans are recorded one after the other, in the event loop only."""

    next = SpanId(1, 1)

    def generate_trace_id(self) -> int:
        return self.next.trace_id

    def generate_span_id(self) -> int:
        return self.next.span_id


@contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """Put what `.env` says where the SDK reads all of its settings when it is made."""
    before = {name: os.environ.get(name) for name in _SETTINGS}
    for name in _SETTINGS:
        value = getattr(settings, name.lower())
        _set(name, value.get_secret_value() if isinstance(value, SecretStr) else value)
    try:
        yield
    finally:
        for name, value in before.items():
            _set(name, value)


def _set(name: str, value: str | None) -> None:
    if value:
        os.environ[name] = value
    else:
        os.environ.pop(name, None)
