import contextlib
import socket
import threading

import pytest


class ScriptedServer:
    """A TCP server that runs one script per connection. A script is a function of the socket.

    `connections` is the number of connections, and `requests` has the requests that were read.
    """

    def __init__(self, *scripts):
        self.scripts = list(scripts)
        self.requests = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = []
        self._closing = threading.Event()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self):
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._closing.is_set():
                connection.close()
                return
            index = min(self.connections, len(self.scripts) - 1)
            self.connections += 1
            thread = threading.Thread(
                target=self._play, args=(self.scripts[index], connection), daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def _play(self, script, connection):
        with connection, contextlib.suppress(OSError):
            script(self, connection)

    def read_request(self, connection):
        """Read a whole request with a Content-Length body and return it."""
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = connection.recv(65536)
            if not chunk:
                return data
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(body) < length:
            body += connection.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def wait(self, seconds):
        """Sleep, but at most until the end of the test."""
        return self._closing.wait(seconds)

    def close(self):
        self._closing.set()
        with contextlib.suppress(OSError), socket.create_connection(self._listener.getsockname()):
            pass
        self._accepting.join(5)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def scripted_server():
    """Create a `ScriptedServer` from scripts. The last script is repeated."""
    with contextlib.ExitStack() as stack:

        def make(*scripts):
            server = ScriptedServer(*scripts)
            stack.callback(server.close)
            return server

        yield make


def answer(body=b'{"data":[]}', status="200 OK", headers=()):
    """A script that sends the same response to every request of a connection."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    reply = "\r\n".join(head).encode() + b"\r\n\r\n" + body

    def script(server, connection):
        while server.read_request(connection):
            connection.sendall(reply)

    return script


@pytest.fixture(name="answer")
def answer_fixture():
    return answer


@pytest.fixture
def no_spans(monkeypatch):
    """Make no spans, whose ids are headers, although other tests use OpenTelemetry."""
    monkeypatch.setattr("langcache._runtime.telemetry.start_span", lambda operation, url: None)
