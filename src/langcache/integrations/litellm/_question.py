"""The question of a call of LiteLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langcache.answers.digests import NotCacheableError, list_of_texts, plain, text_of_value
from langcache.answers.question import Question, QuestionRules, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

INPUT_KEY = "langcache-input:"
NO_KEY = "langcache-none:"


class QuestionReader:
    """Reads the question from the arguments of a call.

    Args:
        index_name: Part of every id and context hash.
        max_question_length: As in `QuestionRules`.
        latin_only: As in `QuestionRules`.
    """

    def __init__(self, index_name: str, *, max_question_length: float, latin_only: bool) -> None:
        self._rules = QuestionRules(
            index_name, max_question_length=max_question_length, latin_only=latin_only
        )

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
                return self._rules.whole(key, "input", arguments["input"])
        except NotCacheableError:
            return None
        return None

    def read_input(self, key: str) -> Question | None:
        """Return the question for one input of an embedding call, or None for another kind of key.

        The key identifies the input completely.
        """
        return self._rules.whole(key, "item", None) if key.startswith(INPUT_KEY) else None

    def _chat(self, key: str, messages: Any) -> Question:
        turns = plain(messages)
        if not isinstance(turns, list) or not isinstance(turns[-1], dict):
            raise NotCacheableError
        last = cast("dict[str, Any]", turns[-1])
        text = text_of(last.get("content")) if last.get("role") == "user" else None
        rest = {name: value for name, value in last.items() if name != "content"}
        earlier = [text_of_value(turn) for turn in cast("list[Any]", turns[:-1])]
        content = list_of_texts(*earlier, text_of_value(last))
        context = list_of_texts(*earlier, text_of_value(rest))
        return self._rules.question(key, "messages", content, text, context)

    def _completion(self, key: str, prompt: Any) -> Question:
        text = prompt if isinstance(prompt, str) else None
        return self._rules.question(key, "prompt", text_of_value(prompt), text, "null")
