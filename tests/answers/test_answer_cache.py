"""The core of all doors: which calls share an answer, and what the cache costs a call."""

import asyncio
import concurrent.futures
import logging
import threading
from contextvars import ContextVar

import pytest
import trio
from answer_caches import Broken
from langcache_mockserver import MockServer

import langcache
from langcache import LangCache
from langcache.answers import Answer, AnswerCache, chat_request
from langcache.engine import InMemoryStorage, SemanticCache, create_verifier

ASKED = "How do I reset my password?"
PARAPHRASE = "How can I reset my password?"
RETRY = (
    "How many retries are allowed within 5 minutes?",
    "How many retries are allowed within 6 minutes?",
)
OPPOSITE = ("How do I enable dark mode?", "How do I disable dark mode?")


def request(text=ASKED, earlier=(), door="test", exact=False, **parameters):
    messages = [*earlier, {"role": "user", "content": text}]
    return chat_request(door, parameters, messages, exact=exact)


def ask(cache, asked, answer="an answer", **answered):
    """Look a request up, store an answer on a miss, and return the lookup."""
    found = cache.look_up(asked, value_of)
    if found.outcome != "hit":
        cache.keep(found, Answer(answer, **answered))
    return found


def value_of(answer):
    return answer.value


def test_the_same_question_is_a_hit(answers):
    assert ask(answers, request(), "by mail").outcome == "miss"
    found = ask(answers, request())
    assert (found.outcome, found.value) == ("hit", "by mail")
    assert (found.hit.source, found.hit.similarity) == ("exact", 1.0)


def test_the_same_question_in_other_words_is_a_hit(answers):
    ask(answers, request(), "by mail")
    found = ask(answers, request(PARAPHRASE))
    assert found.value == "by mail"
    assert found.hit.source == "similar"
    assert found.hit.similarity < 1
    assert (found.hit.question, found.hit.cached_question) == (PARAPHRASE, ASKED)


@pytest.mark.parametrize("pair", [RETRY, OPPOSITE])
def test_a_question_that_only_looks_alike_is_none(answers, pair):
    ask(answers, request(pair[0]))
    assert ask(answers, request(pair[1])).outcome in ("miss", "rejected")


def test_a_rejected_question_is_counted_as_rejected(answers):
    ask(answers, request(OPPOSITE[0]))
    assert ask(answers, request(OPPOSITE[1])).outcome == "rejected"
    assert answers.statistics.rejected == 1


SYSTEM = {"role": "system", "content": "Answer as a pirate."}
EARLIER = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello!"}]


@pytest.mark.parametrize(
    "other",
    [
        request(PARAPHRASE, model="large"),
        request(PARAPHRASE, temperature=1),
        request(PARAPHRASE, never_heard_of=True),
        request(PARAPHRASE, [SYSTEM]),
        request(PARAPHRASE, EARLIER),
        request(PARAPHRASE, door="another"),
    ],
)
def test_another_scope_is_a_miss(answers, other):
    ask(answers, request())
    assert ask(answers, other).outcome == "miss"


def test_equal_earlier_turns_are_one_scope(answers):
    ask(answers, request(ASKED, EARLIER))
    assert ask(answers, request(PARAPHRASE, EARLIER)).outcome == "hit"


def test_an_exact_request_is_answered_by_the_same_request_only(answers):
    ask(answers, request(exact=True, tools=["clock"]))
    assert ask(answers, request(PARAPHRASE, exact=True, tools=["clock"])).outcome == "miss"
    assert ask(answers, request(exact=True, tools=["clock"])).outcome == "hit"


def test_an_answer_that_calls_a_tool_is_for_the_same_question_only(answers):
    ask(answers, request(), calls_tool=True)
    assert ask(answers, request(PARAPHRASE), calls_tool=True).outcome == "miss"
    assert ask(answers, request()).outcome == "hit"


def test_an_argument_without_json_form_is_not_cached(answers):
    for _ in range(2):
        assert ask(answers, request(client=object())).outcome == "skipped"


@pytest.mark.parametrize("ending", ["truncated", "filtered", "failed"])
def test_an_answer_that_did_not_end_well_is_not_stored(answers, ending):
    ask(answers, request(), ending=ending)
    assert ask(answers, request()).outcome == "miss"


def test_truncated_answers_are_stored_when_asked(make_cache):
    cache = make_cache(store_truncated=True)
    ask(cache, request(), ending="truncated")
    assert ask(cache, request()).outcome == "hit"


def test_a_value_that_the_door_cannot_read_is_a_miss(answers):
    ask(answers, request(), "old")
    found = answers.look_up(request(), lambda _: None)
    assert found.outcome == "miss"
    answers.keep(found, Answer("new"))
    assert ask(answers, request()).value == "new"


