"""The lookups of the caching proxy, kept for the console beside those of the data plane."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from langcache.answers.apis.base import mapping
from langcache_mockserver.domain.lookups import LookupRecord

if TYPE_CHECKING:
    from langcache.answers.answer import Answer
    from langcache.answers.lookups import Lookup
    from langcache_mockserver.http.exchange import Saved
    from langcache_mockserver.planes.proxy import Proxy
    from langcache_mockserver.planes.service import Service

_NESTED = frozenset({dict, list})
# The members of answers that hold what a model wrote, in any of the APIs.
_TEXTS = frozenset({"content", "text", "thinking", "reasoning_content", "refusal"})


def note_lookup(
    service: Service,
    proxy: Proxy,
    lookup: Lookup[Any],
    seconds: float,
    removals: int,
    saved: Saved | None,
) -> None:
    """Count the hit of a lookup, and keep the lookup if the server keeps any.

    A lookup of what has no text to compare by meaning, such as a request with tools, is not kept.

    Args:
        service: The parts of the server.
        proxy: The parts of the proxy.
        lookup: The lookup.
        seconds: How long it took.
        removals: What `Lookups.removals` was before it.
        saved: What a hit saved.
    """
    cache_id, hit = proxy.settings.cache_id, lookup.hit
    if hit is not None:
        service.caches.count_hit(cache_id, hit.entry_id)
    question = lookup.question
    if (
        service.lookups is None
        or question is None
        or question.text is None
        or lookup.outcome not in {"hit", "miss", "rejected"}
    ):
        return
    record = partial(
        LookupRecord,
        cache_id=cache_id,
        at=service.clock(),
        prompt=question.text,
        strategy="semantic",
        threshold=proxy.lookups.threshold,
        seconds=seconds,
    )
    if hit is not None:
        is_counted = saved is not None and (saved.input_tokens or saved.output_tokens)
        record = partial(
            record,
            outcome="hit",
            similarity=hit.similarity,
            entry_id=hit.entry_id,
            cached_prompt=hit.cached_question,
            attributes=question.labels,
            response_characters=_characters(lookup.answer),
            accepted=True,
            saved_tokens=(saved.input_tokens, saved.output_tokens)
            if saved and is_counted
            else None,
        )
    elif lookup.turned_down is not None:
        match, verdict = lookup.turned_down
        record = partial(
            record,
            outcome="rejected",
            similarity=match.similarity,
            entry_id=match.entry.id,
            cached_prompt=match.entry.prompt,
            attributes=match.entry.attributes,
            response_characters=len(match.entry.response),
            accepted=verdict.accepted,
            reason=verdict.reason,
            check=verdict.check,
            probability=verdict.probability,
        )
    else:
        record = partial(record, outcome="miss")
    service.lookups.add(record, removals)


def note_answer(service: Service, proxy: Proxy, lookup: Lookup[Any]) -> None:
    """Note that the answer to a lookup was stored."""
    question = lookup.question
    if service.lookups is not None and question is not None and question.text is not None:
        service.lookups.answered(proxy.settings.cache_id, question.text)


def _characters(answer: Answer | None) -> int:
    """Return how many characters a model wrote in an answer."""
    if answer is None:
        return 0
    parts: list[Any] = [answer.value]
    if answer.value is None and answer.chunks:
        # The last event of OpenAI's Responses has the whole answer, other streams are its parts.
        whole = mapping(answer.chunks[-1]).get("response")
        parts = [whole] if whole else list(answer.chunks)
    characters = 0
    # A stream has hundreds of parts. All of them were read from JSON, and so have just these types.
    for part in parts:
        if type(part) is list:
            parts += part
        elif type(part) is dict:
            for name, each in cast("dict[str, Any]", part).items():
                if type(each) is str:
                    if name in _TEXTS:
                        characters += len(each)
                elif type(each) in _NESTED:
                    parts.append(each)
    return characters
