"""The scope of a call: everything its answer depends on, except the question itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langcache.answers.digests import NotCacheableError
from langcache.integrations.litellm._litellm import observing_parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Arguments that are known to change no answer. All others count, whatever their names.
_HARMLESS = observing_parameters() | frozenset(
    {
        # The content, which the question has, and how the answer is delivered.
        *("messages", "prompt", "input", "stream", "stream_options", "stream_chunk_size"),
        *("keepalive_seconds", "allow_client_keepalive_override", "complete_response"),
        # The cache.
        *("cache", "caching", "cache_key", "preset_cache_key", "caching_groups", "ttl"),
        "enable_prompt_caching",
        # Time limits, repetitions and limits of load.
        *("timeout", "request_timeout", "force_timeout", "stream_timeout", "client_side_timeout"),
        *("timeout_by_service_tier", "stream_timeout_by_service_tier", "cooldown_time"),
        *("max_retries", "num_retries", "retry_policy", "retry_strategy", "max_budget"),
        *("budget_duration", "rpm", "tpm", "itpm", "otpm", "default_api_key_rpm_limit"),
        *("default_api_key_tpm_limit", "max_parallel_requests", "max_agentic_loops"),
        "max_file_size_mb",
        # Which deployment or model is tried next: the call that answers has a key of its own.
        *("fallbacks", "context_window_fallback_dict", "fallback_depth", "max_fallbacks"),
        *("attempted_targets", "model_list", "routing_strategy", "fastest_response", "weight"),
        *("order", "silent_model", "provider_affinity_header", "enable_tag_filtering"),
        *("tag_regex", "allowed_model_region"),
        # Who asks the provider. The caller of the application is in the metadata.
        *("api_key", "azure_ad_token_provider", "tenant_id", "client_id", "client_secret"),
        *("azure_username", "azure_password", "azure_scope", "use_xai_oauth"),
        *("configurable_clientside_auth_params", "shared_session", "ssl_verify"),
        # Logs, traces and costs.
        *("metadata", "litellm_metadata", "parent_otel_span", "tags", "id", "logger_fn", "verbose"),
        *("no-log", "log_client_error_tracebacks", "model_info", "base_model", "cost_per_query"),
        # What LiteLLM itself passes from one function to the next.
        *("self", "use_client", "model_config", "rust", "async_call", "acompletion", "aembedding"),
        *("aimg_generation", "atext_completion", "text_completion", "allm_passthrough_route"),
        *("use_in_pass_through", "completion_call_id", "model_alias_map", "data_residency"),
        *("stream_response", "proxy_server_request", "secret_fields", "model_file_id_mapping"),
    }
)
# LiteLLM's own variables begin so, and answers that are made up for tests.
_INTERNAL = ("litellm_", "mock_", "_")
_NOT_INTERNAL = frozenset({"litellm_system_prompt", "litellm_credential_name"})
# A router chooses one deployment of a model group for each call; the group identifies the request.
_DEPLOYMENT = frozenset(
    {
        *("model", "custom_llm_provider", "api_base", "base_url", "api_version", "region_name"),
        *("client", "litellm_credential_name", "use_litellm_proxy"),
    }
)
# The caller, as LiteLLM's proxy reports it.
_TENANT = ("user_api_key", "user_api_key_team_id", "user_api_key_org_id")


def parameters(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call that its answer depends on, except the content.

    These are all arguments, whatever their names, except those that are known to be harmless, and
    the caller's identity when LiteLLM's proxy reports one.

    Raises:
        NotCacheableError: The call brings a client that does not say where it sends the request.
    """
    metadata = _metadata(arguments)
    group = metadata.get("model_group")
    found = {
        name: value
        for name, value in arguments.items()
        if value is not None and _counts(name) and not (group and name in _DEPLOYMENT)
    }
    if group:
        groups: Iterable[Any] = metadata.get("caching_groups") or ()
        found["model"] = next((list(each) for each in groups if group in each), [group])
    if "client" in found:
        found["client"] = _address(found["client"])
    tenant = {name: metadata[name] for name in _TENANT if metadata.get(name) is not None}
    return {"parameters": found, "tenant": tenant}


def namespace_of(arguments: Mapping[str, Any]) -> Any:
    """Return the namespace that the arguments of a call name, or None."""
    controls: Any = arguments.get("cache") or {}
    return controls.get("namespace") or _metadata(arguments).get("redis_namespace")


def _metadata(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a call from all the places where LiteLLM puts them."""
    merged: dict[str, Any] = {}
    sources: list[Any] = [arguments.get("litellm_params") or {}, arguments]
    for source in sources:
        for name in ("litellm_metadata", "metadata"):
            merged.update(source.get(name) or {})
    return merged


def _counts(name: str) -> bool:
    if name in _NOT_INTERNAL:
        return True
    return name not in _HARMLESS and not name.startswith(_INTERNAL)


def _address(client: Any) -> dict[str, str]:
    """Return where a client sends its requests, which is all that an answer depends on."""
    address = getattr(client, "base_url", None)
    if address is None:
        raise NotCacheableError
    return {"client": type(client).__name__, "base_url": str(address)}
