"""The ids of stored answers stay the same: another release finds what is stored."""

from collections import UserDict
from enum import Enum

import pytest
from pydantic import BaseModel

from langcache.answers import Answer, Request, chat_request


class Tool(BaseModel):
    name: str
    strict: bool | None = None


class Word(str, Enum):
    A = "a\u2028"
    B = "b"


EARLIER = [
    {"role": "system", "content": "Antworte höflich."},
    {"role": "user", "content": [{"type": "text", "text": "Hi"}], "name": None},
    {"role": "assistant", "content": "Hello!"},
]
PARAMETERS = {
    "model": "small",
    "temperature": 0.5,
    "seed": 7,
    "stop": None,
    "tools": (Tool(name="clock"), Tool(name="map", strict=True)),
    "type": Tool,
    "bias": {"b": 1e22, "a": -1},
    "raw": b"\x00\xff",
    "logprobs": True,
}
ODD = {
    'ü\n"': [None, True, [], {"b": None, "a": float("inf")}, -0.0],
    Word.B: Word.A,
    "": {"z": 1, "Z": UserDict({"two": 2, "one": None})},
}


@pytest.mark.parametrize(
    ("request_", "id", "scope"),
    [
        (
            Request(door="test", text="How long do 5 eggs boil?"),
            "6944099824535dbcec82d6832b97f8ac",
            "d5b5edd12f557fcc37406f6fae64ead4",
        ),
        (
            chat_request("chat", PARAMETERS, [*EARLIER, {"role": "user", "content": "Why 12?"}]),
            "cc0bdf4d0b50506842b5891c3f279f58",
            "ad967bb7fad7d42dc5abf54f8e320bcc",
        ),
        (
            chat_request("chat", PARAMETERS, [*EARLIER, {"role": "tool", "content": "noon"}]),
            "c42bb46b68ad75ca543bd53a5227dee1",
            "c42bb46b68ad75ca543bd53a5227dee1",
        ),
        (
            Request(door="test", parameters=ODD, last=[None, {}], text="Is it open?"),
            "61f4d23844ddaaa8af2d1bd95b92acf1",
            "35387ac3d28cec59e2f9fb71b6f886c5",
        ),
    ],
)
def test_the_id_and_the_scope_of_an_answer(answers, request_, id, scope):
    with answers.scope(tenant="acme", plan=2, groups=["a", "b"]):
        answers.store(request_, Answer("an answer"))
        found = answers.look_up(request_, lambda answer: answer.value)
        assert found.hit.entry_id == id
        assert answers.explain_request(request_).scope == scope


def test_the_id_of_an_answer_of_a_function(answers):
    @answers.cached(prompt="question", scope=("tenant",), name="shop.answer")
    def answer(question, tenant, words=10, *, tone=None):
        return "an answer"

    answer("How do I pay?", "acme", tone="dry")
    assert (
        answer.explain("How do I pay?", "acme", tone="dry").scope
        == "f834f3de19e41b7f91942570942654f6"
    )
