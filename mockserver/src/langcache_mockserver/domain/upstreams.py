"""The upstreams of the caching proxy: which one answers a request, and under which rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Api: TypeAlias = Literal["openai", "anthropic"]
"""Whose API an upstream speaks."""

DEFAULT_CACHE = "proxy"
"""The cache that keeps the proxy's answers if no other is configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One model provider, or another server with its API.

    Attributes:
        api: Whose API it speaks.
        url: The base URL, as the provider's own client takes it, without a slash at the end.
        models: The prefixes of the names of the models that it answers for; empty for all.
        key: Its API key; "" to pass on that of each request. A secret: `repr` does not show it.
    """

    api: Api
    url: str
    models: tuple[str, ...] = ()
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """How the caching proxy works.

    Attributes:
        upstreams: The upstreams. The first one that answers for a model gets its requests.
        cache_id: The cache that keeps the answers.
        shared: Whether all API keys share their answers, rather than each having its own.
        timeout_seconds: How long an upstream may take to answer, in all.
        budget_seconds: How long the cache may take for a request; then it goes to the upstream.
        max_response_bytes: The largest answer that is stored. A larger one is passed on.
    """

    upstreams: tuple[Upstream, ...]
    cache_id: str = DEFAULT_CACHE
    shared: bool = False
    timeout_seconds: float = 600.0
    budget_seconds: float = 0.5
    max_response_bytes: int = 1 << 20

    def upstream_for(self, api: Api, model: str) -> Upstream | None:
        """Return the upstream that answers for a model, or None if there is none."""
        for upstream in self.upstreams:
            if upstream.api == api and (not upstream.models or model.startswith(upstream.models)):
                return upstream
        return None
