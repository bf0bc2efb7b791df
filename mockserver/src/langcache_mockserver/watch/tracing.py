"""Spans for OpenTelemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import propagate, trace

from langcache_mockserver.http.exchange import exchange_in

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Tracing:
    """ASGI middleware that makes a span of each request, within the caller's trace if it has one.

    A span has the operation, the cache, the outcome of a search, method and status; no header,
    query or body. It goes where the process has OpenTelemetry send its spans.

    Args:
        app: What to exchange.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._tracer = trace.get_tracer("langcache_mockserver")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on within a span."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        carrier = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        with self._tracer.start_as_current_span(
            scope["method"],
            context=propagate.extract(carrier),
            kind=trace.SpanKind.SERVER,
            record_exception=False,  # its message may quote a prompt
            set_status_on_exception=False,
        ) as span:
            try:
                await self._app(scope, receive, noted_send)
            finally:
                exchange = exchange_in(scope)
                span.update_name(exchange.operation or scope["method"])
                attributes = {
                    "http.request.method": scope["method"],
                    "http.response.status_code": status,
                    "langcache.operation": exchange.operation,
                    "langcache.cache_id": exchange.cache_id,
                    "langcache.outcome": exchange.outcome,
                }
                span.set_attributes({name: value for name, value in attributes.items() if value})
                if not status or status >= 500:
                    span.set_status(trace.StatusCode.ERROR)
