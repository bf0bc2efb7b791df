"""The limits of the published contract that can be relaxed, each by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

# The place of each limit below a schema's `properties`: the steps to a subschema, and its keywords.
_PLACES = {
    "prompt_length": [(("prompt",), ("maxLength",))],
    "attribute_count": [(("attributes",), ("maxProperties", "maxItems"))],
    "attribute_name": [
        (("attributes",), ("propertyNames",)),
        (("attributes", "items"), ("pattern",)),
    ],
    "attribute_value_length": [(("attributes", "additionalProperties"), ("maxLength",))],
    "comma": [(("attributes", "additionalProperties"), ("pattern",))],
}

LIMITS = tuple(_PLACES)
"""The names of the limits: the length of a prompt, the number of attributes, the name of an
attribute, the length of its value, and the comma that a value must not contain."""

LIMITS_FORMS = f"published, relaxed, or some of {', '.join(LIMITS)} to relax, with commas between"
"""The forms of the setting, for messages."""


def is_limits(setting: str) -> bool:
    """Return whether a setting has one of the forms."""
    return setting in {"published", "relaxed"} or set(setting.split(",")) <= set(LIMITS)


def relaxed_limits(setting: str) -> frozenset[str]:
    """Return the names of the limits that a setting, of one of the forms, relaxes."""
    if setting == "published":
        return frozenset()
    return frozenset(LIMITS if setting == "relaxed" else setting.split(","))


def relax(schemas: Mapping[str, Any], relaxed: Collection[str]) -> dict[str, Any]:
    """Return schemas of a document without some of the limits.

    Args:
        schemas: The schemas, by name. They are not changed.
        relaxed: The names of the limits to relax, of `LIMITS`, in every schema with a property
            `prompt` or `attributes`.
    """
    changed = dict(schemas)
    for limit in relaxed:
        for steps, keywords in _PLACES[limit]:
            for name, schema in changed.items():
                changed[name] = _without(schema, ("properties", *steps), keywords)
    return changed


def _without(schema: Any, steps: Sequence[str], keywords: Collection[str]) -> Any:
    if not isinstance(schema, dict):
        return schema
    members = cast("dict[str, Any]", schema)
    if not steps:
        return {name: value for name, value in members.items() if name not in keywords}
    step, *rest = steps
    if step not in members:
        return members
    return members | {step: _without(members[step], rest, keywords)}
