"""`AnswerCache.cached`: functions of all four kinds."""

import asyncio
import dataclasses
import functools
import gc
import inspect
import threading
import warnings
from collections import OrderedDict, UserList
from collections.abc import AsyncIterator, Iterator
from enum import Enum
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import BaseModel, Field

from langcache.answers import _pending_calls

ASKED = "How do I reset my password?"
PARAPHRASE = "How can I reset my password?"
OTHER = "What are your opening hours?"


class Reply(BaseModel):
    text: str


class Tone(str, Enum):
    KIND = "kind"


class Labelled(BaseModel):
    tone: Any


class Guest(BaseModel):
    name: str = ""
    rights: str = Field("none", exclude=True)


class Admin(Guest):
    pass


@dataclasses.dataclass
class Scored:
    text: str
    score: float


@pytest.fixture
def calls():
    return []


@pytest.fixture(params=["sync", "async", "generator", "async generator"])
def answer(request, answers, calls):
    """A cached function of each kind, with a sync form that returns the list of what it answers."""
    cached = answers.cached(prompt="question", scope=("tenant",))

    def sync(question: str, tenant: str = "acme", *, style: str = "short") -> str:
        calls.append(question)
        return f"answer {len(calls)}"

    async def coroutine(question: str, tenant: str = "acme", *, style: str = "short") -> str:
        return sync(question)

    def generator(question: str, tenant: str = "acme", *, style: str = "short") -> Iterator[str]:
        yield from sync(question).split()

    async def agenerator(
        question: str, tenant: str = "acme", *, style: str = "short"
    ) -> AsyncIterator[str]:
        for word in sync(question).split():
            yield word

    if request.param == "sync":
        function = cached(sync)
        ask = function
    elif request.param == "async":
        function = cached(coroutine)

        def ask(*args, **kwargs):
            return asyncio.run(function(*args, **kwargs))

    elif request.param == "generator":
        function = cached(generator)

        def ask(*args, **kwargs):
            return " ".join(function(*args, **kwargs))

    else:
        function = cached(agenerator)

        async def collected(*args, **kwargs):
            return " ".join([word async for word in function(*args, **kwargs)])

        def ask(*args, **kwargs):
            return asyncio.run(collected(*args, **kwargs))

    ask_with = functools.partial(ask)
    ask_with.function = function
    return ask_with


def test_the_same_and_a_similar_question_have_one_answer(answer, calls):
    assert [answer(ASKED), answer(question=ASKED), answer(PARAPHRASE, "acme")] == ["answer 1"] * 3
    assert calls == [ASKED]


def test_every_other_argument_counts(answer, calls):
    assert answer(ASKED) == "answer 1"
    assert answer(ASKED, "umbrella") == "answer 2"
    assert answer(ASKED, style="long") == "answer 3"
    assert answer(OTHER) == "answer 4"


def test_invalidate_and_explain_take_the_arguments_of_a_call(answer, answers):
    answer(ASKED)
    function = answer.function
    assert function.explain(PARAPHRASE).outcome == "hit"
    assert answers.explain(function, PARAPHRASE, "umbrella").outcome == "miss"
    assert function.invalidate(PARAPHRASE) == 1
    assert asyncio.run(function.aexplain(PARAPHRASE)).outcome == "miss"
    assert asyncio.run(function.ainvalidate(ASKED)) == 0
    assert answer(ASKED) == "answer 2"


def test_answers_of_a_tenant_can_be_invalidated(answer, answers):
    answer(ASKED, "acme")
    answer(ASKED, "umbrella")
    assert answers.invalidate(tenant="acme") == 1
    assert answer(ASKED, "umbrella") == "answer 2"


def test_a_cached_function_keeps_its_kind_and_name(answers):
    async def ask(question: str) -> str:
        """Ask."""
        return question

    cached = answers.cached(prompt="question")(ask)
    assert inspect.iscoroutinefunction(cached)
    assert (cached.__name__, cached.__doc__) == ("ask", "Ask.")
    assert inspect.signature(cached) == inspect.signature(ask)


def test_an_error_is_passed_on_and_nothing_is_stored(answer, calls, answers):
    calls.append(None)

    @answers.cached(prompt="question")
    def fail(question: str) -> str:
        calls.append(question)
        raise LookupError(question)

    for _ in range(2):
        with pytest.raises(LookupError):
            fail(ASKED)
    assert calls[1:] == [ASKED] * 2


