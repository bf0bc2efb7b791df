"""The upstream's HTTP server and its controls."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import chat_completions, embeddings, messages, responses
from .answer import answer_to

_APIS = {
    "/v1/chat/completions": chat_completions,
    "/v1/responses": responses,
    "/v1/embeddings": embeddings,
    "/v1/messages": messages,
}
_ANTHROPIC_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_LONGEST_WAIT_S = 30


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that reached the upstream.

    Attributes:
        path: The path, without the query.
        headers: The headers, by lower-case name.
        body: The decoded JSON body.
    """

    path: str
    headers: dict[str, str] = field(repr=False)
    body: dict


@dataclass
class _Plan:
    """What the controls have in store for one request."""

    error: tuple[int, dict | None, dict] | None = None
    finish: str = "stop"
    tool: tuple[str, str] | None = None
    breaks_after: int | None = None
    fails_after: int | None = None


class Upstream:
    """A server that speaks OpenAI's and Anthropic's HTTP APIs, offline.

    Every control whose name ends in `_next` is about the next request only, unless `times` says
    otherwise; several of them join in the same request.

    Attributes:
        url: The address, without a path.
        keys: The API keys that are accepted; None accepts any that is not empty.
        requests: What reached the server, oldest first; failed ones, too.
    """

    def __init__(self):
        self.keys = None
        self.requests = []
        self._changed = threading.Condition()
        self._plans = []
        self._gate = threading.Event()
        self._gate.set()
        self._gate_after = 0
        self._left = threading.Event()
        self._sockets = set()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"upstream": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._gate.set()
        self._server.shutdown()
        for connection in list(self._sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    @property
    def openai_url(self):
        """The `base_url` for OpenAI's client."""
        return f"{self.url}/v1"

    @property
    def anthropic_url(self):
        """The `base_url` for Anthropic's client."""
        return self.url

    @property
    def count(self):
        """How many requests reached the server."""
        return len(self.requests)

    @property
    def bodies(self):
        """The bodies of the requests, oldest first."""
        return [request.body for request in self.requests]

    def reset(self):
        """Forget what was received and what the controls said."""
        with self._changed:
            self.keys = None
            self.requests.clear()
            self._plans.clear()

    def fail_next(self, status, *, body=None, headers=None, times=1):
        """Fail with this status; the body has the provider's form unless it is given."""
        for index in range(times):
            self._plan(index).error = (status, body, headers or {})

    def finish_next(self, reason):
        """End the answer with "length" or "content_filter"."""
        self._plan().finish = reason

    def call_tool_next(self, name, **arguments):
        """Answer with the call of a tool."""
        self._plan().tool = (name, json.dumps(arguments))

    def break_stream_next(self, *, after):
        """Close the connection after this number of events of a stream."""
        self._plan().breaks_after = after

    def fail_stream_next(self, *, after):
        """Send an event with an error after this number of events of a stream, and end it."""
        self._plan().fails_after = after

    @contextlib.contextmanager
    def hold(self, *, after_events=0):
        """Let requests wait until the block ends; a stream after this number of events.

        A stream waits after its last event if the number is None.
        """
        self._gate_after = after_events
        self._left.clear()
        self._gate.clear()
        try:
            yield
        finally:
            self._gate.set()

    def wait_for(self, count):
        """Wait until this number of requests reached the server."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.count >= count, _LONGEST_WAIT_S):
                raise AssertionError(f"{self.count} of {count} requests reached the upstream")

    def wait_until_left(self):
        """Wait until the client of a held request has closed the connection."""
        if not self._left.wait(_LONGEST_WAIT_S):
            raise AssertionError("no client has left a held request")

    def _plan(self, index=0):
        with self._changed:
            while len(self._plans) <= index:
                self._plans.append(_Plan())
            return self._plans[index]

    def _receive(self, request):
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            return self.count, self._plans.pop(0) if self._plans else _Plan()

    def _pass_gate(self, events, connection):
        if events != self._gate_after:
            return
        deadline = time.monotonic() + _LONGEST_WAIT_S
        while not self._gate.wait(0.01):
            if select.select([connection], [], [], 0)[0]:  # a client that waits sends nothing
                self._left.set()
                raise ConnectionError
            if time.monotonic() > deadline:
                raise AssertionError("a held request was not released")

    def _accepts(self, headers):
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        return bool(key) if self.keys is None else key in self.keys


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client may go away
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    upstream: Upstream

    def setup(self):
        super().setup()
        self.upstream._sockets.add(self.connection)

    def finish(self):
        self.upstream._sockets.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *args):
        pass

    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        path = self.path.partition("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.loads(content)
        number, plan = self.upstream._receive(ReceivedRequest(path, headers, body))
        self.upstream._pass_gate(0, self.connection)
        api = _APIS.get(path)
        if api is None:
            self._fail(404, None, {})
        elif not self.upstream._accepts(headers):
            self._fail(401, None, {})
        elif plan.error is not None:
            self._fail(*plan.error)
        else:
            answer = answer_to(body, number, finish=plan.finish, tool=plan.tool)
            if body.get("stream") and api is not embeddings:
                self._stream(api, body, answer, plan)
            else:
                self._send(200, api.body_of(body, answer), number)

    def _fail(self, status, body, headers):
        self._send(status, body or self._error(status), self.upstream.count, headers)

    def _error(self, status):
        message = f"The upstream fails with {status}."
        if self.path.startswith("/v1/messages"):
            kind = _ANTHROPIC_ERRORS.get(status, "api_error")
            request_id = f"req_{self.upstream.count}"
            error = {"type": kind, "message": message}
            return {"type": "error", "error": error, "request_id": request_id}
        kind = "server_error" if status >= 500 else "invalid_request_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}

    def _send(self, status, body, number, headers=()):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._begin(status, number, {"content-type": "application/json", **dict(headers)})
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, api, body, answer, plan):
        self._begin(200, answer.number, {"content-type": "text/event-stream; charset=utf-8"})
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for sent, (name, data) in enumerate(api.events_of(body, answer)):
            if sent:
                self.upstream._pass_gate(sent, self.connection)
            if sent == plan.breaks_after:
                self.close_connection = True
                return
            if sent == plan.fails_after:
                self._event(*api.error_event(self._error(500)))
                break
            self._event(name, data)
        self.upstream._pass_gate(None, self.connection)
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, name, data):
        lines = [] if name is None else [f"event: {name}"]
        lines.append(f"data: {data if isinstance(data, str) else json.dumps(data)}")
        event = ("\n".join(lines) + "\n\n").encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))

    def _begin(self, status, number, headers):
        self.send_response(status)
        both = {"x-request-id": f"req_{number}", "request-id": f"req_{number}"}
        own = {**both, "set-cookie": f"session={number}", "x-ratelimit-remaining": "99"}
        for name, value in {**own, **headers}.items():
            self.send_header(name, value)
