"""The contract as plain dataclasses, which the templates use."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal


@dataclass(frozen=True)
class Type:
    """The type of a value.

    Attributes:
        kind: The kind of the type.
        name: The class of an enum or a model.
        item: The type of the items of a list or of the values of a map.
    """

    kind: Literal["string", "integer", "number", "boolean", "enum", "model", "list", "map"]
    name: str = ""
    item: Type | None = None

    @property
    def innermost(self) -> Type:
        """The type inside all lists and maps."""
        return self.item.innermost if self.item else self

    @property
    def encoder(self) -> str | None:
        """The function of the runtime that checks an argument of this type, or None."""
        match self:
            case Type("string" | "enum"):
                return "text"
            case Type("integer" | "number"):
                return self.kind
            case Type("map", item=Type("string")):
                return "text_map"
            case Type("list", item=Type("string" | "enum")):
                return "text_list"
            case _:
                return None


@dataclass(frozen=True)
class Field:
    """A field of a model, or a parameter.

    Attributes:
        key: The name in JSON.
        name: The name in Python.
        type: The type. If the field is not required, it can also be None.
        required: Whether the field is required.
        description: The meaning of the field.
        rules: The constraints in words.
        format: The format in the contract, such as `int64`, or None.
        default: The default value.
        examples: Example values as in JSON. May be empty.
    """

    key: str
    name: str
    type: Type
    required: bool
    description: str
    rules: tuple[str, ...] = ()
    format: str | None = None
    default: Any = None
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Model:
    """An object with named fields. Required fields come first."""

    name: str
    description: str
    fields: tuple[Field, ...]
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Enum:
    """An enumeration of strings, with its members and the older names of the class."""

    name: str
    description: str
    members: tuple[tuple[str, str], ...]
    older_names: tuple[str, ...]


@dataclass(frozen=True)
class Error:
    """The error class of a status.

    Attributes:
        status: The HTTP status.
        name: The name of the class.
        older_names: Older names of the same class.
        remedy: The cause of the error and the remedy.
        data: The model of the body.
    """

    status: int
    name: str
    older_names: tuple[str, ...]
    remedy: str
    data: Model


@dataclass(frozen=True)
class Operation:
    """An operation that has a method.

    Attributes:
        id: The `operationId`.
        name: The name of the method.
        models_name: The prefix of the operation's own models.
        method: The HTTP method.
        path: The path, with `{parameters}`.
        summary: A short description.
        description: A full description.
        global_field: The path parameter that is set on the client.
        path_fields: The other path parameters.
        body: The model of the request body, or None.
        result: The model of the body of a successful response, or None.
        success: The meaning of a successful response.
        errors: The errors of the operation.
        accepts_request: Whether the method accepts the argument `request` for compatibility.
    """

    id: str
    name: str
    models_name: str
    method: str
    path: str
    summary: str
    description: str
    global_field: Field
    path_fields: tuple[Field, ...]
    body: Model | None
    result: Model | None
    success: str
    errors: tuple[Error, ...]
    accepts_request: bool

    @property
    def path_pieces(self) -> tuple[str, ...]:
        """The literal parts of the path before, between and after its parameters."""
        return tuple(re.split(r"{[^}]*}", self.path))

    @property
    def body_fields(self) -> tuple[Field, ...]:
        """The fields of the body. Empty if there is no body."""
        return self.body.fields if self.body else ()

    @property
    def arguments(self) -> tuple[Field, ...]:
        """The method's own arguments."""
        return (*self.path_fields, *self.body_fields)

    @property
    def globals_model(self) -> Model:
        """The model of the argument that the client adds to each call."""
        field = replace(self.global_field, required=False)
        text = f"The argument that the client adds to each call of `{self.name}`."
        return Model(f"{self.models_name}Globals", text, (field,))

    @property
    def request_model(self) -> Model | None:
        """The model of the path parameters. Only operations without a body have one."""
        if self.body:
            return None
        text = f"The arguments of `{self.name}`{'' if self.path_fields else ' (none)'}."
        return Model(f"{self.models_name}Request", text, self.path_fields)


@dataclass(frozen=True)
class Retries:
    """The default retry policy. Times are in milliseconds."""

    strategy: str
    initial_interval: int
    max_interval: int
    exponent: float
    max_elapsed_time: int
    connection_errors: bool
    status_codes: tuple[str, ...]


@dataclass(frozen=True)
class Contract:
    """Everything that the templates need to know about the API."""

    title: str
    summary: str
    server_url: str
    security: Model
    retries: Retries
    models: tuple[Model, ...]
    enums: tuple[Enum, ...]
    errors: tuple[Error, ...]
    operations: tuple[Operation, ...]

    @property
    def keys(self) -> dict[str, str]:
        """The Python name of each field and operation, by its name in JSON."""
        fields = [
            *(field for model in self.models for field in model.fields),
            *(field for error in self.errors for field in error.data.fields),
            *(field for operation in self.operations for field in operation.path_fields),
            *(operation.global_field for operation in self.operations),
        ]
        return {field.key: field.name for field in fields} | {
            operation.id: operation.name for operation in self.operations
        }
