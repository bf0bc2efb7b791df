"""Describes the constraints of a schema in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from document import Node


def rules(schema: Node) -> tuple[str, ...]:
    """Return the constraints of a schema in words, such as `1 to 1024 characters`.

    Args:
        schema: A schema, or a reference to one.
    """
    schema = schema.resolved()
    found = [
        *_count(schema, "minLength", "maxLength", "character"),
        *_range(schema),
        *_count(schema, "minItems", "maxItems", "item"),
        *_count(schema, "minProperties", "maxProperties", "name-value pair"),
    ]
    if "pattern" in schema:
        found.append(f"must match `{schema.text('pattern')}`")
    if "propertyNames" in schema:
        found.append(f"names must match `{schema['propertyNames'].text('pattern')}`")
    if isinstance(schema.get("additionalProperties"), dict):
        found += _of_each("value", schema["additionalProperties"])
    if "items" in schema:
        found += _of_each("item", schema["items"])
    return tuple(found)


def _of_each(what: str, schema: Node) -> list[str]:
    return [f"each {what}: {', '.join(found)}"] if (found := rules(schema)) else []


def _count(schema: Node, least_key: str, most_key: str, singular: str) -> list[str]:
    least, most = schema.get(least_key), schema.get(most_key)
    noun = singular if (most or least) == 1 else f"{singular}s"
    return _between(least, most, f" {noun}")


def _range(schema: Node) -> list[str]:
    return _between(schema.get("minimum"), schema.get("maximum"), "")


def _between(least: float | None, most: float | None, noun: str) -> list[str]:
    if least is not None and most is not None:
        return [f"{least} to {most}{noun}"]
    if least is not None:
        return [f"at least {least}{noun}"]
    if most is not None:
        return [f"at most {most}{noun}"]
    return []
