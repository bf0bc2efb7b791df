"""The scope: calls share an answer only if they differ in the wording of the question alone."""

import litellm
import openai
import pytest
from pydantic import BaseModel

import langcache.integrations.litellm as integration
from langcache import LangCache

QUESTION = "How do I reset my password?"
PARAPHRASE = "How can I reset my password?"
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}


def user(content):
    return {"role": "user", "content": content}


def system(content):
    return {"role": "system", "content": content}


EARLIER = [user("I use the phone app."), {"role": "assistant", "content": "I see."}]


class Verdict(BaseModel):
    good: bool


class Score(BaseModel):
    points: int


def test_the_same_question_in_other_words_is_a_hit(cache, ask):
    assert ask(QUESTION, "In the settings.") == ("In the settings.", 0.0, False)
    reply = ask(PARAPHRASE, "Never.")
    assert reply.text == "In the settings."
    assert reply.is_hit
    assert 0.9 < reply.similarity < 1


def test_the_same_question_is_a_hit_of_similarity_one(cache, ask):
    ask(QUESTION, "In the settings.")
    assert ask(QUESTION, "Never.") == ("In the settings.", 1.0, True)


def test_the_same_question_after_the_same_turns_is_a_hit(cache, ask):
    turns = [system("You are brief."), *EARLIER * 4]
    ask([*turns, user(QUESTION)], "In the app.", temperature=0.2, tools=[TOOL], seed=7)
    reply = ask([*turns, user(PARAPHRASE)], "Never.", seed=7, tools=[TOOL], temperature=0.2)
    assert reply.text == "In the app."


def test_text_in_parts_is_compared_like_any_other(cache, ask):
    ask([user([{"type": "text", "text": QUESTION}])], "In the settings.")
    assert ask([user([{"type": "text", "text": PARAPHRASE}])], "Never.").is_hit


@pytest.mark.parametrize(
    "other",
    [
        {"model": "gpt-4o-mini"},
        {"temperature": 0.9},
        {"temperature": 0},
        {"max_tokens": 5},
        {"seed": 1},
        {"stop": ["."]},
        {"n": 2},
        {"user": "another"},
        {"tools": [TOOL]},
        {"tools": [{**TOOL, "function": {**TOOL["function"], "name": "delete"}}]},
        {"response_format": {"type": "json_object"}},
        {"api_base": "https://elsewhere.example"},
        {"some_provider_option": 3},
        {"extra_body": {"top_k": 3}},
        {"headers": {"x-tenant": "another"}},
        {"extra_headers": {"x-tenant": "another"}},
        {
            "provider_specific_header": {
                "custom_llm_provider": "openai",
                "extra_headers": {"a": "b"},
            }
        },
        {"ensure_alternating_roles": True},
        {"merge_reasoning_content_in_choices": True},
    ],
    ids=str,
)
def test_other_parameters_are_a_miss(cache, ask, other):
    ask(QUESTION, "first", temperature=0.5)
    for question in (QUESTION, PARAPHRASE):
        assert ask(question, "second", **{"temperature": 0.5, **other}).text == "second"


def test_a_client_counts_by_its_address(cache, ask):
    def client(host):
        return openai.OpenAI(api_key="key", base_url=f"https://{host}.example")

    ask(QUESTION, "first", client=client("one"))
    assert ask(PARAPHRASE, "second", client=client("one")).text == "first"
    assert ask(PARAPHRASE, "third", client=client("another")).text == "third"


@pytest.mark.parametrize(
    "harmless",
    [{"timeout": 7}, {"num_retries": 2}, {"api_key": "k"}, {"tags": ["t"]}, {"metadata": {"a": 1}}],
    ids=str,
)
def test_harmless_parameters_change_nothing(cache, ask, harmless):
    ask(QUESTION, "first")
    assert ask(PARAPHRASE, "second", **harmless).text == "first"


def test_other_tools_are_a_miss(cache, ask):
    ask(QUESTION, "first", tools=[TOOL])
    other = {**TOOL, "function": {**TOOL["function"], "description": "Deletes all."}}
    assert ask(QUESTION, "second", tools=[other]).text == "second"


def test_another_schema_of_the_response_is_a_miss(cache, ask):
    ask(QUESTION, "first", response_format=Verdict)
    assert ask(QUESTION, "second", response_format=Score).text == "second"
    assert ask(PARAPHRASE, "third", response_format=Verdict).text == "first"


