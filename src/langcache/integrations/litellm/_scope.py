"""The scope of a call: everything its answer depends on, except the question itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langcache.integrations.litellm._litellm import litellm_parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Parameters of delivery and lookup, which do not change the answer, and the question's content.
_IGNORED = frozenset(
    {
        *("messages", "prompt", "input"),
        *("stream", "stream_options", "timeout", "cache", "caching", "cache_key", "ttl"),
        *("metadata", "litellm_metadata", "parent_otel_span", "async_call"),
    }
)
# Parameters that LiteLLM does not send to the model, but that change the request or its target.
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
# A router chooses one deployment of a model group for each call; the group identifies the request.
_DEPLOYMENT = frozenset({"model", "custom_llm_provider", "api_base", "api_version", "region_name"})
# The caller, as LiteLLM's proxy reports it.
_TENANT = ("user_api_key", "user_api_key_team_id", "user_api_key_org_id")
_NOT_SENT = litellm_parameters() | _IGNORED


def parameters(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call that its answer depends on, except the content.

    These are all arguments that LiteLLM sends to the provider, whatever their names, those of its
    own that change the request, and the caller's identity when LiteLLM's proxy reports one.
    """
    metadata = _metadata(arguments)
    group = metadata.get("model_group")
    shaping = _SHAPING - _DEPLOYMENT if group else _SHAPING
    found = {
        name: value
        for name, value in arguments.items()
        if value is not None and (name in shaping or _is_sent(name))
    }
    if group:
        groups: Iterable[Any] = metadata.get("caching_groups") or ()
        found["model"] = next((list(each) for each in groups if group in each), [group])
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


def _is_sent(name: str) -> bool:
    return name not in _NOT_SENT and not name.startswith(("litellm_", "mock_", "_"))
