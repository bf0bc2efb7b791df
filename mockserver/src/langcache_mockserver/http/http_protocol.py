"""How uvicorn speaks HTTP for the server: with a system call less, and problems for any error."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from langcache_mockserver.domain.batching import UNDER_WAY
from langcache_mockserver.http.problems import ProblemError, response

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"  # what a client waits for before it sends the body


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with three differences.

    - The head and the body of an answer go out in one write, not one by one.
    - What is no HTTP is refused with the contract's 400, as every other bad request.
    - The application knows how many requests there are (`UNDER_WAY`).
    """

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(_OneWriteTransport(transport))
        self.app_state[UNDER_WAY] = self.tasks

    @override
    def on_response_complete(self) -> None:
        cast("_OneWriteTransport", self.transport).end_answer()
        super().on_response_complete()

    @override
    def send_400_response(self, msg: str) -> None:
        problem = ProblemError(400, "the request is not HTTP/1.1", headers={"Connection": "close"})
        # What can't be read may have had a path.
        path = getattr(self, "url", b"").partition(b"?")[0].decode("latin-1")
        answer = response(problem, path)
        head = b"".join(b"%b: %b\r\n" % header for header in answer.raw_headers)
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n" + head + b"\r\n" + bytes(answer.body))
        self.transport.close()


class _OneWriteTransport(asyncio.Transport):
    """Keeps the first write of each answer, its head, for the second one.

    ASGI allows that: the head of an answer whose body comes later comes with its first part.

    Args:
        transport: What to write to.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._head = b""
        self._head_is_sent = False

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._head_is_sent or data == _CONTINUE:
            self._transport.write(data)
        elif self._head:
            self._head_is_sent = True
            self._transport.write(self._head + data)
        else:
            self._head = bytes(data)

    def end_answer(self) -> None:
        """Write what is kept; what is written next is the head of another answer."""
        if self._head and not self._head_is_sent:
            self._transport.write(self._head)
        self._head = b""
        self._head_is_sent = False

    @override
    def close(self) -> None:
        self.end_answer()
        self._transport.close()

    @override
    def abort(self) -> None:
        self._transport.abort()

    @override
    def is_closing(self) -> bool:
        return self._transport.is_closing()

    @override
    def pause_reading(self) -> None:
        self._transport.pause_reading()

    @override
    def resume_reading(self) -> None:
        self._transport.resume_reading()

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)
