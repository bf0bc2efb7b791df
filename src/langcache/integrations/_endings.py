"""How answers of models ended, from the words that providers use for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langcache.answers import Ending

__all__ = ["REASONS", "ending_of"]

REASONS = frozenset({"finish_reason", "finishReason", "stop_reason", "done_reason", "status"})
"""The names of the members that say why an answer ended."""

_TRUNCATED = frozenset(
    {
        *("length", "max_tokens", "max_output_tokens", "model_length", "incomplete"),
        "model_context_window_exceeded",
    }
)
_FILTERED = frozenset(
    {
        *("content_filter", "refusal", "safety", "blocklist", "prohibited_content", "recitation"),
        *("spii", "guardrail_intervened", "content_filtered"),
    }
)
_FAILED = frozenset({"error", "failed", "cancelled", "malformed_function_call"})


def ending_of(reasons: Iterable[str]) -> Ending:
    """Return how an answer ended; words that say nothing about it mean that it is complete."""
    found = {reason.lower() for reason in reasons}
    if found & _FAILED:
        return "failed"
    if found & _FILTERED:
        return "filtered"
    return "truncated" if found & _TRUNCATED else "complete"
