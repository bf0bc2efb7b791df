"""The raw contract: YAML in, nodes that know their place out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import yaml

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from pathlib import Path


class ContractError(Exception):
    """The contract or gen.yaml can't be turned into code; the message names the place."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")


class _StrictLoader(yaml.SafeLoader):
    """Refuses what YAML lets pass and JSON does not have: repeated keys and keys but strings."""

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


# Without its implicit rule, a date stays the string it is in JSON.
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a JSON object."""
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
    """A value of the contract, together with where it stands.

    Attributes:
        value: The value, as in JSON.
        place: A JSON pointer such as ``#/components/schemas/CacheEntry``.
        document: The whole contract, for references.
    """

    value: Any
    place: str
    document: dict[str, Any]

    @classmethod
    def root(cls, document: dict[str, Any]) -> Node:
        """The node of a whole contract."""
        return cls(document, "#", document)

    def __contains__(self, key: str) -> bool:
        return key in self.value

    def __getitem__(self, key: str) -> Node:
        """The member of an object; it must be there."""
        if not isinstance(self.value, dict):
            raise ContractError(self.place, "must be an object")
        if key not in self.value:
            raise ContractError(self.place, f"`{key}` is missing")
        members = cast("dict[str, Any]", self.value)
        return Node(members[key], f"{self.place}/{_escape(key)}", self.document)

    def members(self) -> Iterator[tuple[str, Node]]:
        """The members of an object, in order."""
        if not isinstance(self.value, dict):
            raise ContractError(self.place, "must be an object")
        for key in cast("dict[str, Any]", self.value):
            yield key, self[key]

    def items(self) -> Iterator[Node]:
        """The items of an array."""
        if not isinstance(self.value, list):
            raise ContractError(self.place, "must be an array")
        for position, item in enumerate(cast("list[Any]", self.value)):
            yield Node(item, f"{self.place}/{position}", self.document)

    def get(self, key: str, default: Any = None) -> Any:
        """The plain value of a member, or a default where there is none."""
        return self[key].value if key in self else default

    def text(self, key: str) -> str:
        """The text of a member that must be there, without the blanks around it."""
        node = self[key]
        if not isinstance(node.value, str) or not node.value.strip():
            raise ContractError(node.place, "must be a text")
        return node.value.strip()

    def resolved(self) -> Node:
        """What a ``$ref`` leads to; the node itself where it is none."""
        if not isinstance(self.value, dict) or "$ref" not in self.value:
            return self
        reference = self.text("$ref")
        if not reference.startswith("#/"):
            raise ContractError(self.place, f"$ref must stay in the document, is {reference}")
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
        """The error that says what is wrong here."""
        return ContractError(self.place, reason)


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
