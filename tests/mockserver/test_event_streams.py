"""The reader of server-sent events."""

import pytest
from langcache_mockserver.http.event_streams import EventReader, ServerSentEvent, event_bytes

STREAM = ': comment\nevent: a\ndata: {"x": "é"}\n\ndata:1\ndata: 2\nid: 7\n\nevent: lost\n\n'
EVENTS = [ServerSentEvent("a", '{"x": "é"}'), ServerSentEvent("", "1\n2")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_are_read_whatever_the_parts_they_come_in(end, size):
    stream = STREAM.replace("\n", end).encode()
    reader = EventReader()
    parts = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [event for part in parts for event in reader.feed(part)] == EVENTS


@pytest.mark.parametrize("size", [1, 1000])
def test_a_byte_order_mark_is_no_part_of_the_first_event(size):
    stream = b"\xef\xbb\xbfdata: 1\n\ndata: \xef\xbb\xbf2\n\n"
    reader = EventReader()
    parts = [stream[at : at + size] for at in range(0, len(stream), size)]
    found = [event for part in parts for event in reader.feed(part)]
    assert found == [ServerSentEvent("", "1"), ServerSentEvent("", "\ufeff2")]


def test_an_event_that_has_not_ended_is_not_one_yet():
    reader = EventReader()
    assert reader.feed(b"data: 1\n") == []
    assert reader.feed(b"\n") == [ServerSentEvent("", "1")]


@pytest.mark.parametrize("name", ["a", ""])
def test_an_event_is_written_as_it_is_read(name):
    event = event_bytes(name, '{"x": "é"}'.encode())
    assert EventReader().feed(event) == [ServerSentEvent(name, '{"x": "é"}')]


def test_what_is_not_utf_8_is_refused():
    with pytest.raises(UnicodeDecodeError):
        EventReader().feed(b"data: \xff\n\n")
