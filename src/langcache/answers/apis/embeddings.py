"""OpenAI's embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langcache.answers.answer import Answer
from langcache.answers.apis.base import mapping, with_usage
from langcache.answers.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Embeddings"]


class Embeddings:
    """`POST /v1/embeddings`; see `Api`. Only the same input has the same embedding."""

    door = "openai.embeddings"

    def request_of(self, arguments: Mapping[str, Any]) -> Request:
        """Return what a request asks."""
        parameters = {name: value for name, value in arguments.items() if value is not None}
        return Request(door=self.door, parameters=parameters)

    def answer_of(self, value: Any) -> Answer:
        """Return the answer in the body of a response."""
        return Answer(value, None, "complete" if mapping(value).get("data") else "failed")

    def streamed_answer_of(self, events: Sequence[Any]) -> Answer:
        """Return a failed answer: embeddings do not come as a stream."""
        return Answer(None, list(events), "failed")

    def is_complete(self, events: Sequence[Any], arguments: Mapping[str, Any]) -> bool:
        """Return False: embeddings do not come as a stream."""
        return False

    def value_of(self, events: Sequence[Any]) -> Any:
        """Return None: embeddings do not come as a stream."""
        return None

    def events_of(self, value: Any) -> Sequence[Any] | None:
        """Return None: embeddings do not come as a stream."""
        return None

    def usage_of(self, answer: Answer) -> dict[str, Any]:
        """Return the usage that the provider reported with an answer."""
        return mapping(mapping(answer.value).get("usage"))

    def unbilled(self, answer: Answer) -> Answer:
        """Return an answer with a usage of zero."""
        return answer.with_content(with_usage(answer.value), answer.chunks)