# Blocks


def test_tenants_share_no_answers(answers):
    with answers.scope(tenant="acme"):
        ask(answers, request(), "for acme")
    with answers.scope(tenant="umbrella"):
        assert ask(answers, request(PARAPHRASE), "for umbrella").outcome == "miss"
    assert ask(answers, request()).outcome == "miss"
    with answers.scope(tenant="acme"):
        assert ask(answers, request(PARAPHRASE)).value == "for acme"


def test_an_inner_scope_adds_to_the_outer_one(answers):
    with answers.scope(tenant="acme"), answers.scope(user=1):
        ask(answers, request())
    with answers.scope(user=1, tenant="acme"):
        assert ask(answers, request()).outcome == "hit"
    with answers.scope(user=1):
        assert ask(answers, request()).outcome == "miss"


def test_a_block_of_one_cache_does_not_concern_another(make_cache):
    one, other = make_cache(), make_cache()
    with one.bypass():
        assert ask(one, request()).outcome == "bypass"
        assert ask(other, request()).outcome == "miss"
    assert one.statistics.bypassed == 1


def test_a_bypass_stores_nothing(answers):
    with answers.bypass():
        ask(answers, request())
    assert ask(answers, request()).outcome == "miss"


def test_answers_of_a_tenant_can_be_invalidated(answers):
    for tenant in ("acme", "umbrella"):
        with answers.scope(tenant=tenant):
            ask(answers, request())
    assert answers.invalidate(tenant="acme") == 1
    with answers.scope(tenant="umbrella"):
        assert ask(answers, request()).outcome == "hit"
    with pytest.raises(ValueError, match="at least one name is required"):
        answers.invalidate()


def test_a_name_without_a_value_is_a_scope_of_its_own(answers):
    ask(answers, request())
    with answers.scope(tenant=None):
        assert ask(answers, request()).outcome == "miss"
        assert ask(answers, request()).outcome == "hit"


# Conversations


def test_a_question_that_stands_alone_needs_no_earlier_turns(make_cache):
    cache = make_cache(context="standalone")
    ask(cache, request("What is the capital of France?"), "Paris")
    asked = request("What is the capital city of France?", EARLIER)
    assert ask(cache, asked).value == "Paris"


@pytest.mark.parametrize(
    "text",
    [
        "What about it?",
        "And in Germany?",
        "How long is the warranty?",
        "Can you say more about this?",
    ],
)
def test_a_question_that_does_not_stand_alone_keeps_its_earlier_turns(make_cache, text):
    cache = make_cache(context="standalone")
    ask(cache, request(text, EARLIER))
    assert ask(cache, request(text)).outcome == "miss"
    assert ask(cache, request(text, EARLIER)).outcome == "hit"


def test_instructions_stay_in_the_scope_of_a_question_that_stands_alone(make_cache):
    cache = make_cache(context="standalone")
    ask(cache, request("What is the capital of France?"))
    asked = request("What is the capital of France?", [SYSTEM, *EARLIER])
    assert ask(cache, asked).outcome == "miss"


def test_a_function_may_resolve_the_last_turn(make_cache):
    seen = []

    def resolve(turns, text):
        seen.append([(turn.role, turn.text) for turn in turns])
        return f"{turns[0].text} {text}" if "France" in turns[0].text else None

    cache = make_cache(context=resolve)
    france = [{"role": "user", "content": "Tell me of France."}, EARLIER[1]]
    ask(cache, request("What is its capital?", france), "Paris")
    assert seen == [[("user", "Tell me of France."), ("assistant", "Hello!")]]
    longer = [*france, *EARLIER]
    assert ask(cache, request("What is its capital?", longer)).value == "Paris"
    assert ask(cache, request("What is its capital?", EARLIER)).outcome == "miss"


def test_a_function_that_fails_keeps_the_earlier_turns_in_the_scope(make_cache):
    cache = make_cache(context=lambda turns, text: 1 / 0)
    ask(cache, request(ASKED, EARLIER))
    assert cache.statistics.failures == 1
    assert ask(cache, request(ASKED, EARLIER)).outcome == "hit"
    assert ask(cache, request()).outcome == "miss"


@pytest.mark.parametrize("nothing", ["", " \n", 5])
def test_a_function_that_returns_no_question_keeps_the_earlier_turns_in_the_scope(
    make_cache, nothing
):
    cache = make_cache(context=lambda turns, text: nothing)
    ask(cache, request(ASKED, EARLIER))
    assert ask(cache, request(ASKED, EARLIER)).outcome == "hit"
    assert ask(cache, request("Where are you?", EARLIER)).outcome == "miss"
    assert ask(cache, request(ASKED, [*EARLIER, *EARLIER])).outcome == "miss"


