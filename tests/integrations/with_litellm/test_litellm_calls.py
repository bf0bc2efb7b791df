"""Every kind of LiteLLM call, and LiteLLM's cache controls."""

import asyncio
import threading
import time

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger

import langcache.integrations.litellm as integration
from langcache.answers import AnswerCache

QUESTION = "How do I reset my password?"
PARAPHRASE = "How can I reset my password?"


@pytest.fixture
def complete_text(call):
    def complete(prompt, answer, **arguments):
        response, _ = call(
            "text_completion",
            **{"model": "gpt-3.5-turbo-instruct", "mock_response": answer, **arguments},
            prompt=prompt,
        )
        assert isinstance(response, litellm.TextCompletionResponse)
        return response.choices[0].text

    return complete


def test_a_text_completion_is_cached_by_meaning(cache, complete_text, ask):
    assert complete_text(QUESTION, "first") == "first"
    assert complete_text(PARAPHRASE, "second") == "first"
    assert complete_text("How do I bake bread?", "third") == "third"
    assert complete_text(QUESTION, "fourth", max_tokens=3) == "fourth"
    assert complete_text(QUESTION, "fifth", suffix="!") == "fifth"
    assert ask(QUESTION, "sixth", model="gpt-3.5-turbo-instruct").text == "sixth"


def embed(call, inputs, **arguments):
    response, _ = call("embedding", **{"model": "own/any", **arguments}, input=inputs)
    return [list(each["embedding"]) for each in response.data]


def is_cached(call):
    """Return whether an embedding call is cached; old releases mix up the vectors."""
    return call.is_sync or "aembedding" in litellm.cache.supported_call_types


def test_each_input_of_an_embedding_has_its_own_entry(enable, call, model):
    enable(similarity_threshold=0.0)
    assert embed(call, ["one", "three"]) == [[3, ord("o")], [5, ord("t")]]
    assert embed(call, ["one", "three"]) == [[3, ord("o")], [5, ord("t")]]
    assert len(model.calls) == (1 if is_cached(call) else 2)
    assert embed(call, ["three"]) == [[5, ord("t")]]
    assert embed(call, ["eleven"]) == [[6, ord("e")]]
    assert embed(call, ["one", "sixteen", "three"]) == [
        [3, ord("o")],
        [7, ord("s")],
        [5, ord("t")],
    ]
    assert ["eleven"] in model.calls


@pytest.mark.parametrize("call", ["async"], indirect=True)
def test_async_embeddings_ask_the_model_for_new_inputs_only(cache, call, model):
    embed(call, ["one", "three"])
    assert embed(call, ["three", "eleven", "one"])[1] == [6, ord("e")]
    assert model.calls[-1] == (["eleven"] if is_cached(call) else ["three", "eleven", "one"])


def test_other_parameters_of_an_embedding_are_a_miss(cache, call, model):
    embed(call, ["one"])
    embed(call, ["one"], model="own/other")
    embed(call, ["one"], scale=2)
    assert len(model.calls) == 3


def test_transcriptions_are_left_alone(cache):
    assert not {"transcription", "atranscription"} & set(litellm.cache.supported_call_types)
    # Not even when enabled: two files may have the same name.
    litellm.cache.supported_call_types.append("transcription")
    litellm.cache.add_cache('{"text": "a"}', model="whisper-1", file="speech.mp3")
    assert litellm.cache.get_cache(model="whisper-1", file="speech.mp3") is None
    assert cache.statistics.stores == 0


def test_no_cache_asks_the_model_and_renews_the_answer(cache, ask):
    ask(QUESTION, "old")
    assert ask(QUESTION, "new", cache={"no-cache": True}).text == "new"
    assert ask(QUESTION, "newest").text == "new"


def test_no_store_leaves_no_answer(cache, ask):
    ask(QUESTION, "first", cache={"no-store": True})
    assert ask(QUESTION, "second").text == "second"
    assert cache.statistics.stores == 1