@pytest.mark.parametrize("question", [QUESTION, PARAPHRASE])
@pytest.mark.parametrize(
    "before",
    [
        [],
        [system("You are rude."), *EARLIER],
        [{"role": "developer", "content": "You are polite."}, *EARLIER],
        [system("You are polite.")],
        [system("You are polite."), user("I use the web site."), EARLIER[1]],
        [system("You are polite."), *EARLIER, *EARLIER],
        [*EARLIER, system("You are polite.")],
    ],
    ids=range(7),
)
def test_other_earlier_turns_are_a_miss(cache, ask, before, question):
    ask([system("You are polite."), *EARLIER, user(QUESTION)], "first")
    assert ask([*before, user(question)], "second").text == "second"


def test_another_last_turn_after_the_same_question_is_a_miss(cache, ask):
    ask([user(QUESTION), {"role": "assistant", "content": "In the"}], "first")
    assert ask([user(QUESTION), {"role": "assistant", "content": "Never"}], "second").text == (
        "second"
    )
    assert ask([user(PARAPHRASE), {"role": "assistant", "content": "In the"}], "2").text == "2"


@pytest.mark.parametrize(
    ("first", "opposite"),
    [
        ("Is it safe to eat raw chicken?", "Is it dangerous to eat raw chicken?"),
        ("How do I enable two-factor login?", "How do I disable two-factor login?"),
        ("Why did the share price rise today?", "Why did the share price fall today?"),
    ],
)
def test_an_opposite_question_below_the_threshold_is_a_miss(enable, ask, first, opposite):
    enable(similarity_threshold=0.995)
    ask(first, "first")
    assert ask(opposite, "second").text == "second"


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ("Convert 5 dollars to euros", "Convert 6 dollars to euros"),
        ("What happened in 1914?", "What happened in 1941?"),
        ("Fly from gate 3 to gate 5", "Fly from gate 5 to gate 3"),
    ],
)
def test_other_numbers_are_a_miss_whatever_the_threshold(enable, ask, first, other):
    enable(similarity_threshold=0.0)
    ask(first, "first")
    assert ask(other, "second").text == "second"


@pytest.mark.parametrize(
    ("first", "other"),
    [("What does 🦊 mean?", "What does 🐻 mean?"), ("비밀번호를 바꾸는 법?", "계정을 지우는 법?")],
)
def test_letters_the_default_model_does_not_know_have_to_be_equal(ask, first, other, minilm):
    integration.enable(embedding_model=minilm, budget_seconds=5.0)
    ask(first, "first")
    assert ask(other, "second").text == "second"
    assert ask(first, "third").text == "first"


def test_tenants_share_nothing(enable, ask):
    enable(scope=lambda arguments: arguments["metadata"].get("tenant"))
    ask(QUESTION, "of a", metadata={"tenant": "a"})
    assert ask(QUESTION, "of b", metadata={"tenant": "b"}).text == "of b"
    assert ask(QUESTION, "of none", metadata={}).text == "of none"
    assert ask(PARAPHRASE, "new", metadata={"tenant": "a"}).text == "of a"


@pytest.mark.parametrize("field", ["user_api_key", "user_api_key_team_id", "user_api_key_org_id"])
def test_who_asks_a_proxy_shares_nothing_with_others(cache, ask, field):
    ask(QUESTION, "first", metadata={field: "a"})
    assert ask(QUESTION, "second", metadata={field: "b"}).text == "second"
    assert ask(QUESTION, "third", metadata={field: "a"}).text == "first"


def test_a_scope_that_fails_is_no_scope_and_nothing_is_cached(enable, ask, caplog):
    cache = enable(scope=lambda arguments: arguments["missing"])
    for answer in ("first", "second"):
        assert ask(QUESTION, answer).text == answer
    assert cache.statistics.stores == 0
    assert cache.statistics.failures > 0
    assert "KeyError" in caplog.text
    assert QUESTION not in caplog.text


def test_a_scope_that_cannot_be_compared_is_not_cached(enable, ask):
    cache = enable(scope=lambda _: object())
    for answer in ("first", "second"):
        assert ask(QUESTION, answer).text == answer
    assert cache.statistics.stores == 0