# A cache that is down or slow


def test_a_cache_that_is_down_fails_no_call_and_logs_no_question(make_cache, caplog):
    cache = make_cache(Broken())
    with caplog.at_level(logging.WARNING, "langcache.answers"):
        assert ask(cache, request()).outcome == "miss"
    assert cache.statistics.failures == 2
    assert "ConnectionError" in caplog.text
    assert ASKED not in caplog.text


def test_a_cache_that_hangs_adds_its_budget_once(make_cache):
    released = threading.Event()
    cache = make_cache(Broken(released), budget=0.05)
    found = cache.look_up(request(), value_of)
    assert found.outcome == "miss"
    assert found.seconds_left <= 0
    # The store does not wait: it could not end before the storage is released.
    cache.keep(found, Answer("an answer"))
    assert cache.statistics.timeouts == 1
    released.set()


def test_an_async_cache_that_hangs_adds_its_budget_once(make_cache):
    released = threading.Event()
    cache = make_cache(Broken(released), budget=0.05)

    async def main():
        found = await cache.alook_up(request(), value_of)
        released.set()
        return found

    found = asyncio.run(main())
    assert found.outcome == "miss"
    assert found.seconds_left <= 0
    assert cache.statistics.timeouts == 1


def test_a_lookup_that_hangs_can_be_cancelled(make_cache):
    released = threading.Event()
    cache = make_cache(Broken(released))

    async def main():
        lookup = asyncio.create_task(cache.alook_up(request(), value_of))
        await asyncio.sleep(0)
        lookup.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lookup
        released.set()
        # Its end comes too late, and does no harm.
        return await cache.alook_up(request(), value_of)

    assert asyncio.run(main()).outcome == "miss"


def test_a_lookup_keeps_the_context_of_its_task(answers):
    name = ContextVar("name")

    async def ask_as(each):
        name.set(each)
        found = await answers.alook_up(request(f"How long do {each} eggs boil?"), value_of)
        await answers.akeep(found, Answer("an answer"))
        return name.get(), asyncio.current_task().get_name()

    async def main():
        tasks = [asyncio.create_task(ask_as(each), name=str(each)) for each in range(9)]
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [(each, str(each)) for each in range(9)]


def test_a_service_that_is_down_fails_no_call(make_cache):
    with LangCache(server_url="http://127.0.0.1:1", cache_id="c", api_key="k") as client:
        cache = make_cache(client, embedder=None)
        assert ask(cache, request()).outcome == "miss"
    assert cache.statistics.failures == 2


# Concurrent calls


def test_concurrent_equal_misses_wait_for_one_answer(answers):
    first = answers.look_up(request(), value_of)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(answers.look_up(request(), value_of)))
        for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    answers.keep(first, Answer("shared"))
    for thread in threads:
        thread.join()
    assert [each.value for each in results] == ["shared"] * 50


def test_tasks_wait_for_one_answer(answers):
    calls = 0

    async def call():
        nonlocal calls
        found = await answers.alook_up(request(), value_of)
        if found.outcome == "hit":
            return found.value
        calls += 1
        await asyncio.sleep(0)
        await answers.akeep(found, Answer("shared"))
        return "shared"

    async def main():
        return await asyncio.gather(*(call() for _ in range(50)))

    assert asyncio.run(main()) == ["shared"] * 50
    assert calls == 1


def test_a_call_without_an_answer_lets_those_that_wait_go_on(answers):
    async def main():
        first = await answers.alook_up(request(), value_of)
        waiting = [asyncio.create_task(answers.alook_up(request(), value_of)) for _ in range(3)]
        await asyncio.sleep(0)
        answers.release(first)
        return await asyncio.gather(*waiting)

    assert [each.outcome for each in asyncio.run(main())] == ["miss"] * 3


def test_a_cancelled_call_lets_those_that_wait_go_on(answers):
    async def main():
        started = asyncio.Event()

        async def leader():
            await answers.alook_up(request(), value_of)
            started.set()
            await asyncio.Event().wait()

        leading = asyncio.create_task(leader())
        await started.wait()
        waiting = asyncio.create_task(answers.alook_up(request(), value_of))
        await asyncio.sleep(0)
        leading.cancel()
        return await waiting

    assert asyncio.run(main()).outcome == "miss"


