"""The parts of uvicorn and httptools that the server uses, some of which are not public."""

import asyncio
import signal

import pytest
from langcache_mockserver.http import uvicorn_server
from langcache_mockserver.http.extensions import BODY_IS_HERE, HANG_UP, is_alone
from uvicorn.server import ServerState
from uvicorn.supervisors import multiprocess

HEAD = b"POST /path HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n"
BODY = b"body"


class Transport(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self):
        super().__init__()
        self.writes = []
        self.closed = False

    def write(self, data):
        self.writes.append(bytes(data))

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


class Connections:
    """Connections to an application; each request waits until it may respond."""

    def __init__(self):
        self.scopes = []
        self.respond = asyncio.Event()
        self.config = uvicorn_server._config(uvicorn_server._adapted(self.app), 3)
        self.state = ServerState()
        self.app_state = {}

    async def app(self, scope, receive, send):
        extensions = {**scope["extensions"]}
        self.scopes.append((scope, extensions))
        await self.respond.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"response"})

    def connect(self):
        transport = Transport()
        protocol = self.config.http_protocol_class(self.config, self.state, self.app_state)
        protocol.connection_made(transport)
        return protocol, transport


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def connections():
    made = Connections()
    made.config.load()
    yield made
    made.respond.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not made.state.tasks
    for protocol in made.state.connections.copy():
        protocol.connection_lost(None)


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.anyio
async def test_head_and_body_of_a_response_are_one_write(connections):
    protocol, transport = connections.connect()
    connections.respond.set()
    for _ in range(2):
        protocol.data_received(HEAD + BODY)
        await turns()
    assert len(transport.writes) == 2
    for write in transport.writes:
        assert write.startswith(b"HTTP/1.1 200 OK\r\n")
        assert write.endswith(b"response\r\n0\r\n\r\n")


@pytest.mark.anyio
async def test_the_application_knows_whether_a_body_is_here(connections):
    for received in (HEAD + BODY, HEAD):
        connections.connect()[0].data_received(received)
    await turns()
    assert [BODY_IS_HERE in extensions for _, extensions in connections.scopes] == [True, False]


@pytest.mark.anyio
async def test_the_application_knows_whether_a_request_is_alone(connections):
    connections.connect()[0].data_received(HEAD + BODY)
    await turns()
    [(first, _)] = connections.scopes
    assert is_alone(first)
    connections.connect()[0].data_received(HEAD + BODY)
    assert not is_alone(first)  # as soon as the other has arrived
    await turns()
    assert not is_alone(connections.scopes[1][0])
    connections.respond.set()
    await turns()
    connections.connect()[0].data_received(HEAD + BODY)
    assert is_alone(first)


@pytest.mark.anyio
async def test_the_application_can_hang_up(connections):
    _, transport = connection = connections.connect()
    connection[0].data_received(HEAD + BODY)
    await turns()
    [(_, extensions)] = connections.scopes
    assert not transport.closed
    extensions[HANG_UP](reset=False)
    assert transport.closed


@pytest.mark.anyio
async def test_what_is_not_http_is_refused_with_a_problem(connections):
    protocol, transport = connections.connect()
    protocol.data_received(b"not HTTP\r\n\r\n")
    assert transport.closed
    assert b"".join(transport.writes).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'"type":"/errors/invalid-data"' in b"".join(transport.writes)


class Process:
    """A server process that is ready, or could not start."""

    is_ready = True

    def __init__(self, config, sockets):
        pass

    def start(self):
        pass

    def wait_until_ready(self, seconds):
        return self.is_ready


@pytest.mark.parametrize("is_ready", [True, False])
def test_processes_are_ready_when_all_are(monkeypatch, is_ready):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(Process, "is_ready", is_ready)
    monkeypatch.setattr(multiprocess, "Process", Process)
    calls = []
    processes = uvicorn_server.ServerProcesses(
        lambda: None, None, 2, lambda: calls.append("ready"), shutdown_seconds=3
    )
    processes.init_processes()
    assert len(processes.processes) == 2
    assert calls == (["ready"] if is_ready else [])
    assert processes.failed == processes.should_exit.is_set() == (not is_ready)
