import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langcache_mockserver import MockServer
from langcache_mockserver.domain import conversation
from langcache_mockserver.domain.conversation import reformulate

TEAL = "The user's favorite color is teal."
STORED = [
    TEAL,
    "How tall is the Eiffel Tower?",
    "When was the Eiffel Tower built?",
    "How many people live in the capital of France?",
    "What is the capital of France?",
    "What is the capital of Germany?",
    "What is the weather in Paris?",
    "What is the weather in London?",
    "How do I reset my password?",
    "How do I reset my username?",
    "How do I install Redis on Ubuntu?",
    "How do I install Redis on macOS?",
    "How do I start Redis on Ubuntu?",
    "Who created Python?",
    "When was Python first released?",
    "When was Marie Curie born?",
    "Who is Marie Curie?",
    "What is my dog's name?",
    "How old is my dog?",
    "How does semantic caching work?",
    "Is semantic caching expensive?",
    "How long does the battery of a Tesla Model 3 last?",
    "Who won World War II?",
    "How do I sort a list in Python?",
    "How do I sort a dict in Python?",
    "Who wrote Dune?",
]


@pytest.fixture(scope="module")
def converse(minilm):
    """Search for a prompt in a context among the stored prompts, at the default threshold."""
    with (
        MockServer(embedder=minilm) as server,
        httpx.Client(base_url=server.url, headers={"authorization": "Bearer k"}) as client,
    ):
        for prompt in STORED:
            client.post("/v1/caches/a/entries", json={"prompt": prompt, "response": f"<{prompt}>"})

        def search(prompt, *context, **members):
            body = {"prompt": prompt, "context": context, **members}
            response = client.post("/v1/caches/a/conversations/search", json=body)
            assert response.status_code == 200, response.text
            return response.json()

        yield search


def prompts(answer):
    return [entry["prompt"] for entry in answer["data"]]


def test_what_color_do_they_like_finds_what_was_said_of_it(converse):
    answer = converse("What color do they like?", TEAL)
    (found,) = answer["data"]
    assert found["prompt"] == TEAL
    assert found["response"] == f"<{TEAL}>"
    assert found["similarity"] >= 0.9
    assert answer["actualPrompt"] == f"{TEAL} What color do they like?"


def test_it_finds_the_question_that_was_asked_of_it_just_as_well(minilm):
    with (
        MockServer(embedder=minilm) as server,
        httpx.Client(base_url=server.url, headers={"authorization": "Bearer k"}) as client,
    ):
        entry = {"prompt": "What is the user's favorite color?", "response": "Teal."}
        client.post("/v1/caches/a/entries", json=entry)
        body = {"prompt": "What color do they like?", "context": [TEAL]}
        answer = client.post("/v1/caches/a/conversations/search", json=body).json()
        assert [found["response"] for found in answer["data"]] == ["Teal."]
        assert answer["actualPrompt"] == "The user's favorite color: What color do they like?"


def test_without_its_context_the_prompt_finds_nothing(converse):
    for context in ([], ["Good morning!"], ["What is the boiling point of water?"]):
        assert prompts(converse("What color do they like?", *context)) == []
    assert converse("What color do they like?")["actualPrompt"] == "What color do they like?"


@pytest.mark.parametrize(
    ("context", "prompt", "found"),
    [
        (["Tell me about the Eiffel Tower."], "How tall is it?", 1),
        (["How tall is the Eiffel Tower?"], "When was it built?", 2),
        (["What is the capital of France?"], "How many people live there?", 3),
        (["What is the capital of France?"], "And Germany?", 5),
        (["What is the weather in Paris?"], "What about London?", 7),
        (["How do I reset my password?"], "And my username?", 9),
        (["How do I install Redis on Ubuntu?"], "And on macOS?", 11),
        (["How do I install Redis on Ubuntu?"], "How do I start it?", 12),
        (["What is Python?"], "Who created it?", 13),
        (["Who created Python?"], "When was it first released?", 14),
        (["Who is Marie Curie?"], "When was she born?", 15),
        (["My dog is named Rex."], "What is his name?", 17),
        (["My dog is named Rex."], "How old is he?", 18),
        (["How does semantic caching work?"], "Is it expensive?", 20),
        (["I bought a Tesla Model 3 last year."], "How long does its battery last?", 21),
        (["When did World War II end?"], "Who won it?", 22),
        (["How do I sort a list in Python?"], "And a dict?", 24),
        (["I am reading Dune."], "Who wrote it?", 25),
        # the latest topic counts, past what depends on the context itself
        (["Who is Marie Curie?", "How tall is the Eiffel Tower?"], "When was it built?", 2),
        (["Who created Python?", "Why?", "Is it hard?"], "When was it first released?", 14),
        (["What is the weather in Paris?", "What about Rome?"], "And London?", 7),
        # a statement that shares a word with the prompt counts before what was said since
        ([TEAL, "The weather is nice."], "What color do they like?", 0),
    ],
)
def test_a_prompt_is_resolved_against_the_conversation(converse, context, prompt, found):
    answer = converse(prompt, *context)
    assert prompts(answer) == [STORED[found]], answer
    assert answer["actualPrompt"] != prompt