def test_a_call_outside_of_asyncio_goes_on_without_the_cache(make_cache):
    cache = make_cache(Broken())  # one that has to be waited for

    async def main():
        found = await cache.alook_up(request(), value_of)
        await cache.akeep(found, Answer("an answer"))
        return found.outcome

    assert trio.run(main) == "miss"
    assert cache.statistics.failures


# Explanations and reports


def test_an_explanation_says_why(answers):
    assert answers.explain_request(request()).outcome == "miss"
    ask(answers, request())
    ask(answers, request(OPPOSITE[0]))
    assert answers.explain_request(request()).outcome == "hit"
    similar = answers.explain_request(request(PARAPHRASE))
    assert (similar.outcome, similar.question) == ("hit", PARAPHRASE)
    assert similar.lookup.candidates[0].prompt == ASKED
    assert answers.explain_request(request(OPPOSITE[1])).outcome == "rejected"
    exact = answers.explain_request(request(PARAPHRASE, exact=True))
    assert exact.reason == "only the same call may have the same answer"
    assert answers.explain_request(request(client=object())).outcome == "skipped"
    with answers.bypass():
        assert answers.explain_request(request()).outcome == "bypass"
    assert answers.statistics.misses == 2


def test_any_call_that_looks_up_an_answer_can_be_explained(answers, make_cache):
    @answers.cached(prompt="question")
    def ask(question):
        raise AssertionError(question)

    def with_preparations(question):
        try:
            return ask(question)
        except BaseException as error:
            raise RuntimeError("a framework has errors of its own") from error

    assert answers.explain(with_preparations, ASKED).question == ASKED
    with pytest.raises(TypeError, match="or look up an answer in this cache"):
        answers.explain(len, ASKED)


@pytest.mark.parametrize("explain", ["explain", "aexplain"])
def test_explaining_calls_no_model_behind_another_cache(answers, make_cache, explain):
    calls, other = [], make_cache()

    @other.cached(prompt="question")
    def rewrite(question):
        calls.append("rewrite")
        return question.lower()

    @answers.cached(prompt="question")
    def ask(question):
        calls.append("ask")
        return question

    def both(question):
        try:
            return ask(rewrite(question))
        except BaseException as error:
            raise RuntimeError("a framework has errors of its own") from error

    def explained(cache, call):
        found = getattr(cache, explain)(call, ASKED)
        return asyncio.run(found) if explain == "aexplain" else found

    for cache in (answers, make_cache()):
        with pytest.raises(TypeError, match="first asks through another cache, which has no"):
            explained(cache, both)
    assert not calls
    # Nobody waits for an answer to the calls that were stopped.
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(both, ASKED).result(30) == ASKED.lower()
    assert calls == ["rewrite", "ask"]
    assert explained(answers, both).outcome == "hit"
    with other.bypass():
        assert explained(answers, both).outcome == "hit"
    assert calls == ["rewrite", "ask", "rewrite"]


def test_a_wrong_hit_is_served_no_more(answers):
    ask(answers, request())
    hit = ask(answers, request(PARAPHRASE)).hit
    assert answers.report_wrong(hit)
    assert ask(answers, request(PARAPHRASE), "its own").outcome == "rejected"
    assert ask(answers, request()).outcome == "hit"
    assert answers.report_wrong(ask(answers, request()).hit)
    assert answers.explain_request(request()).lookup.candidates[0].prompt == PARAPHRASE


def test_only_a_hit_can_be_reported(answers):
    with pytest.raises(TypeError, match="response: must be an answer from the cache"):
        answers.report_wrong("an answer")


def test_no_repr_shows_what_was_asked_or_answered(answers):
    ask(answers, request(), "a secret")
    found = ask(answers, request(PARAPHRASE))
    shown = repr(
        [request(), found.answer, found.hit, found.question, answers.explain_request(request())]
    )
    for text in (ASKED, PARAPHRASE, "a secret"):
        assert text not in shown


# Backends


@pytest.fixture(scope="module")
def server(minilm):
    with MockServer(embedder=minilm) as running:
        yield running


def test_a_service_keeps_answers_and_they_are_verified_here(server, make_cache):
    with LangCache(server_url=server.url, cache_id="answers", api_key="k") as client:
        cache = make_cache(client, embedder=None)
        with cache.scope(tenant="acme"):
            ask(cache, request(), "by mail")
            found = ask(cache, request(PARAPHRASE))
            assert (found.value, found.hit.source) == ("by mail", "similar")
            assert ask(cache, request(exact=True)).outcome == "miss"
            assert ask(cache, request(exact=True)).outcome == "hit"
            ask(cache, request(OPPOSITE[0]))
            assert ask(cache, request(OPPOSITE[1])).outcome == "rejected"
            assert cache.report_wrong(found.hit)
            assert ask(cache, request(PARAPHRASE)).outcome == "miss"
        assert ask(cache, request(OPPOSITE[0])).outcome == "miss"
        with pytest.raises(ValueError, match="stores no labels"):
            cache.invalidate(tenant="acme")