def test_a_stream_that_breaks_or_is_left_is_not_stored(answers, calls):
    @answers.cached(prompt="question")
    def words(question: str) -> Iterator[str]:
        calls.append(question)
        yield "one"
        if len(calls) == 1:
            raise ConnectionError
        yield "two"

    with pytest.raises(ConnectionError):
        list(words(ASKED))
    left = words(ASKED)
    assert next(left) == "one"
    left.close()
    assert list(words(ASKED)) == ["one", "two"]
    assert list(words(ASKED)) == ["one", "two"]
    assert len(calls) == 3


@pytest.mark.parametrize("question", [ASKED, OTHER])
def test_a_stream_that_the_garbage_collector_finds_during_a_lookup_stops_nothing(
    answers, calls, monkeypatch, question
):
    @answers.cached(prompt="question")
    def stream(question: str) -> Iterator[str]:
        calls.append(question)
        yield "a "
        yield "b"

    class Reader:
        """Has a stream that it does not read to the end, and is part of a cycle."""

        def __init__(self):
            self.me = self
            self.stream = stream(ASKED)
            next(self.stream)

    def collecting(kind):
        def make(*arguments):
            gc.collect()
            return kind(*arguments)

        return make

    gc.collect()
    gc.disable()
    try:
        Reader()
        for kind in (_pending_calls.Future, _pending_calls.PendingCall):
            monkeypatch.setattr(_pending_calls, kind.__name__, collecting(kind))
        lookup = threading.Thread(target=lambda: list(stream(question)), daemon=True)
        lookup.start()
        lookup.join(30)
    finally:
        gc.enable()
    assert not lookup.is_alive()
    assert calls == [ASKED, question]
    # The call that was left has ended, too: nobody waits for it.
    assert list(stream(ASKED)) == ["a ", "b"]


def test_the_block_in_which_a_stream_is_asked_for_counts(answers):
    @answers.cached(prompt="question")
    def words(question: str) -> Iterator[str]:
        yield "one"

    with answers.scope(tenant="acme"):
        asked = words(ASKED)
    assert list(asked) == ["one"]
    assert answers.invalidate(tenant="acme") == 1


def test_models_and_dataclasses_come_back_as_they_were(answers, calls):
    @answers.cached(prompt="question")
    def reply(question: str) -> Reply:
        calls.append(question)
        return Reply(text="by mail")

    @answers.cached(prompt="question")
    def scored(question: str) -> list[Scored]:
        calls.append(question)
        return [Scored("by mail", 0.5)]

    assert reply(ASKED) == reply(PARAPHRASE) == Reply(text="by mail")
    assert scored(ASKED) == scored(PARAPHRASE) == [Scored("by mail", 0.5)]
    assert len(calls) == 2


@pytest.mark.parametrize(
    "result",
    [None, object(), ("a", "tuple"), {1: "a key"}, {"tone": Tone.KIND}, [Labelled(tone=Tone.KIND)]],
)
def test_a_result_that_would_come_back_otherwise_is_not_stored(answers, calls, result):
    @answers.cached(prompt="question")
    def reply(question: str) -> Any:
        calls.append(question)
        return result

    for _ in range(2):
        assert reply(ASKED) is result
    assert len(calls) == 2


@pytest.mark.parametrize("annotation", [Any, Iterator[str], str])
@pytest.mark.parametrize("nest", [lambda words: words, lambda words: [{"a": words}]])
def test_an_iterator_is_left_to_the_caller(answers, annotation, nest):
    def reply(question: str):
        return nest(iter(question.split()))

    reply.__annotations__["return"] = annotation
    cached = answers.cached(prompt="question")(reply)
    for _ in range(2):
        result = cached(ASKED)
        words = result[0]["a"] if isinstance(result, list) else result
        assert list(words) == ASKED.split()


def test_a_result_of_another_type_than_announced_is_in_no_warning(answers):
    @answers.cached(prompt="question")
    def reply(question: str) -> int:
        return "a secret"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reply(ASKED) == reply(ASKED) == "a secret"


def test_each_chunk_is_stored_as_it_was_yielded(answers):
    @answers.cached(prompt="question")
    def growing(question: str) -> Iterator[list[str]]:
        words = []
        for word in ("by", "mail"):
            words.append(word)
            yield words

    read = [[list(each) for each in growing(ASKED)] for _ in range(2)]
    assert read == [[["by"], ["by", "mail"]]] * 2


