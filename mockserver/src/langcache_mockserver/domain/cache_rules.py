"""The rules that a declared cache has for its requests, and the defaults that it adds to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langcache_mockserver.domain.registry import CacheSettings


class BrokenRule(NamedTuple):
    """A field of a request that its cache does not allow.

    Attributes:
        path: The path of the field: names of members and numbers of items.
        message: What is allowed.
    """

    path: tuple[str | int, ...]
    message: str


class CacheRulesError(ValueError):
    """A request that its cache does not allow.

    Attributes:
        broken: The rules that it breaks; at least one.
    """

    def __init__(self, broken: list[BrokenRule]) -> None:
        super().__init__(broken[0].message)
        self.broken = broken


def apply_rules(cache: CacheSettings, body: dict[str, Any]) -> dict[str, Any]:
    """Check a body, already valid by its schema, against the declaration of its cache.

    Returns:
        The body, with the cache's own threshold, strategies and TTL if it has none. An operation
        may have no use for some of them.

    Raises:
        CacheRulesError: The body has attributes or strategies that the cache does not have.
    """
    broken = list(_broken_rules(cache, body))
    if broken:
        raise CacheRulesError(broken)
    ttl_millis = cache.default_ttl_millis
    return {
        "similarityThreshold": cache.default_threshold,
        "searchStrategies": cache.search_strategies,
        "ttlMillis": ttl_millis if ttl_millis > 0 else None,
        **body,
    }


def _broken_rules(cache: CacheSettings, body: dict[str, Any]) -> Iterator[BrokenRule]:
    names: dict[str, str] = body.get("attributes", {})
    if names and not cache.attributes:
        # Clients recognise this text.
        yield BrokenRule(("attributes",), "no attributes are configured for this cache.")
    elif not names.keys() <= set(cache.attributes):
        declared = ", ".join(cache.attributes)
        message = f"must be one of the cache's attributes, which are {declared}"
        for name in names:
            if name not in cache.attributes:
                yield BrokenRule(("attributes", name), message)
    strategies: list[str] = body.get("searchStrategies", [])
    for index, strategy in enumerate(strategies):
        if strategy not in cache.search_strategies:
            message = f"must be one of the cache's strategies: {', '.join(cache.search_strategies)}"
            yield BrokenRule(("searchStrategies", index), message)