def test_an_answer_is_forgotten_after_its_ttl(cache, ask):
    ask(QUESTION, "first", cache={"ttl": 0.5})
    assert ask(QUESTION, "second").text == "first"
    time.sleep(0.6)
    assert ask(QUESTION, "third").text == "third"


def test_the_ttl_of_all_answers(enable, ask):
    enable(ttl=0.3)
    ask(QUESTION, "first")
    ask("How do I bake bread?", "bread", cache={"ttl": 60})
    time.sleep(0.4)
    assert ask(QUESTION, "second").text == "second"
    assert ask("How do I bake bread?", "third").text == "bread"


@pytest.mark.parametrize("ttl", [0, -1, "soon", float("inf"), True])
def test_an_answer_with_a_ttl_that_is_none_is_not_stored(cache, ask, ttl):
    assert ask(QUESTION, "first", cache={"ttl": ttl}).text == "first"
    assert ask(QUESTION, "second").text == "second"


def test_s_maxage_refuses_older_answers(cache, ask):
    ask(QUESTION, "first")
    assert ask(QUESTION, "second", cache={"s-maxage": 60}).text == "first"
    time.sleep(0.3)
    assert ask(PARAPHRASE, "third", cache={"s-maxage": 0.2}).text == "third"


def test_default_off_caches_only_calls_that_ask_for_it(enable, ask):
    enable(mode="default_off")
    opted = {"use-cache": True}
    ask(QUESTION, "first")
    assert ask(QUESTION, "second", cache=opted).text == "second"
    assert ask(QUESTION, "third", cache=opted).text == "second"
    assert ask(QUESTION, "fourth").text == "fourth"


def test_only_supported_call_types_are_cached(enable, ask, complete_text):
    enable(supported_call_types=["text_completion", "atext_completion"])
    ask(QUESTION, "first")
    assert ask(QUESTION, "second").text == "second"
    complete_text(QUESTION, "third")
    assert complete_text(QUESTION, "fourth") == "third"


def test_a_hit_tells_the_key_of_its_own_call(cache, call):
    def key_of(**arguments):
        messages = [{"role": "user", "content": QUESTION}]
        asked = {"model": "gpt-4o", "messages": messages, **arguments}
        for _ in range(2):
            # A caller may give the same id to several calls.
            response, _ = call("completion", mock_response="yes", litellm_call_id="one", **asked)
        assert response._hidden_params["cache_hit"]
        assert response._hidden_params["cache_key"] == litellm.cache.get_cache_key(**asked)
        return response._hidden_params["cache_key"]

    assert key_of(seed=1) == key_of(seed=1) != key_of(seed=2)


def test_a_key_function_says_which_parameters_count(cache, ask):
    litellm.cache.get_cache_key = lambda *_, **arguments: arguments.get("seed")
    ask(QUESTION, "first", seed=1, temperature=0)
    assert ask(PARAPHRASE, "second", seed=1, temperature=1).text == "first"
    assert ask(QUESTION, "third", seed=2).text == "third"
    before = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}]
    assert ask(before, "fourth", seed=1).text == "fourth"


def test_a_key_function_of_all_messages_allows_the_same_request_only(cache, ask):
    litellm.cache.get_cache_key = lambda *_, **arguments: str(arguments.get("messages"))
    ask(QUESTION, "first")
    assert ask(PARAPHRASE, "second").text == "second"
    assert ask(QUESTION, "third").text == "first"


def test_a_key_function_cannot_mix_up_tenants_nor_inputs(enable, ask, call, model):
    enable(scope=lambda arguments: arguments.get("user"))
    litellm.cache.get_cache_key = lambda *_, **__: "the same for all"
    ask(QUESTION, "of a", user="a")
    assert ask(QUESTION, "of b", user="b").text == "of b"
    assert embed(call, ["one"]) != embed(call, ["three"])


def test_a_key_function_that_fails_does_not_fail_the_call(cache, ask):
    def failing(**_):
        raise RuntimeError

    litellm.cache.get_cache_key = failing
    for stream in (False, True):
        assert ask(QUESTION, "first", stream=stream).text == "first"
    assert cache.statistics.stores == 0


