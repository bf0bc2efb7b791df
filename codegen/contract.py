"""The contract as plain data: what the templates are rendered from."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal


@dataclass(frozen=True)
class Type:
    """The type of a value.

    Attributes:
        kind: What it is.
        name: The class of an enum or a model.
        item: The type of a list's items or of a map's values.
    """

    kind: Literal["string", "integer", "number", "boolean", "enum", "model", "list", "map"]
    name: str = ""
    item: Type | None = None

    @property
    def innermost(self) -> Type:
        """What lists and maps are of, in the end."""
        return self.item.innermost if self.item else self

    @property
    def encoder(self) -> str | None:
        """The function of the runtime that checks an argument of this type, if there is one."""
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
        key: The name on the wire.
        name: The name in Python.
        type: Its type; may also be None where it is not required.
        required: Whether it must be given.
        description: What it means.
        rules: What it must obey beyond its type, in words.
        format: The contract's format, such as ``int64``, or None.
        default: Its value where it is not given.
        examples: Values as in JSON; may be empty.
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
    """An object with named fields, required ones first."""

    name: str
    description: str
    fields: tuple[Field, ...]
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Enum:
    """An enumeration of strings: names and values, and older names of the class."""

    name: str
    description: str
    members: tuple[tuple[str, str], ...]
    older_names: tuple[str, ...]


@dataclass(frozen=True)
class Error:
    """The error of a status.

    Attributes:
        status: The HTTP status.
        name: The name of the class.
        older_names: Other names of the same class.
        remedy: When it happens and what to do.
        data: The model of the body.
    """

    status: int
    name: str
    older_names: tuple[str, ...]
    remedy: str
    data: Model


@dataclass(frozen=True)
class Operation:
    """An operation that gets a method.

    Attributes:
        id: Its ``operationId``.
        name: The name of the method.
        models_name: The prefix of its own models.
        method: The HTTP method.
        path: The path, with ``{parameters}``.
        summary: What it does, in a few words.
        description: What it does.
        global_field: The path parameter that the client holds.
        path_fields: The other path parameters.
        body: The model of the request body, if it has one.
        result: The model of the success's body, if it has one.
        success: What a success means.
        errors: The errors that the contract names for it.
        accepts_request: Whether the method has the compatibility argument ``request``.
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
        """The literal pieces of the path around its parameters."""
        return tuple(re.split(r"{[^}]*}", self.path))

    @property
    def body_fields(self) -> tuple[Field, ...]:
        """The fields of the body, none where there is no body."""
        return self.body.fields if self.body else ()

    @property
    def arguments(self) -> tuple[Field, ...]:
        """The method's own arguments."""
        return (*self.path_fields, *self.body_fields)

    @property
    def globals_model(self) -> Model:
        """What the client adds to each call, as a model of its own."""
        field = replace(self.global_field, required=False)
        text = f"What the client adds to each `{self.name}`."
        return Model(f"{self.models_name}Globals", text, (field,))

    @property
    def request_model(self) -> Model | None:
        """The path parameters as a model; only operations without a body have one."""
        if self.body:
            return None
        text = f"The arguments of `{self.name}`{'' if self.path_fields else ': none'}."
        return Model(f"{self.models_name}Request", text, self.path_fields)


@dataclass(frozen=True)
class Retries:
    """The default retry policy; times in milliseconds."""

    strategy: str
    initial_interval: int
    max_interval: int
    exponent: float
    max_elapsed_time: int
    connection_errors: bool
    status_codes: tuple[str, ...]


@dataclass(frozen=True)
class Contract:
    """All that the templates need to know of the API."""

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
        """The names on the wire of fields and operations, with their names in Python."""
        fields = [
            *(field for model in self.models for field in model.fields),
            *(field for error in self.errors for field in error.data.fields),
            *(field for operation in self.operations for field in operation.path_fields),
            *(operation.global_field for operation in self.operations),
        ]
        return {field.key: field.name for field in fields} | {
            operation.id: operation.name for operation in self.operations
        }
