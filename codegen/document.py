"""Reads YAML into nodes that know their location, for error messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import yaml

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from pathlib import Path


class ContractError(Exception):
    """The contract or gen.yaml is not valid. The message names the location."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")


class _StrictLoader(yaml.SafeLoader):
    """Rejects what YAML allows and JSON does not: repeated keys, and keys that are not strings."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            place = f"{key_node.start_mark.name}, line {key_node.start_mark.line + 1}"
            if not isinstance(key, str):
                raise ContractError(place, f"the key {key!r} must be a string; quote it")
            if key in seen:
                raise ContractError(place, f"the key {key!r} is there twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


# Without this implicit rule, a date stays a string, as in JSON.
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that contains a JSON object."""
    loader = _StrictLoader(path.read_text(encoding="utf-8"))
    loader.name = path.name
    try:
        data = loader.get_single_data()
    except yaml.YAMLError as error:
        raise ContractError(path.name, f"not YAML: {error}") from error
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise ContractError(path.name, "must be a mapping")
    return cast("dict[str, Any]", data)


@dataclass(frozen=True)
class Node:
    """A value of the contract together with its location.

    Attributes:
        value: The value, as in JSON.
        place: The location: a JSON pointer such as `#/components/schemas/CacheEntry`.
        document: The whole contract, to resolve references.
    """

    value: Any
    place: str
    document: dict[str, Any]

    @classmethod
    def root(cls, document: dict[str, Any]) -> Node:
        """Return the root node of a contract."""
        return cls(document, "#", document)

    def __contains__(self, key: str) -> bool:
        return key in self.value

    def __getitem__(self, key: str) -> Node:
        """Return a required member of an object."""
        if not isinstance(self.value, dict):
            raise ContractError(self.place, "must be an object")
        if key not in self.value:
            raise ContractError(self.place, f"`{key}` is missing")
        members = cast("dict[str, Any]", self.value)
        return Node(members[key], f"{self.place}/{_escape(key)}", self.document)

    def members(self) -> Iterator[tuple[str, Node]]:
        """Yield the members of an object, in order."""
        if not isinstance(self.value, dict):
            raise ContractError(self.place, "must be an object")
        for key in cast("dict[str, Any]", self.value):
            yield key, self[key]

    def items(self) -> Iterator[Node]:
        """Yield the items of an array."""
        if not isinstance(self.value, list):
            raise ContractError(self.place, "must be an array")
        for position, item in enumerate(cast("list[Any]", self.value)):
            yield Node(item, f"{self.place}/{position}", self.document)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the plain value of a member, or the default if the member is missing."""
        return self[key].value if key in self else default

    def text(self, key: str) -> str:
        """Return the text of a required member, without surrounding white space."""
        node = self[key]
        if not isinstance(node.value, str) or not node.value.strip():
            raise ContractError(node.place, "must be a non-empty string")
        return node.value.strip()

    def resolved(self) -> Node:
        """Return the target of a `$ref`, or the node itself if it is not a reference."""
        if not isinstance(self.value, dict) or "$ref" not in self.value:
            return self
        reference = self.text("$ref")
        if not reference.startswith("#/"):
            raise ContractError(self.place, f"$ref must point into this document, got {reference}")
        node = Node.root(self.document)
        for step in reference[2:].split("/"):
            key = step.replace("~1", "/").replace("~0", "~")
            if key not in node:
                raise ContractError(self.place, f"$ref leads nowhere: {reference}")
            node = node[key]
        if isinstance(node.value, dict) and "$ref" in node.value:
            raise ContractError(self.place, f"$ref leads to another $ref: {reference}")
        return node

    def refuse(self, reason: str) -> ContractError:
        """Return an error for this location."""
        return ContractError(self.place, reason)


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