def test_a_hit_costs_nothing(cache, call):
    messages = [{"role": "user", "content": QUESTION}]
    costs = []
    for _ in range(2):
        response, _ = call("completion", mock_response="yes", model="gpt-4o", messages=messages)
        costs.append(response._hidden_params["response_cost"])
    assert costs[0] > 0
    assert costs[1] == 0


class Listener(CustomLogger):
    """Hears of the calls with one question; LiteLLM may still tell of those of another test."""

    def __init__(self, question):
        self.question = question
        self.hits = []
        self.heard = threading.Event()

    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        if self.question in str(kwargs.get("messages")):
            self.hits.append(kwargs.get("cache_hit"))
            self.heard.set()

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.log_success_event(kwargs, response_obj, start_time, end_time)


def test_custom_loggers_are_told_of_a_hit(cache, ask, loop):
    question = "Who is told of a hit?"
    listener = Listener(question)
    litellm.callbacks.append(listener)
    for answer in ("first", "second"):
        listener.heard.clear()
        ask(question, answer)
        deadline = time.monotonic() + 30
        while not listener.heard.is_set() and time.monotonic() < deadline:
            loop.run_until_complete(asyncio.sleep(0.01))
    assert not listener.hits[0]
    assert listener.hits[-1] is True


def test_the_similarity_is_in_the_metadata_of_streams_and_text_completions(cache, call, ask):
    ask(QUESTION, "first")
    assert ask(PARAPHRASE, "second", stream=True).similarity > 0.9
    assert ask("How do I bake bread?", "third", stream=True).similarity == 0.0
    for expected in (0.0, 1.0):
        metadata = {}
        call(
            "text_completion",
            model="gpt-3.5-turbo-instruct",
            prompt="Hello",
            mock_response="Hi",
            metadata=metadata,
        )
        assert metadata["semantic-similarity"] == expected


def test_disable_asks_the_model_again_and_enable_takes_the_place_of_any_cache(enable, ask):
    litellm.cache = litellm.Cache()
    enable()
    ask(QUESTION, "first")
    assert ask(PARAPHRASE, "second").is_hit
    integration.disable()
    assert litellm.cache is None
    assert not any("langcache" in type(each).__module__ for each in litellm.callbacks)
    assert ask(QUESTION, "third").text == "third"
    integration.disable()


def test_update_keeps_answers_and_other_settings(enable, ask):
    enable(similarity_threshold=1.0, namespace="mine", scope=lambda _: "tenant")
    ask(QUESTION, "first")
    assert ask(PARAPHRASE, "second", cache={"no-store": True}).text == "second"
    cache = integration.update(similarity_threshold=0.9)
    assert cache.similarity_threshold == 0.9
    assert ask(PARAPHRASE, "third").text == "first"
    assert litellm.cache.namespace == "mine"


def test_update_without_a_cache_says_what_to_do():
    with pytest.raises(RuntimeError, match=r"call enable\(\) first"):
        integration.update(similarity_threshold=0.9)


def test_explaining_calls_no_model_behind_the_cache_of_litellm(cache, model, minilm):
    arguments = {"model": "own/any", "messages": [{"role": "user", "content": QUESTION}]}
    with AnswerCache(verifier=None, embedder=minilm) as other:
        with pytest.raises(TypeError, match="first asks through another cache"):
            other.explain(litellm.completion, **arguments)
        with pytest.raises(TypeError, match="first asks through another cache"):
            asyncio.run(other.aexplain(litellm.acompletion, **arguments))
        # Embeddings are no answers: they are among what a call may prepare.
        with pytest.raises(TypeError, match="or look up an answer in this cache"):
            other.explain(litellm.embedding, model="own/any", input=["one"])
    assert model.calls == [["one"]]
    # Nobody waits for the calls that were stopped.
    asking = threading.Thread(target=lambda: litellm.completion(**arguments), daemon=True)
    asking.start()
    asking.join(5)
    assert len(model.calls) == 2