@pytest.mark.parametrize(
    "prompt",
    [
        "How tall is the Eiffel Tower?",
        "What is the capital of Germany?",
        "How many planets are there?",
        "Is there a way to sort a list?",
        "What time is it?",
        "Is it safe to eat raw eggs?",
        "How long does it take to fly to Mars?",
        "How do I install Redis and start it?",
        "Does a cat purr when it is happy?",
        "Why do cats lick their paws?",
        "When did Marie Curie win her first prize?",
        "Which river is the one that flows through Paris?",
        "Who won the election this year?",
        "And how tall is Mont Blanc?",
        "Какого цвета небо?",
        "?!",
        "🦊",
    ],
)
def test_a_prompt_that_stands_on_its_own_is_left_as_it_is(prompt):
    assert reformulate(prompt, [TEAL, "How do I reset my password?"]) == [prompt]


@pytest.mark.parametrize(
    "context", [[], [" "], ["?!"], ["Why?"], ["And it?"], ["x" * 1025], ["Is it?"]]
)
def test_a_context_that_says_nothing_changes_nothing(context):
    assert reformulate("How tall is it?", context) == ["How tall is it?"]


def test_the_other_members_of_a_search_hold_in_a_conversation_too(converse):
    context = ["What is the capital of France?"]
    answer = converse("And Germany?", *context, similarityThreshold=0, maxResults=3)
    assert prompts(answer)[0] == "What is the capital of Germany?"
    assert len(answer["data"]) == 3
    answer = converse("And Germany?", *context, searchStrategies=["exact"])
    assert answer["data"][0]["searchStrategy"] == "exact"
    answer = converse("And Germany?", *context, attributes={"a": "1"})
    assert answer == {"actualPrompt": "What is the capital of Germany?", "data": []}


def test_only_the_latest_16_items_count():
    context = ["Who is Marie Curie?", *["Why?"] * 15]
    assert reformulate("When was she born?", context) == ["Marie Curie: When was she born?"]
    assert reformulate("When was she born?", [*context, "Why?"]) == ["When was she born?"]


def test_a_reformulation_is_no_longer_than_a_prompt_may_be():
    prompt = "How tall is it?" + "?" * 500
    assert len(reformulate(prompt, ["x" * 400])[0]) == 400 + 2 + len(prompt)
    assert reformulate(prompt, ["x" * 600]) == [prompt]


VOCABULARY = """
    it they its that there one and what about how is do the my in of on which or to user's teal I
    Who's Redis ? . 's ' \u2019 -
"""
WORDS = st.lists(st.sampled_from(VOCABULARY.split())).map(" ".join)


@given(WORDS | st.text(), st.lists(WORDS | st.text(min_size=1), max_size=4))
def test_any_words_give_one_or_two_prompts_within_the_limit(prompt, context):
    reformulated = reformulate(prompt, context)
    assert reformulated == reformulate(prompt, context)
    assert 1 <= len(reformulated) <= 2
    for each in reformulated:
        assert each == prompt or 1 <= len(each) <= 1024


@pytest.mark.parametrize("words", ["it is its ", "x it ", "what about the ", "and x's "])
def test_a_prompt_that_is_too_long_for_a_reformulation_is_not_looked_at(words, monkeypatch):
    prompt = words * 10_000
    monkeypatch.setattr(conversation, "_depends", lambda text: pytest.fail("it is looked at"))
    assert conversation.reformulate(prompt, ["What is the capital of France?"]) == [prompt]
