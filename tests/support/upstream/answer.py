"""What the upstream answers, before a provider's API gives it a form."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

# What asks for a form of the answer, and not for another answer.
_FORM = ("stream", "stream_options")


@dataclass(frozen=True)
class Answer:
    """An answer to a request.

    Attributes:
        number: The number of the request, for ids and times.
        text: The text; None when a tool is called.
        finish: Why the answer ended: "stop", "length" or "content_filter".
        tool: The tool that is called, and its arguments as JSON.
    """

    number: int
    text: str | None
    finish: str = "stop"
    tool: tuple[str, str] | None = None

    @property
    def created(self):
        return 1_790_000_000 + self.number

    @property
    def output_tokens(self):
        return len(pieces(self.text if self.tool is None else self.tool[1]))


def answer_to(request, number, *, finish, tool):
    """Return the answer to a request."""
    if tool is not None:
        return Answer(number, None, finish, tool)
    content = {name: value for name, value in request.items() if name not in _FORM}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    text = f"Answer {digest[:12]} to: {question_of(request)}"
    return Answer(number, text if finish == "stop" else text[: len(text) // 2], finish)


def question_of(request):
    """Return the last text of a request's messages or input."""
    turns = request.get("messages", request.get("input", ""))
    if isinstance(turns, str):
        return turns
    last = turns[-1] if turns else None
    return text_of(last.get("content")) if isinstance(last, dict) else ""


def text_of(content):
    """Return the text of a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content or () if isinstance(part.get("text"), str))


def input_tokens(request):
    """Return how many words a request has."""
    return len(json.dumps(request).split())


def pieces(text):
    """Cut a text into what the events of a stream bring."""
    return re.findall(r"\S+\s*", text)
