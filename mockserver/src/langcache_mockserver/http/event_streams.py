"""Streams of server-sent events (WHATWG HTML, 9.2), as model providers send them."""

from __future__ import annotations

from dataclasses import dataclass, field

EVENT_STREAM = "text/event-stream"
"""The media type of such a stream."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event.

    Attributes:
        name: Its name; "" if it has none.
        data: Its data.
    """

    name: str
    data: str = field(repr=False)


def event_bytes(name: str, data: bytes) -> bytes:
    """Return an event as it is sent.

    Args:
        name: Its name; "" for none.
        data: Its data: one line.
    """
    head = f"event: {name}\n".encode() if name else b""
    return b"%bdata: %b\n\n" % (head, data)


class EventReader:
    """Reads the events of a stream that arrives in parts; its lines end with LF or CRLF."""

    def __init__(self) -> None:
        self._line: list[bytes] = []
        self._is_first = True  # the line that may begin with a byte order mark
        self._name = ""
        self._data: list[str] = []

    def feed(self, part: bytes) -> list[ServerSentEvent]:
        """Return the events that a part of the stream completes.

        Raises:
            UnicodeDecodeError: The stream is not UTF-8.
        """
        head, *rest = part.split(b"\n")
        self._line.append(head)
        events: list[ServerSentEvent] = []
        for begin in rest:
            line = b"".join(self._line).removesuffix(b"\r").decode()
            self._line = [begin]
            if self._is_first:
                self._is_first = False
                line = line.removeprefix("\ufeff")
            if line:
                self._read(line)
                continue
            if self._data:
                events.append(ServerSentEvent(self._name, "\n".join(self._data)))
            self._name = ""
            self._data.clear()
        return events

    def _read(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