def test_a_semantic_cache_gives_its_storage_and_its_own_entries_stay_apart(minilm, make_cache):
    with SemanticCache("app", vectorizer=minilm, ttl=3600) as semantic:
        semantic.store(ASKED, "an entry of its own")
        cache = make_cache(semantic, embedder=None)
        assert ask(cache, request()).outcome == "miss"
        assert ask(cache, request()).outcome == "hit"
        assert [each["response"] for each in semantic.check(ASKED, num_results=5)] == [
            "an entry of its own"
        ]
        [kept] = [each for each in semantic.storage.entries("app") if each.context_hash]
        assert kept.expires_at is not None


def test_a_semantic_cache_with_a_verifier_gives_its_threshold(minilm):
    rules = create_verifier("rules")
    with SemanticCache("app", 0.2, vectorizer=minilm, verifier=rules) as semantic:
        with AnswerCache(semantic) as cache:
            assert cache.threshold == pytest.approx(0.9)
        with AnswerCache(semantic, threshold=0.95) as cache:
            assert cache.threshold == 0.95


def test_answers_in_a_file_are_there_after_a_restart(make_cache, tmp_path):
    backend = f"sqlite:{tmp_path / 'answers.db'}"
    with make_cache(backend) as cache:
        ask(cache, request(), "by mail")
    assert ask(make_cache(backend), request(PARAPHRASE)).value == "by mail"


@pytest.mark.parametrize("asked", [ASKED, PARAPHRASE])
def test_a_full_cache_forgets_what_was_not_used_for_the_longest_time(make_cache, asked):
    cache = make_cache(max_entries=2)
    ask(cache, request())
    ask(cache, request("What are your opening hours?"))
    assert ask(cache, request(asked)).outcome == "hit"
    ask(cache, request("Where are my invoices?"))
    assert ask(cache, request()).outcome == "hit"
    assert ask(cache, request("What are your opening hours?")).outcome == "miss"


def test_the_default_threshold_goes_with_the_verifier(make_cache, auto):
    assert make_cache(verifier=None, threshold=None).threshold == 0.9


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"backend": 1},
            TypeError,
            "backend: must be a SemanticCache, a StorageBackend, a LangCache",
        ),
        ({"backend": "disk"}, ValueError, "storage: must be"),
        ({"budget": 0}, ValueError, "budget: must be from 0.001 to 60"),
        ({"threshold": 2}, ValueError, "threshold: must be from 0 to 1"),
        ({"ttl": 0}, ValueError, "ttl: must be a number of seconds above 0"),
        ({"context": "all"}, ValueError, 'context: must be "turns", "standalone" or a function'),
        ({"verifier": "llm"}, ValueError, "verifier: must be"),
        (
            {"backend": InMemoryStorage(), "max_entries": 5},
            ValueError,
            "max_entries, max_bytes: must not be given with a backend other than",
        ),
        ({"max_bytes": 0}, ValueError, "max_bytes: must be"),
    ],
)
def test_bad_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        AnswerCache(**{"verifier": None, **settings})


def test_a_client_without_a_door_is_refused(answers):
    with pytest.raises(TypeError, match="client: must be a client of"):
        langcache.wrap(object(), cache=answers)
    with pytest.raises(TypeError, match="cache: must be an AnswerCache, got str"):
        langcache.wrap(object(), cache="memory")


def test_the_public_names_are_lazy():
    assert langcache.AnswerCache is AnswerCache


def test_an_answer_is_stored_without_its_lookup(answers):
    def found():
        lookup = answers.look_up(request(), value_of)
        answers.release(lookup)
        return lookup.value

    with answers.bypass():
        answers.store(request(), Answer("in a bypass"))
    answers.store(None, Answer("to nothing"))
    answers.store(request(), Answer("cut off", ending="truncated"))
    assert found() is None
    answers.store(request(), Answer("by mail"))
    assert found() == "by mail"
    asyncio.run(answers.astore(request(), Answer("by phone")))
    assert found() == "by phone"


def test_a_call_whose_event_loop_has_ended_keeps_no_other_waiting(answers):
    async def give_up():
        # The call is over without an answer, and nobody says so.
        return (await answers.alook_up(request(), value_of)).outcome

    assert asyncio.run(give_up()) == "miss"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        other = pool.submit(asyncio.run, give_up())
        assert other.result(timeout=20) == "miss"
    assert asyncio.run(give_up()) == "miss"