def test_index_names_and_namespaces_share_nothing(enable, ask):
    enable(namespace="one")
    ask(QUESTION, "first")
    assert ask(QUESTION, "second", cache={"namespace": "two"}).text == "second"
    assert ask(PARAPHRASE, "third", cache={"namespace": "two"}).text == "second"
    assert ask(PARAPHRASE, "fourth").text == "first"
    integration.update(index_name="another")
    assert ask(QUESTION, "fifth").text == "fifth"


def image(url):
    return {"type": "image_url", "image_url": {"url": url}}


def test_a_question_with_a_picture_is_matched_as_a_whole(enable, ask):
    enable(similarity_threshold=0.0)
    text = {"type": "text", "text": "What is in this picture?"}
    ask([user([text, image("data:image/png;base64,AAAA")])], "a cat")
    assert ask([user([text, image("data:image/png;base64,BBBB")])], "a dog").text == "a dog"
    other = {"type": "text", "text": "What is in that picture?"}
    assert ask([user([other, image("data:image/png;base64,AAAA")])], "2").text == "2"
    assert ask([user([text, image("data:image/png;base64,AAAA")])], "3").text == "a cat"


def call(city):
    function = {"name": "look_up", "arguments": f'{{"city": "{city}"}}'}
    return {"id": "call_1", "type": "function", "function": function}


def test_the_result_of_a_tool_is_matched_as_a_whole(enable, ask):
    enable(similarity_threshold=0.0)
    asked = [
        user("What is the weather?"),
        {"role": "assistant", "content": None, "tool_calls": [call("Rome")]},
    ]
    result = {"role": "tool", "tool_call_id": "call_1", "content": "It is sunny."}
    ask([*asked, result], "Sunny.")
    assert ask([*asked, {**result, "content": "It is rainy."}], "Rainy.").text == "Rainy."
    assert ask([*asked, result], "Never.").text == "Sunny."


def test_an_answer_that_calls_a_tool_is_for_the_same_request_only(enable):
    enable(similarity_threshold=0.0)

    def called(question, city):
        response = litellm.completion(
            model="gpt-4o",
            messages=[user(question)],
            tools=[TOOL],
            mock_response="",
            mock_tool_calls=[call(city)],
        )
        return response.choices[0].message.tool_calls[0].function.arguments

    assert "Rome" in called("What is the weather in Rome?", "Rome")
    assert "Oslo" in called("What is the weather in Oslo?", "Oslo")
    assert "Rome" in called("What is the weather in Rome?", "Nowhere")


def test_a_long_question_is_cached_and_matched_as_a_whole(cache, ask):
    long = "Summarise this. " + "The meeting went on and on. " * 400
    ask(long + "It ended well.", "well")
    assert ask(long + "It ended badly.", "badly").text == "badly"
    assert ask(long + "It ended well.", "never") == ("well", 1.0, True)


def test_a_message_object_counts_like_its_dict(cache, ask):
    first = litellm.completion(model="gpt-4o", messages=[user("Hi")], mock_response="Hello")
    ask([user("Hi"), first.choices[0].message, user(QUESTION)], "first")
    turns = [user("Hi"), {"role": "assistant", "content": "Hello"}, user(PARAPHRASE)]
    assert ask(turns, "second").text == "first"


def stored(cache):
    storage = cache.parts["storage"]
    if isinstance(storage, LangCache):
        return storage.delete_query(attributes={}).deleted_entries_count
    return storage.namespace_size("litellm_semantic_cache_index")


def test_streams_and_whole_answers_are_the_same_answers(cache, ask):
    assert ask(QUESTION, "In the settings.", stream=True).text == "In the settings."
    assert ask(QUESTION, "Never.", stream=True).text == "In the settings."
    assert ask(PARAPHRASE, "Never.").text == "In the settings."
    assert stored(cache) == 1


def test_a_group_of_a_router_shares_answers_and_others_do_not(cache, ask):
    deployments = [
        {"model_name": group, "litellm_params": {"model": f"openai/{n}", "api_base": f"http://{n}"}}
        for group, n in [("fast", "a"), ("fast", "b"), ("slow", "a")]
    ]
    router = litellm.Router(model_list=deployments, cache_responses=True)

    def routed(group, question, answer):
        response = router.completion(model=group, messages=[user(question)], mock_response=answer)
        return response.choices[0].message.content

    routed("fast", QUESTION, "first")
    for _ in range(8):  # the router picks deployments at random
        assert routed("fast", PARAPHRASE, "second") == "first"
    assert routed("slow", QUESTION, "third") == "third"
