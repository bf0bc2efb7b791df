"""From the arguments of a LiteLLM call to what identifies its answer."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

from langcache.integrations.litellm._foreign import litellm_parameters

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONTENT = ("messages", "prompt", "input")
# How an answer is delivered or found, which does not change it.
_DELIVERY = frozenset(
    {
        *_CONTENT,
        *("stream", "stream_options", "timeout", "cache", "caching", "cache_key", "ttl"),
        *("metadata", "litellm_metadata", "parent_otel_span", "async_call"),
    }
)
# Arguments that LiteLLM keeps to itself and that change what is asked, or who is asked, all the
# same.
_SHAPING = frozenset(
    {
        *("custom_llm_provider", "api_base", "api_version", "region_name"),
        *("prompt_id", "prompt_variables", "prompt_version", "prompt_label", "prompt_environment"),
        *("litellm_system_prompt", "custom_prompt_dict", "roles", "hf_model_name"),
        *("initial_prompt_value", "final_prompt_value", "bos_token", "eos_token"),
        *("supports_system_message", "user_continue_message", "assistant_continue_message"),
        *("allowed_openai_params", "guardrails"),
    }
)
# A router picks one deployment of a group for each call; the group is what was asked.
_DEPLOYMENT = frozenset({"model", "custom_llm_provider", "api_base", "api_version", "region_name"})
# What LiteLLM's proxy says about who asks.
_TENANT = ("user_api_key", "user_api_key_team_id", "user_api_key_org_id")

INPUT_KEY = "langcache-input:"
NO_KEY = "langcache-none:"


class NotCacheableError(Exception):
    """An argument of a call cannot be compared with another call's."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call, as far as its answer depends on it.

    Attributes:
        id: 32 hex digits of all that was asked, the question included.
        scope: 32 hex digits of all that was asked, but for the question.
        question: The text that may be compared by meaning with others of its scope; None when the
            whole has to be equal.
    """

    id: str
    scope: str
    question: str | None = field(repr=False)

    def exact(self) -> Request:
        """Return the same request with nothing that may be compared by meaning."""
        return Request(self.id, self.scope, None)


class RequestReader:
    """Makes requests of calls.

    Args:
        index_name: Requests of another name have other ids and scopes.
        max_question_length: Longer questions are compared as a whole only; in characters after
            decomposition (Unicode NFD).
        latin_only: Whether questions with letters or signs outside the Latin script are compared
            as a whole only.
    """

    def __init__(self, index_name: str, *, max_question_length: float, latin_only: bool) -> None:
        self._index_name = index_name
        self._max_question_length = max_question_length
        self._latin_only = latin_only

    def read(self, key: str, arguments: Mapping[str, Any]) -> Request | None:
        """Return the request that a key and the arguments of the call make up.

        Args:
            key: What LiteLLM or the user's function made of the arguments.
            arguments: The call's arguments, or as many as LiteLLM hands on.

        Returns:
            The request, or None when nothing is known of its content, or nothing comparable.
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

    def _chat(self, key: str, messages: Any) -> Request:
        turns = _plain(messages)
        if not isinstance(turns, list) or not isinstance(turns[-1], dict):
            raise NotCacheableError
        last = cast("dict[str, Any]", turns[-1])
        question = _text(last.get("content")) if last.get("role") == "user" else None
        rest = {name: value for name, value in last.items() if name != "content"}
        return self._request(
            key, "messages", turns, question, [*cast("list[Any]", turns[:-1]), rest]
        )

    def _completion(self, key: str, prompt: Any) -> Request:
        question = prompt if isinstance(prompt, str) else None
        return self._request(key, "prompt", _plain(prompt), question, None)

    def _request(
        self, key: str, kind: str, content: Any, question: str | None, context: Any
    ) -> Request:
        if question is None or not self._comparable(question):
            return self._whole(key, kind, content)
        # An embedding hardly tells one number from another.
        scope = digest(
            ["scope", self._index_name, key, kind, context, re.findall(r"\d+", question)]
        )
        return Request(self._whole(key, kind, content).id, scope, question)

    def _whole(self, key: str, kind: str, content: Any) -> Request:
        whole = digest(["whole", self._index_name, key, kind, content])
        return Request(whole, whole, None)

    def read_input(self, key: str) -> Request | None:
        """Return the request for one input of an embedding call, which its key says all about.

        None when the key is of another kind.
        """
        return self._whole(key, "item", None) if key.startswith(INPUT_KEY) else None

    def _comparable(self, question: str) -> bool:
        if not question.strip():
            return False
        if self._latin_only and any(map(_is_foreign, question)):
            return False
        # An embedder of lower-case letters without accents decomposes them first.
        return len(unicodedata.normalize("NFD", question)) <= self._max_question_length


def parameters(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call that its answer depends on, but for its content.

    Those are all that LiteLLM does not keep to itself, so that whatever a provider understands
    counts; and who asks, as far as LiteLLM's proxy says so.
    """
    metadata = _metadata(arguments)
    group = metadata.get("model_group")
    shaping = _SHAPING - _DEPLOYMENT if group else _SHAPING
    found = {
        name: value
        for name, value in arguments.items()
        if value is not None and (name in shaping or not _kept_to_litellm(name))
    }
    if group:
        groups: Iterable[Any] = metadata.get("caching_groups") or ()
        found["model"] = next((list(each) for each in groups if group in each), [group])
    tenant = {name: metadata[name] for name in _TENANT if metadata.get(name) is not None}
    return {"parameters": found, "tenant": tenant}


def namespace_of(arguments: Mapping[str, Any]) -> Any:
    """Return the namespace that a call itself names, or None."""
    controls: Any = arguments.get("cache") or {}
    return controls.get("namespace") or _metadata(arguments).get("redis_namespace")


def _metadata(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the metadata of a call say, wherever LiteLLM puts them."""
    merged: dict[str, Any] = {}
    sources: list[Any] = [arguments.get("litellm_params") or {}, arguments]
    for source in sources:
        for name in ("litellm_metadata", "metadata"):
            merged.update(source.get(name) or {})
    return merged


_KEPT_TO_LITELLM = litellm_parameters() | _DELIVERY


def _kept_to_litellm(name: str) -> bool:
    return name in _KEPT_TO_LITELLM or name.startswith(("litellm_", "mock_", "_"))


def digest(value: Any) -> str:
    """Return 32 hex digits that differ for values that differ.

    Raises:
        NotCacheableError: The value holds an object of which nothing is known.
    """
    text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; what a mapping says is None, it does not say."""
    if value is None or isinstance(value, (str, int, float)):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, BaseModel):
        return _plain(value.model_dump(exclude_none=True))
    if isinstance(value, type) and issubclass(value, BaseModel):
        return {"class": value.__qualname__, "schema": _plain(value.model_json_schema())}
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        if not all(isinstance(name, str) for name, _ in items):
            raise NotCacheableError
        return {name: _plain(each) for name, each in items if each is not None}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, Sequence):
        return [_plain(each) for each in cast("Sequence[Any]", value)]
    # Its repr may be an address, which another object has later.
    raise NotCacheableError


def _text(content: Any) -> str | None:
    """Return the text of a message's content, or None when it is more than text."""
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
    """Tell whether a character is a letter or sign that a model for English may not know."""
    if character.isascii():
        return False
    category = unicodedata.category(character)
    if category[0] == "L":
        return not unicodedata.name(character, "").startswith("LATIN")
    # Punctuation, spaces and accents are the ones that it may overlook.
    return category[0] not in "PZ" and category != "Mn"
