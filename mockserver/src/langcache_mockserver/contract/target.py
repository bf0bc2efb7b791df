"""The LangCache to check, and what the check may do there."""

from __future__ import annotations

from dataclasses import dataclass, field


class UnusableError(Exception):
    """A LangCache that cannot be checked: it fails, lacks the cache or refuses the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A LangCache, one of its caches, and what the check may do there.

    Attributes:
        url: The base URL of the service; `/v1/...` is added to it.
        cache_id: The cache. An empty one is best: other entries can crowd out those of the check.
        api_key: The key; it must be allowed to read and write. Never shown.
        attributes: Names of attributes that the cache has; with fewer than two, some rules are not
            checked, with none, all of attributes.
        strategies: The search strategies that the cache has; without both, rules that need the
            other one are not checked.
        other_cache_id: A second cache that the key may use, to see that caches are apart.
        forbidden_cache_id: A cache that exists and that the key has no grant for.
        strict: Whether the service must refuse what a development server lets pass: caches, keys
            and attributes that are not declared. Otherwise accepting them is only a note.
        allow_destructive: Whether rules may delete entries that the check has not written.
        wait: Whether rules may wait for entries to expire, about two seconds.
        timeout: How long to wait for a response, in seconds.
    """

    url: str
    cache_id: str
    api_key: str = field(repr=False)
    attributes: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ("exact", "semantic")
    other_cache_id: str | None = None
    forbidden_cache_id: str | None = None
    strict: bool = False
    allow_destructive: bool = False
    wait: bool = True
    timeout: float = 30.0
