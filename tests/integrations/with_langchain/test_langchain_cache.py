"""LangChain's models with the cache: which calls share an answer, and what a hit looks like."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from answer_caches import Broken
from langchain_core.language_models import FakeListLLM
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.outputs import Generation
from langchain_model import Model

from langcache.integrations.langchain import LangCacheSemanticCache
from langcache.integrations.langchain.requests import request_of

QUESTION = "How do I reset my password?"
PARAPHRASE = "How can I reset my password?"
UNRELATED = [
    "What is the capital of France?",
    "How many legs does a spider have?",
    "Who wrote Hamlet?",
    "When does the shop open?",
    "Which battery does the phone need?",
    "Is the museum free on Sundays?",
]


@pytest.fixture
def cache(answers):
    return LangCacheSemanticCache(answers)


@pytest.fixture
def model(cache):
    return Model(cache=cache)


@pytest.fixture(params=["sync", "async"])
def ask(request):
    """Ask a model for messages or a text."""

    def asking(model, messages, **settings):
        if request.param == "sync":
            return model.invoke(messages, **settings)
        return asyncio.run(model.ainvoke(messages, **settings))

    return asking


def test_a_paraphrase_does_not_reach_the_model(ask, model):
    first = ask(model, QUESTION)
    for asked in (QUESTION, PARAPHRASE, [HumanMessage(PARAPHRASE)], [("human", PARAPHRASE)]):
        assert ask(model, asked).content == first.content
    assert model.calls == 1


def test_a_conversation_that_the_provider_keeps_is_not_cached(ask, cache):
    class Responses(Model):
        use_previous_response_id: bool = True

        @classmethod
        def is_lc_serializable(cls):
            return True

    model = Responses(cache=cache)
    for _ in range(2):
        ask(model, QUESTION)
    assert model.calls == 2


def test_a_call_can_be_explained(model, answers):
    model.invoke(QUESTION)
    found = answers.explain(model.invoke, PARAPHRASE)
    assert (found.outcome, found.question) == ("hit", PARAPHRASE)
    assert asyncio.run(answers.aexplain(model.ainvoke, UNRELATED[0])).outcome == "miss"
    assert model.calls == 1


def test_a_hit_used_no_tokens_and_tells_where_it_comes_from(ask, model):
    used = ask(model, QUESTION)
    found = ask(model, PARAPHRASE)
    assert found.usage_metadata["total_tokens"] == 0
    assert found.response_metadata["token_usage"] == {"prompt_tokens": 0, "completion_tokens": 0}
    details = found.response_metadata["langcache"]
    assert details["source"] == "similar"
    assert 0.9 < details["similarity"] < 1
    assert details["saved"] == used.usage_metadata
    assert "langcache" not in used.response_metadata


def test_a_hit_does_not_replace_an_earlier_message(ask, model):
    ask(model, QUESTION)
    assert ask(model, QUESTION).id is None


def test_wrapped_unrelated_questions_never_hit(ask, model):
    for question in UNRELATED:
        ask(model, question)
        ask(model, [SystemMessage("Be brief."), HumanMessage(question)])
    assert model.calls == 2 * len(UNRELATED)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I enable dark mode?", "How do I disable dark mode?"),
        ("How many retries within 5 minutes?", "How many retries within 6 minutes?"),
    ],
)
def test_an_opposite_or_another_number_reaches_the_model(ask, model, one, other):
    ask(model, one)
    ask(model, other)
    assert model.calls == 2


def test_what_shapes_an_answer_separates_answers(ask, cache):
    asked = [
        [HumanMessage(QUESTION)],
        [SystemMessage("Answer in French."), HumanMessage(QUESTION)],
        [HumanMessage("I have a Mac."), AIMessage("Nice."), HumanMessage(QUESTION)],
        [HumanMessage("I have a PC."), AIMessage("Nice."), HumanMessage(QUESTION)],
        [HumanMessage(QUESTION, name="bob")],
    ]
    models = [
        Model(cache=cache),
        Model(cache=cache, model="m-2"),
        Model(cache=cache, temperature=1.0),
        Model(cache=cache).bind(stop=["."]),
        Model(cache=cache).bind(a_new_parameter=1),
    ]
    for _ in range(2):
        for messages in asked:
            ask(models[0], messages)
        for model in models:
            ask(model, QUESTION)
    counts = [getattr(model, "bound", model).calls for model in models]
    assert counts == [len(asked), 1, 1, 1, 1]


def test_a_tenant_has_answers_of_its_own(ask, answers, model):
    for tenant in ("acme", "globex", "acme"):
        with answers.scope(tenant=tenant):
            ask(model, QUESTION)
    assert model.calls == 2
    with answers.bypass():
        ask(model, QUESTION)
    assert model.calls == 3


def test_with_tools_only_the_same_question_hits(ask, model):
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    with_tools = model.bind_tools([tool])
    for asked in (QUESTION, QUESTION, PARAPHRASE):
        ask(with_tools, asked)
    assert model.calls == 2


def test_what_the_provider_tells_of_an_earlier_message_makes_no_difference(ask, model):
    for number in range(2):
        earlier = AIMessage("Nice.", id=f"id-{number}", response_metadata={"id": number})
        ask(model, [HumanMessage("I have a Mac."), earlier, HumanMessage(QUESTION)])
    assert model.calls == 1


def test_images_hit_only_by_the_same_message(ask, model):
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    for text in (QUESTION, QUESTION, PARAPHRASE):
        ask(model, [HumanMessage([{"type": "text", "text": text}, picture])])
    for text in (QUESTION, PARAPHRASE):
        ask(model, [HumanMessage([{"type": "text", "text": text}])])
    assert model.calls == 3


@pytest.mark.parametrize(
    "settings",
    [
        {"info": {"finish_reason": "length"}},
        {"message": {"response_metadata": {"stop_reason": "max_tokens"}}},
        {"message": {"response_metadata": {"finish_reason": "SAFETY"}}},
        {"message": {"response_metadata": {"finish_reason": "content_filter"}}},
        {"message": {"additional_kwargs": {"refusal": "I can't."}}},
        {"message": {"invalid_tool_calls": [{"name": "f", "args": "{", "id": "1", "error": "x"}]}},
        {"info": {"logprobs": object()}},
    ],
    ids=lambda settings: json.dumps(settings, default=str)[:40],
)
def test_an_answer_that_is_not_whole_is_not_stored(ask, cache, settings):
    model = Model(cache=cache, **settings)
    ask(model, QUESTION)
    ask(model, QUESTION)
    assert model.calls == 2


def test_a_call_of_a_tool_is_found_by_the_same_question_only(ask, cache):
    calls = [{"name": "f", "args": {"x": 1}, "id": "call_1", "type": "tool_call"}]
    model = Model(cache=cache, message={"tool_calls": calls, "content": ""})
    ask(model, QUESTION)
    assert ask(model, QUESTION).tool_calls == calls
    ask(model, PARAPHRASE)
    assert model.calls == 2


def test_an_error_of_the_model_is_raised_and_not_stored(ask, model):
    model._failures.append(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        ask(model, QUESTION)
    assert ask(model, QUESTION).content == "answer 2"


def test_concurrent_equal_calls_share_one(model):
    async def main():
        return await asyncio.gather(*[model.ainvoke(QUESTION) for _ in range(50)])

    assert {answer.content for answer in asyncio.run(main())} == {"answer 1"}
    assert model.calls == 1


def test_a_call_that_fails_keeps_no_other_waiting(cache):
    class Held(Model):
        async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
            started.set()
            await asyncio.sleep(0)
            return self._generate(messages)

    model = Held(cache=cache)
    model._failures.append(ValueError("no"))

    async def main():
        nonlocal started
        started = asyncio.Event()
        first = asyncio.create_task(model.ainvoke(QUESTION))
        await started.wait()
        second = asyncio.create_task(model.ainvoke(QUESTION))
        with pytest.raises(ValueError, match="no"):
            await first
        return await second

    started = None
    assert asyncio.run(main()).content == "answer 2"


def test_threads_do_not_wait_for_each_other(model):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(model.invoke, [QUESTION] * 8))
    assert len({answer.content for answer in answers}) == model.calls


def test_a_cache_that_is_down_fails_no_call(ask, make_cache):
    model = Model(cache=LangCacheSemanticCache(make_cache(Broken())))
    assert [ask(model, QUESTION).content for _ in range(2)] == ["answer 1", "answer 2"]


def test_a_cache_that_hangs_takes_no_more_than_its_budget(make_cache):
    released = threading.Event()
    model = Model(cache=LangCacheSemanticCache(make_cache(Broken(released), budget=0.01)))
    try:
        assert model.invoke(QUESTION).content == "answer 1"
    finally:
        released.set()


def test_a_model_for_texts_is_cached_too(ask, cache):
    model = FakeListLLM(responses=["one", "two", "three"], cache=cache)
    assert [ask(model, asked) for asked in (QUESTION, PARAPHRASE)] == ["one", "one"]
    assert ask(model, UNRELATED[0]) == "two"
    talk = "Human: {}\nAI: Yes.\nHuman: Thanks."
    assert ask(model, talk.format(QUESTION)) == "three"
    assert ask(model, talk.format(PARAPHRASE)) == "one"  # the list begins again


def test_clear_deletes_the_answers_of_langchain_only(ask, answers, cache, model):
    calls = []

    @answers.cached(prompt="question")
    def other(question):
        calls.append(question)
        return len(calls)

    assert other(QUESTION) == 1
    with answers.scope(tenant="acme"):
        ask(model, QUESTION)
    ask(model, QUESTION)
    cache.clear(tenant="acme")
    with answers.scope(tenant="acme"):
        ask(model, QUESTION)
    assert model.calls == 3
    ask(model, QUESTION)
    assert model.calls == 3
    asyncio.run(cache.aclear())
    ask(model, QUESTION)
    assert model.calls == 4
    assert other(QUESTION) == 1


def test_several_answers_to_one_prompt_come_back(cache):
    generations = [Generation(text="one", generation_info={"index": 0}), Generation(text="two")]
    cache.update("a prompt", "a model", generations)
    assert cache.lookup("a prompt", "a model") == generations


# What is read from LangChain's strings


def test_json_that_is_no_list_of_messages_is_compared_as_a_whole():
    for prompt in ('{"question": "Who?"}', "[1, 2]", "[]", "[broken", '[{"lc": 1}]'):
        assert request_of(prompt, "model").text is None
    message = {"lc": 1, "type": "not_implemented", "id": ["x", "HumanMessage"], "kwargs": {}}
    assert request_of(json.dumps([message]), "model").text is None
    message = {**message, "type": "constructor", "kwargs": {"content": "nested"}}
    nested = json.dumps([message]).replace('"nested"', "[" * 700 + "]" * 700)
    assert request_of(nested, "model").text is None


def test_an_object_with_its_address_in_the_model_is_not_cached():
    prompt = dumps([HumanMessage(QUESTION)])
    assert request_of(prompt, "[('client', <object at 0x7f001>)]") is None
    assert request_of(prompt, "[('client', None)]").text == QUESTION


@pytest.mark.parametrize(
    ("llm_string", "exact"),
    [
        ("[('stop', None), ('tools', [{'type': 'function'}])]", True),
        ("{\"kwargs\": {}}---[('functions', [{'name': 'f'}])]", True),
        ("[('model', {'tools': [{'name': 'f'}]})]", True),
        ("[('stop', None), ('tools', [])]", False),
        ("[('stop', ['tools'])]", False),
    ],
)
def test_tools_are_seen_in_the_description_of_a_model(llm_string, exact):
    request = request_of(dumps([HumanMessage(QUESTION)]), llm_string)
    assert (request.text is None) is exact
