"""Answers as a whole and as a stream: each form says what the other says, or there is none."""

import pytest
from upstream import chat_completions, embeddings, messages, responses
from upstream.answer import Answer as Upstream

from langcache.answers import Answer
from langcache.answers.apis import ChatCompletions, Embeddings, Messages, Responses

REQUEST = {"model": "small", "messages": [{"role": "user", "content": "Hello"}], "n": 2}
APIS = [(ChatCompletions(), chat_completions), (Messages(), messages)]
ANSWERS = [
    Upstream(1, "Good morning to you.", "stop", None),
    Upstream(2, "Good", "length", None),
    Upstream(3, None, "stop", ("clock", '{"zone": "UTC"}')),
]


def events_of(module, answer):
    return [data for _, data in module.events_of(REQUEST, answer) if data != "[DONE]"]


def said(value):
    """Return what a body says, without what was used and what is empty."""
    if isinstance(value, list):
        return [said(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: said(each)
        for name, each in value.items()
        if name != "usage" and each not in (None, [])
    }


@pytest.mark.parametrize(("api", "module"), APIS, ids=["chat", "messages"])
@pytest.mark.parametrize("answer", ANSWERS, ids=["text", "cut", "tool"])
def test_each_form_says_what_the_other_says(api, module, answer):
    body, events = module.body_of(REQUEST, answer), events_of(module, answer)
    assert said(api.value_of(events)) == said(body)
    assert said(api.value_of(api.events_of(body))) == said(body)
    # A stream of a whole answer ends as a real one does, and calls the same tools.
    made, real = api.streamed_answer_of(api.events_of(body)), api.streamed_answer_of(events)
    assert (made.ending, made.calls_tool) == (real.ending, real.calls_tool)


CHAT_EVENTS = events_of(chat_completions, ANSWERS[0])
MESSAGE_EVENTS = events_of(messages, ANSWERS[0])
DELTA = {"type": "content_block_delta", "index": 0}


@pytest.mark.parametrize(
    ("api", "events"),
    [
        (ChatCompletions(), [{**CHAT_EVENTS[0], "news": 1}, *CHAT_EVENTS[1:]]),
        (
            ChatCompletions(),
            [{**CHAT_EVENTS[0], "choices": [{"index": 0, "delta": {"thoughts": "Hm"}}]}],
        ),
        (ChatCompletions(), []),
        (Messages(), [*MESSAGE_EVENTS[:3], {**DELTA, "delta": {"type": "news"}}]),
        (Messages(), [*MESSAGE_EVENTS[:3], {"type": "news"}]),
        (Messages(), MESSAGE_EVENTS[3:]),
        (Responses(), []),
        (Embeddings(), [{}]),
    ],
)
def test_a_stream_with_a_part_that_is_not_known_has_no_whole_form(api, events):
    assert api.value_of(events) is None


CHAT = chat_completions.body_of(REQUEST, ANSWERS[0])
MESSAGE = messages.body_of(REQUEST, ANSWERS[0])


@pytest.mark.parametrize(
    ("api", "body"),
    [
        (ChatCompletions(), {**CHAT, "news": 1}),
        (ChatCompletions(), {**CHAT, "choices": []}),
        (
            ChatCompletions(),
            {**CHAT, "choices": [{"index": 0, "message": {"content": "", "audio": {"id": "1"}}}]},
        ),
        (Messages(), {**MESSAGE, "content": [{"type": "server_tool_use"}]}),
        (Messages(), {**MESSAGE, "content": [{"type": "text", "text": "", "citations": [{}]}]}),
        (Messages(), {}),
        (Responses(), {"output": []}),
        (Embeddings(), {"data": []}),
    ],
)
def test_a_whole_answer_with_a_part_that_is_not_known_has_no_stream(api, body):
    assert api.events_of(body) is None


def test_thoughts_and_citations_are_joined():
    blocks = [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": ""},
    ]
    deltas = [
        (0, {"type": "thinking_delta", "thinking": "Hm. "}),
        (0, {"type": "thinking_delta", "thinking": "Yes."}),
        (0, {"type": "signature_delta", "signature": "s"}),
        (1, {"type": "text_delta", "text": "Yes."}),
        (1, {"type": "citations_delta", "citation": {"url": "u"}}),
    ]
    events = [
        MESSAGE_EVENTS[0],
        *(
            {"type": "content_block_start", "index": index, "content_block": block}
            for index, block in enumerate(blocks)
        ),
        *(
            {"type": "content_block_delta", "index": index, "delta": delta}
            for index, delta in deltas
        ),
        *MESSAGE_EVENTS[-2:],
    ]
    assert Messages().value_of(events)["content"] == [
        {"type": "thinking", "thinking": "Hm. Yes.", "signature": "s"},
        {"type": "text", "text": "Yes.", "citations": [{"url": "u"}]},
    ]


def test_log_probabilities_are_joined():
    def chunk(**logprobs):
        choice = {"index": 0, "delta": {"content": "a"}, "logprobs": logprobs}
        return {**CHAT_EVENTS[0], "choices": [choice]}

    [choice] = ChatCompletions().value_of([chunk(content=[1]), chunk(content=[2])])["choices"]
    assert choice["logprobs"] == {"content": [1, 2], "refusal": None}
    assert choice["message"]["content"] == "aa"


def test_an_entry_keeps_both_forms():
    stored = Answer.from_json(Answer(chunks=[1]).beside(Answer("whole")).to_json())
    assert (stored.value, stored.chunks) == ("whole", [1])
    assert Answer("new").beside(Answer("old", [1])) == Answer("new", [1])


def mutants(value):
    """Yield a value with a list or a mapping in place of one of its parts, for each of them."""
    yield from ([], ["a"], {}, {"a": ["b"]})
    if isinstance(value, (dict, list)):
        places = value if isinstance(value, dict) else range(len(value))
        for place in places:
            for mutant in mutants(value[place]):
                copy = value.copy()
                copy[place] = mutant
                yield copy


@pytest.mark.parametrize(
    ("api", "module"),
    [*APIS, (Responses(), responses), (Embeddings(), embeddings)],
    ids=["chat", "messages", "responses", "embeddings"],
)
def test_an_answer_of_any_form_can_be_read(api, module):
    request = {**REQUEST, "input": "Hello"}
    body = module.body_of(request, ANSWERS[0])
    for mutant in mutants(body):
        answer = api.answer_of(mutant)
        api.usage_of(answer)
        api.unbilled(answer)
    if module is not embeddings:
        events = [data for _, data in module.events_of(request, ANSWERS[0]) if data != "[DONE]"]
        for mutant in mutants(events):
            if isinstance(mutant, list):
                answer = api.streamed_answer_of(mutant)
                api.usage_of(answer)
                api.unbilled(answer)
