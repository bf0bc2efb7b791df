"""The question of a call: the text to compare by meaning, and what must be equal beside it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from langcache.answers.digests import digest, digest_of_texts, text_of_value

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Question", "QuestionRules", "text_of"]


_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Question:
    """What a call asks, as far as its answer depends on it.

    Attributes:
        id: 32 hex digits that identify everything asked.
        context_hash: 32 hex digits that identify everything asked except the text.
        text: The text to compare by meaning with others of the same context hash; None when only
            an answer to exactly this question will do.
        labels: Names and values under which the answer can be deleted.
    """

    id: str
    context_hash: str
    text: str | None = field(repr=False)
    labels: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def exact(self) -> Question:
        """Return the same question, without a text to compare by meaning."""
        return replace(self, text=None)


class QuestionRules:
    """Decides which questions are compared by meaning, and makes their ids.

    Args:
        namespace: Part of every id and context hash.
        max_question_length: Longer texts are not compared by meaning; in characters after
            decomposition (Unicode NFD).
        latin_only: Whether texts with letters or symbols outside the Latin script are not compared
            by meaning either.
    """

    def __init__(self, namespace: str, *, max_question_length: float, latin_only: bool) -> None:
        self._namespace = namespace
        self._namespace_text = text_of_value(namespace)
        self._max_question_length = max_question_length
        self._latin_only = latin_only

    def question(
        self,
        key: Any,
        kind: str,
        content: str,
        text: str | None,
        context: str,
        labels: Mapping[str, str] | None = None,
    ) -> Question:
        """Return a question.

        Args:
            key: What the answer depends on besides the content, in JSON's types.
            kind: What the content is.
            content: Everything that is asked, as `text_of_value` writes it.
            text: The text to compare by meaning, or None when there is none.
            context: The content without the text, as `text_of_value` writes it.
            labels: The labels of the question; None for none.
        """
        labels = labels or {}
        # The two digests have these parts in common.
        common = f"{self._namespace_text},{text_of_value(key)},{text_of_value(kind)}"
        whole = digest_of_texts('"whole"', common, content)
        if text is None or not self._is_comparable(text):
            return Question(whole, whole, None, labels)
        # Embeddings hardly tell numbers apart, so the numbers have to be equal.
        numbers = text_of_value(_NUMBERS.findall(text))
        return Question(whole, digest_of_texts('"scope"', common, context, numbers), text, labels)

    def whole(self, key: Any, kind: str, content: Any) -> Question:
        """Return a question that only an answer to exactly this question will do for."""
        whole = digest(["whole", self._namespace, key, kind, content])
        return Question(whole, whole, None)

    def _is_comparable(self, text: str) -> bool:
        if not text.strip():
            return False
        if self._latin_only and not text.isascii() and any(map(_is_foreign, text)):
            return False
        # An uncased embedder that strips accents decomposes the text first.
        return len(unicodedata.normalize("NFD", text)) <= self._max_question_length


def text_of(content: Any) -> str | None:
    """Return the text of a message's content, or None when it is not text only."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    parts = cast("list[Any]", content)
    if not all(isinstance(part, dict) and part.keys() == {"type", "text"} for part in parts):
        return None
    texts = [part["text"] for part in parts if part["type"] in _TEXT_TYPES]
    if len(texts) != len(parts) or not all(isinstance(text, str) for text in texts):
        return None
    return "\n".join(texts)


# "input_text" is the name in OpenAI's Responses.
_TEXT_TYPES = ("text", "input_text")


def _is_foreign(character: str) -> bool:
    """Return whether a character is a letter or symbol that a model for English may not know."""
    if character.isascii():
        return False
    category = unicodedata.category(character)
    if category[0] == "L":
        return not unicodedata.name(character, "").startswith("LATIN")
    # The model may ignore punctuation, spaces and accents.
    return category[0] not in "PZ" and category != "Mn"
