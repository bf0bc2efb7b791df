"""The question of a call: the text to compare by meaning, and what must be equal beside it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from langcache.integrations.litellm._scope import NotCacheableError, digest, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

INPUT_KEY = "langcache-input:"
NO_KEY = "langcache-none:"


@dataclass(frozen=True, slots=True)
class Question:
    """What a call asks, as far as its answer depends on it.

    Attributes:
        id: 32 hex digits that identify everything asked.
        context_hash: 32 hex digits that identify everything asked except the text.
        text: The text to compare by meaning with others of the same context hash; None when only
            an answer to exactly this question will do.
    """

    id: str
    context_hash: str
    text: str | None = field(repr=False)

    def exact(self) -> Question:
        """Return the same question, without a text to compare by meaning."""
        return replace(self, text=None)


class QuestionReader:
    """Reads the question from the arguments of a call.

    Args:
        index_name: Part of every id and context hash.
        max_question_length: Longer texts are not compared by meaning; in characters after
            decomposition (Unicode NFD).
        latin_only: Whether texts with letters or symbols outside the Latin script are not compared
            by meaning either.
    """

    def __init__(self, index_name: str, *, max_question_length: float, latin_only: bool) -> None:
        self._index_name = index_name
        self._max_question_length = max_question_length
        self._latin_only = latin_only

    def read(self, key: str, arguments: Mapping[str, Any]) -> Question | None:
        """Return the question of a call.

        Args:
            key: The key that LiteLLM or the user's function made of the arguments.
            arguments: The call's arguments, or as many as LiteLLM passes on.

        Returns:
            The question, or None when the call has no content or cannot be compared.
        """
        if key.startswith(NO_KEY):
            return None
        try:
            if arguments.get("messages"):
                return self._chat(key, arguments["messages"])
            if arguments.get("prompt"):
                return self._completion(key, arguments["prompt"])
            if arguments.get("input"):
                return self._whole(key, "input", arguments["input"])
        except NotCacheableError:
            return None
        return None

    def read_input(self, key: str) -> Question | None:
        """Return the question for one input of an embedding call, or None for another kind of key.

        The key identifies the input completely.
        """
        return self._whole(key, "item", None) if key.startswith(INPUT_KEY) else None

    def _chat(self, key: str, messages: Any) -> Question:
        turns = plain(messages)
        if not isinstance(turns, list) or not isinstance(turns[-1], dict):
            raise NotCacheableError
        last = cast("dict[str, Any]", turns[-1])
        text = _text(last.get("content")) if last.get("role") == "user" else None
        rest = {name: value for name, value in last.items() if name != "content"}
        return self._question(key, "messages", turns, text, [*cast("list[Any]", turns[:-1]), rest])

    def _completion(self, key: str, prompt: Any) -> Question:
        text = prompt if isinstance(prompt, str) else None
        return self._question(key, "prompt", plain(prompt), text, None)

    def _question(
        self, key: str, kind: str, content: Any, text: str | None, context: Any
    ) -> Question:
        question = self._whole(key, kind, content)
        if text is None or not self._is_comparable(text):
            return question
        # Embeddings hardly tell numbers apart, so the numbers have to be equal.
        scope = ["scope", self._index_name, key, kind, context, re.findall(r"\d+", text)]
        return Question(question.id, digest(scope), text)

    def _whole(self, key: str, kind: str, content: Any) -> Question:
        whole = digest(["whole", self._index_name, key, kind, content])
        return Question(whole, whole, None)

    def _is_comparable(self, text: str) -> bool:
        if not text.strip():
            return False
        if self._latin_only and any(map(_is_foreign, text)):
            return False
        # An uncased embedder that strips accents decomposes the text first.
        return len(unicodedata.normalize("NFD", text)) <= self._max_question_length


def _text(content: Any) -> str | None:
    """Return the text of a message's content, or None when it is not text only."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    parts = cast("list[Any]", content)
    if not all(isinstance(part, dict) and part.keys() == {"type", "text"} for part in parts):
        return None
    texts = [part["text"] for part in parts if part["type"] == "text"]
    if len(texts) != len(parts) or not all(isinstance(text, str) for text in texts):
        return None
    return "\n".join(texts)


def _is_foreign(character: str) -> bool:
    """Return whether a character is a letter or symbol that a model for English may not know."""
    if character.isascii():
        return False
    category = unicodedata.category(character)
    if category[0] == "L":
        return not unicodedata.name(character, "").startswith("LATIN")
    # The model may ignore punctuation, spaces and accents.
    return category[0] not in "PZ" and category != "Mn"
