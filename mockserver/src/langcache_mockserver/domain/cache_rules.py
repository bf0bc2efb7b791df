"""What a declared cache asks of the bodies of its requests, and what it adds to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langcache_mockserver.http.problems import FieldError, invalid
from langcache_mockserver.http.validation import spell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langcache_mockserver.domain.registry import CacheSettings


def apply_rules(cache: CacheSettings, body: dict[str, Any]) -> dict[str, Any]:
    """Check a body, already valid by its schema, against what its cache declares.

    Returns:
        The body, with the cache's own threshold, strategies and TTL where it names none. Any of
        them may be there for an operation that has no use for it.

    Raises:
        ProblemError: 400, where it has attributes or strategies that the cache does not have.
    """
    violations = list(_violations(cache, body))
    if violations:
        raise invalid(violations)
    ttl_millis = cache.default_ttl_millis
    return {
        "similarityThreshold": cache.default_threshold,
        "searchStrategies": cache.search_strategies,
        "ttlMillis": ttl_millis if ttl_millis > 0 else None,
        **body,
    }


def _violations(cache: CacheSettings, body: dict[str, Any]) -> Iterator[FieldError]:
    names: dict[str, str] = body.get("attributes", {})
    if names and not cache.attributes:
        # Clients recognise this text.
        message = "no attributes are configured for this cache."
        yield FieldError("attributes", "configured", message)
    elif not names.keys() <= set(cache.attributes):
        declared = ", ".join(cache.attributes)
        message = f"must be one of the cache's attributes, which are {declared}"
        for name in names:
            if name not in cache.attributes:
                yield FieldError(spell(["attributes", name]), "configured", message)
    strategies: list[str] = body.get("searchStrategies", [])
    for index, strategy in enumerate(strategies):
        if strategy not in cache.search_strategies:
            message = f"must be one of the cache's strategies: {', '.join(cache.search_strategies)}"
            yield FieldError(spell(["searchStrategies", index]), "configured", message)
