"""Checks that the generator supports everything in the contract.

Anything else is an error with its location, so that no part of the contract is dropped silently.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from document import Node

METHODS = ("get", "put", "post", "delete", "patch")

_ROOT = {
    *("openapi", "info", "servers", "security", "tags", "paths", "components"),
    "x-langcache-retries",
}
_COMPONENTS = {"securitySchemes", "parameters", "responses", "schemas"}
_PATH_ITEM = {"parameters", *METHODS}
_OPERATION = {
    *("operationId", "tags", "summary", "description", "security"),
    *("parameters", "requestBody", "responses"),
}
_PARAMETER = {"name", "in", "required", "description", "schema", "example"}
_BODY = {"description", "required", "content"}
_RESPONSE = {"description", "headers", "content"}
_SECURITY_SCHEME = {"type", "scheme", "description"}

_RETRIES = {
    *("strategy", "initialIntervalMillis", "maxIntervalMillis", "exponent", "maxElapsedMillis"),
    *("retryConnectionErrors", "statusCodes"),
}

_SCHEMA = {"type", "description", "examples"}
_SCHEMA_BY_TYPE = {
    "string": {"default", "enum", "x-enum-varnames", "minLength", "maxLength", "pattern"},
    "integer": {"default", "format", "minimum", "maximum"},
    "number": {"default", "format", "minimum", "maximum"},
    "boolean": {"default"},
    "array": {"items", "minItems", "maxItems"},
    "object": {
        *("properties", "required"),
        *("additionalProperties", "propertyNames", "minProperties", "maxProperties"),
    },
}
_FORMATS = {"integer": {"int32", "int64"}, "number": {"float", "double"}}


def require_supported(contract: Node) -> None:
    """Raise ContractError for the first part of the contract that is not supported."""
    _require_keys(contract, _ROOT)
    for _, path_item in contract["paths"].members():
        _check_path_item(path_item)
    _require_keys(contract["x-langcache-retries"], _RETRIES)
    components = contract["components"]
    _require_keys(components, _COMPONENTS)
    for section, check in (
        ("securitySchemes", _check_security_scheme),
        ("parameters", _check_parameter),
        ("responses", _check_response),
        ("schemas", _check_named_schema),
    ):
        if section in components:
            for _, node in components[section].members():
                check(node)


def is_map(schema: Node) -> bool:
    """Return whether a schema is an object with arbitrary names."""
    return isinstance(schema.get("additionalProperties"), dict)


def _require_keys(node: Node, known: set[str]) -> None:
    for key, _ in node.members():
        if key not in known:
            raise node.refuse(f"`{key}` is not supported")


def _is_reference(node: Node, section: str) -> bool:
    """Return whether a node is a reference. A reference must lead to the given section."""
    if not isinstance(node.value, dict) or "$ref" not in node:
        return False
    _require_keys(node, {"$ref"})
    prefix = f"#/components/{section}/"
    if not node.text("$ref").startswith(prefix):
        raise node.refuse(f"$ref must lead to {prefix}")
    node.resolved()
    return True


def _check_path_item(path_item: Node) -> None:
    _require_keys(path_item, _PATH_ITEM)
    for key, node in path_item.members():
        if key == "parameters":
            _check_parameters(node)
        else:
            _check_operation(node)


def _check_operation(operation: Node) -> None:
    _require_keys(operation, _OPERATION)
    for key in ("operationId", "summary", "description"):
        operation.text(key)
    if "parameters" in operation:
        _check_parameters(operation["parameters"])
    if "requestBody" in operation:
        body = operation["requestBody"]
        _require_keys(body, _BODY)
        if body.get("required") is not True:
            raise body.refuse("a body that may be left out is not supported")
        _check_content(body["content"])
    for status, response in operation["responses"].members():
        if not re.fullmatch("[245][0-9][0-9]", status):
            raise response.refuse(f"`{status}` is not supported, only single 2xx, 4xx and 5xx")
        if not _is_reference(response, "responses"):
            _check_response(response)


def _check_parameters(parameters: Node) -> None:
    for parameter in parameters.items():
        if not _is_reference(parameter, "parameters"):
            _check_parameter(parameter)


def _check_parameter(parameter: Node) -> None:
    _require_keys(parameter, _PARAMETER)
    location = parameter.text("in")
    if location != "path":
        raise parameter.refuse(f"a {location} parameter is not supported, only path parameters")
    parameter.text("name")
    parameter.text("description")
    _check_schema(parameter["schema"])
    if parameter["schema"].resolved().value["type"] != "string":
        raise parameter["schema"].refuse("a path parameter must be a string")


def _check_response(response: Node) -> None:
    _require_keys(response, _RESPONSE)
    response.text("description")
    if "content" in response:
        _check_content(response["content"])


def _check_content(content: Node) -> None:
    for media_type, node in content.members():
        if media_type != "application/json":
            raise node.refuse(f"{media_type} is not supported, only application/json")
        _require_keys(node, {"schema"})
        schema = node["schema"]
        if not _is_reference(schema, "schemas"):
            raise schema.refuse("an unnamed schema is not supported; name it in components/schemas")
        target = schema.resolved()
        if target.get("type") != "object" or "properties" not in target:
            raise schema.refuse("a body must be an object with properties")


def _check_security_scheme(scheme: Node) -> None:
    _require_keys(scheme, _SECURITY_SCHEME)
    if (scheme.get("type"), scheme.get("scheme")) != ("http", "bearer"):
        raise scheme.refuse("only a bearer token is supported (type `http`, scheme `bearer`)")


def _check_named_schema(schema: Node) -> None:
    schema.text("description")
    _check_schema(schema, named=True)


def _check_schema(schema: Node, named: bool = False) -> None:
    """Check a schema and its subschemas.

    Args:
        schema: The schema.
        named: Whether the schema is directly in `components/schemas`.
    """
    if _is_reference(schema, "schemas"):
        return
    for key in ("oneOf", "anyOf", "allOf"):
        if key in schema:
            raise schema.refuse(f"`{key}` is not supported")
    kind = schema["type"].value
    if not isinstance(kind, str) or kind not in _SCHEMA_BY_TYPE:
        raise schema["type"].refuse(f"the type {kind} is not supported")
    _require_keys(schema, _SCHEMA | _SCHEMA_BY_TYPE[kind])
    if "format" in schema and schema.value["format"] not in _FORMATS[kind]:
        raise schema["format"].refuse(f"the format {schema.value['format']} is not supported")
    if "enum" in schema:
        if not named:
            raise schema.refuse("an unnamed enum is not supported; name it in components/schemas")
        _require_keys(schema, _SCHEMA | {"enum", "x-enum-varnames"})
    if kind == "array":
        _check_schema(schema["items"])
    if kind == "object":
        _check_object(schema, named)


def _check_object(schema: Node, named: bool) -> None:
    if is_map(schema):
        if "properties" in schema:
            raise schema.refuse("an object with both properties and further names is not supported")
        if "propertyNames" in schema:
            _require_keys(schema["propertyNames"], {"pattern"})
        _check_schema(schema["additionalProperties"])
        return
    if "properties" not in schema:
        raise schema.refuse("an object needs properties, or a schema for additionalProperties")
    if not named:
        raise schema.refuse(
            "an unnamed object with properties is not supported; name it in components/schemas"
        )
    _require_keys(schema, _SCHEMA | {"properties", "required", "additionalProperties"})
    if schema.get("additionalProperties") not in (None, False):
        raise schema.refuse("an object with both properties and further names is not supported")
    for key in schema.get("required", []):
        if key not in schema["properties"]:
            raise schema["required"].refuse(f"`{key}` is not among the properties")
    for _, node in schema["properties"].members():
        _check_schema(node)
        node.resolved().text("description")