def test_what_a_generator_returns_is_passed_on_and_the_answer_is_not_stored(answers):
    @answers.cached(prompt="question")
    def words(question: str):
        yield "one"
        return "the usage"

    def read():
        return (yield from words(ASKED))

    for _ in range(2):
        reader = read()
        assert next(reader) == "one"
        with pytest.raises(StopIteration) as end:
            next(reader)
        assert end.value.value == "the usage"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Guest(), Admin()),
        ([Guest()], [Admin()]),
        (Guest(rights="read"), Guest(rights="write")),
        ({"user": Reply(text="a")}, {"user": {"text": "a"}}),
        ({"name": None}, {}),
        (OrderedDict(name=None), OrderedDict()),
        (MappingProxyType({"user": Guest()}), MappingProxyType({"user": Admin()})),
        (UserList([Guest()]), UserList([Admin()])),
    ],
)
def test_arguments_that_a_function_can_tell_apart_are_different(answers, calls, one, other):
    @answers.cached(prompt="question")
    def reply(question: str, user: Any) -> int:
        calls.append(user)
        return len(calls)

    assert [reply(ASKED, user) for user in (one, other, one)] == [1, 2, 1]


@pytest.mark.parametrize("captured", ["a", 1, ["a"], Guest(name="a"), ("a", {"b": 2.5}), Guest])
def test_what_a_nested_function_has_captured_counts(answers, captured):
    def make(value, result):
        client = object()  # has no JSON form

        @answers.cached(prompt="question")
        def reply(question: str) -> str:
            return result if (client, value) else ""

        return reply

    assert make(captured, "one")(ASKED) == "one"
    assert make("another", "one")(ASKED) == "one"
    assert make("another", "other")(ASKED) == "other"
    assert make(captured, "one").explain(ASKED).outcome == "hit"


def test_functions_behind_one_decorator_are_different(answers):
    def decorated(function):
        def call(question: str) -> str:
            return function(question)

        return call

    def one(question):
        return "one"

    def other(question):
        return "other"

    cached = answers.cached(prompt="question")
    assert cached(decorated(one))(ASKED) == "one"
    assert cached(decorated(other))(ASKED) == "other"


def test_a_function_without_a_name_of_its_own_needs_one(answers):
    class Bot:
        def ask(self, question):
            return "by mail"

        def __call__(self, question):
            return "by mail"

    for function in (lambda question: "by mail", Bot().ask, Bot(), functools.partial(Bot.ask, 1)):
        with pytest.raises(ValueError, match="name: must be given for a lambda, a bound method"):
            answers.cached(prompt="question")(function)
        assert answers.cached(prompt="question", name="bot")(function)(question=ASKED) == "by mail"


def test_an_ignored_argument_does_not_count(answers, calls):
    class Bot:
        @answers.cached(prompt="question", ignore=("self", "log"))
        def ask(self, question: str, log: Any = None) -> str:
            calls.append(question)
            return "by mail"

    assert Bot().ask(ASKED, object()) == Bot().ask(PARAPHRASE) == "by mail"
    assert len(calls) == 1


def test_a_list_of_messages_is_a_conversation(answers, calls):
    @answers.cached(prompt="messages")
    def chat(messages: list[dict[str, str]]) -> str:
        calls.append(messages)
        return f"answer {len(calls)}"

    def user(text):
        return {"role": "user", "content": text}

    system = {"role": "system", "content": "Be brief."}
    assert chat([system, user(ASKED)]) == chat([system, user(PARAPHRASE)]) == "answer 1"
    assert chat([user(ASKED)]) == "answer 2"


def test_functions_of_one_name_may_share_answers(answers, calls):
    def one(question: str) -> str:
        return "one"

    def other(question: str) -> str:
        return "other"

    shared = answers.cached(prompt="question", name="support")
    assert shared(one)(ASKED) == shared(other)(PARAPHRASE) == "one"
    assert answers.cached(prompt="question")(other)(ASKED) == "other"


def test_an_answer_is_forgotten_after_its_ttl(minilm, make_cache):
    from langcache.engine import InMemoryStorage

    cache = make_cache(InMemoryStorage(clock=lambda: 1e12))

    @cache.cached(prompt="question", ttl=60)
    def ask(question: str) -> str:
        return "by mail"

    ask(ASKED)
    assert cache.statistics.stores == 1
    assert ask.explain(ASKED).outcome == "miss"  # the storage's clock is far ahead


def test_a_wrong_call_raises_as_the_function_does(answers):
    @answers.cached(prompt="question")
    def ask(question: str) -> str:
        return question

    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        ask()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prompt": "text"}, "prompt: the function has no parameter 'text'"),
        ({"prompt": "question", "scope": ("team",)}, "scope: the function has no parameter 'team'"),
        ({"prompt": "question", "ignore": ("log",)}, "ignore: the function has no parameter 'log'"),
        ({"prompt": "question", "ignore": ("question",)}, "ignore: must not contain prompt"),
        ({"prompt": "question", "scope": ("question",)}, "scope: must not contain prompt"),
    ],
)
def test_a_name_that_is_no_parameter_is_refused(answers, settings, message):
    with pytest.raises(ValueError, match=message):
        answers.cached(**settings)(lambda question: question)
