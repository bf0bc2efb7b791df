"""An OpenTelemetry client span for each call, if the application uses OpenTelemetry."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from langcache._runtime.operation import Operation
    from langcache.httpclient import PlainResponse


class CallSpan:
    """A span for a whole call that follows the HTTP semantic conventions."""

    __slots__ = ("_context", "_propagate", "_span")

    def __init__(self, trace: Any, operation: Operation[Any], url: httpx.URL) -> None:
        from opentelemetry import propagate

        parameters = [f"{{{name}}}" for name in operation.path_parameters]
        template = operation.path[0] + "".join(
            parameter + piece
            for parameter, piece in zip(parameters, operation.path[1:], strict=True)
        )
        attributes: dict[str, str | int] = {
            "http.request.method": operation.method,
            "url.template": template,
            "url.full": str(url),
            "server.address": url.host,
        }
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        if port is not None:
            attributes["server.port"] = port
        self._span: Any = trace.get_tracer("langcache").start_span(
            f"{operation.method} {template}", kind=trace.SpanKind.CLIENT, attributes=attributes
        )
        self._context: Any = trace.set_span_in_context(self._span)
        self._propagate: Any = propagate

    def inject(self, headers: dict[str, str]) -> None:
        """Add the trace context to the request headers."""
        self._propagate.inject(headers, context=self._context)

    def end(
        self,
        response: httpx.Response | PlainResponse | None,
        error: Exception | None,
        attempts: int,
    ) -> None:
        """End the span and record the outcome of the call."""
        span = self._span
        if attempts > 1:
            span.set_attribute("http.request.resend_count", attempts - 1)
        if response is not None:
            span.set_attribute("http.response.status_code", response.status_code)
        if error is not None:
            from opentelemetry.trace import Status, StatusCode

            kind = str(response.status_code) if response is not None else type(error).__name__
            span.set_attribute("error.type", kind)
            span.set_status(Status(StatusCode.ERROR))
        span.end()


def start_span(operation: Operation[Any], url: httpx.URL) -> CallSpan | None:
    """Start a span. Return None if the application does not use OpenTelemetry.

    An application that configures OpenTelemetry has imported it, so it is enough to look for the
    module. This costs nothing if the module is absent.
    """
    trace = sys.modules.get("opentelemetry.trace")
    return None if trace is None else CallSpan(trace, operation, url)
