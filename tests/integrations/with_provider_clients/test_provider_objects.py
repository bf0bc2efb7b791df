"""Objects of the clients that are made of stored data, compared with the clients' own."""

import pytest
from wrapped_clients import http

from langcache.integrations._provider_objects import object_of, stream_of

USAGE = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
MESSAGE = {"role": "assistant", "content": "By mail."}
CHOICE = {"index": 0, "message": MESSAGE, "finish_reason": "stop", "logprobs": None}
CHAT = {"id": "1", "object": "chat.completion", "created": 1, "model": "small", "usage": USAGE}
LOGPROB = {"token": "By", "bytes": [66], "logprob": -0.5, "top_logprobs": []}


@pytest.mark.parametrize(
    "data",
    [
        {**CHAT, "choices": [CHOICE]},
        {**CHAT, "choices": [CHOICE], "unknown": {"to": ["this", "release", 1]}},
        {**CHAT, "choices": [{**CHOICE, "logprobs": {"content": [LOGPROB], "refusal": None}}]},
        # A float that is a whole number, and data that another service may send.
        {
            **CHAT,
            "choices": [{**CHOICE, "logprobs": {"content": [{**LOGPROB, "logprob": 0}]}}],
        },
        {**CHAT, "choices": [{**CHOICE, "index": "0"}]},
        {**CHAT, "created": "now", "choices": [CHOICE]},
        {"choices": [{"message": {"content": 5}}], "model": None},
        {},
    ],
)
def test_an_object_of_stored_data_is_the_one_that_the_client_makes(data):
    kind = pytest.importorskip("openai.types.chat").ChatCompletion
    made = object_of(kind, data)
    assert repr(made) == repr(kind.construct(**data))
    assert made == kind.construct(**data)
    assert made.model_fields_set == kind.construct(**data).model_fields_set


def test_an_event_that_a_release_does_not_know_is_read_as_the_client_does():
    openai = pytest.importorskip("openai")
    types = pytest.importorskip("openai.types.responses")
    events = [
        {
            "type": "response.output_text.delta",
            "item_id": "1",
            "output_index": 0,
            "content_index": 0,
            "delta": "By",
            "logprobs": [],
            "sequence_number": 1,
        },
        {"type": "response.output_text.delta", "delta": 5},
        {"type": "response.news", "delta": "By"},
    ]
    kind = types.ResponseStreamEvent
    with openai.OpenAI(api_key="key", base_url="http://none", **http(openai, "sync")) as client:
        stream = stream_of(client, openai.Stream[kind], events, 0)
        expected = [
            client._process_response_data(data=each, cast_to=kind, response=stream.response)
            for each in events
        ]
        assert [repr(each) for each in stream] == [repr(each) for each in expected]
        assert stream.response.is_closed


def test_the_response_of_a_stream_has_its_events():
    anthropic = pytest.importorskip("anthropic")
    kind = anthropic.types.RawMessageStreamEvent
    with anthropic.Anthropic(api_key="key", **http(anthropic, "sync")) as client:
        stream = stream_of(client, anthropic.Stream[kind], [{"type": "message_stop"}], 0)
        assert stream.response.read() == b'event: message_stop\ndata: {"type": "message_stop"}\n\n'
        assert [type(each) for each in stream] == [anthropic.types.RawMessageStopEvent]
