"""The ids of stored answers stay the same: another release finds what is stored."""

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation

from langcache.integrations.langchain import LangCacheSemanticCache
from langcache.integrations.langchain.requests import request_of

# As LangChain writes them.
MODEL = """[("_type", "small"), ("temperature", 0.5)]---[("stop", None)]"""
MESSAGES = """[{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages",
"SystemMessage"], "kwargs": {"content": "Be brief.", "type": "system", "additional_kwargs": {}}},
{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"],
"kwargs": {"content": "Why are 12 eggs a dozen?", "type": "human", "name": "Ann", "id": "1"}}]"""


def test_the_id_and_the_scope_of_an_answer(answers):
    cache = LangCacheSemanticCache(answers)
    chat = [ChatGeneration(message=AIMessage(content="an answer"))]
    found = []
    for prompt, generated in ((MESSAGES, chat), ("Why?", [Generation(text="an answer")])):
        cache.update(prompt, MODEL, generated)
        assert cache.lookup(prompt, MODEL)
        request = request_of(prompt, MODEL)
        hit = answers.look_up(request, lambda answer: answer.value).hit
        found.append((hit.entry_id, answers.explain_request(request).scope))
    assert found == [
        ("0f9eb407cb1cb8fb7071460e0469410d", "1b92bac76a290533505250383f178421"),
        ("2662887114e318671d8bd2b077b4d8b7", "1b22d77f6fe0036758e78f81bad4818f"),
    ]
