"""Converts the document to the contract.

openapi-python-client's parser validates the document, resolves references and determines types.
What it drops is read from the raw document: descriptions of parameters and responses, constraints,
formats, examples, defaults, names of enum members, and retries.
"""

from __future__ import annotations

import keyword
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic
from contract import Contract, Enum, Error, Field, Model, Operation, Retries, Type
from document import ContractError, Node
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser.errors import GeneratorError, ParseError
from openapi_python_client.parser.openapi import Endpoint, GeneratorData
from openapi_python_client.parser.properties import EnumProperty, ModelProperty
from openapi_python_client.parser.properties.boolean import BooleanProperty
from openapi_python_client.parser.properties.float import FloatProperty
from openapi_python_client.parser.properties.int import IntProperty
from openapi_python_client.parser.properties.list_property import ListProperty
from openapi_python_client.parser.properties.string import StringProperty
from openapi_python_client.strings import snake_case
from rules import rules
from shapes import METHODS, is_map, require_supported

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from settings import OperationSettings, Settings

_CALL_OPTIONS = ("retries", "server_url", "timeout_ms", "http_headers")


def read_contract(document: dict[str, Any], settings: Settings) -> Contract:
    """Convert a document to a contract.

    Raises:
        ContractError: The document is not supported or does not match gen.yaml.
    """
    require_supported(Node.root(document))
    return _Reader(document, settings).read()


def _parse(document: dict[str, Any]) -> GeneratorData:
    config = Config.from_sources(
        ConfigFile(),
        MetaType("none"),
        document_source=Path("openapi.yaml"),
        file_encoding="utf-8",
        overwrite=False,
        output_path=None,
    )
    data = GeneratorData.from_dict(deepcopy(document), config=config)
    if isinstance(data, GeneratorError):
        raise ContractError("#", f"{data.header}: {data.detail}")
    errors: list[ParseError] = list(data.errors)
    for collection in data.endpoint_collections_by_tag.values():
        errors += collection.parse_errors
    for error in errors:
        raise ContractError("#", f"{error.header}: {error.detail}")
    return data


class _Reader:
    """Reads the raw document together with the result of the parser."""

    def __init__(self, document: dict[str, Any], settings: Settings) -> None:
        self._root = Node.root(document)
        self._settings = settings
        schemas = self._root["components"]["schemas"]
        self._enums = tuple(
            _enum(name, schema, settings) for name, schema in schemas.members() if "enum" in schema
        )
        parsed = _parse(document)
        self._models = {str(model.class_info.name): model for model in parsed.models}
        self._endpoints: dict[tuple[str, str], Endpoint] = {
            (endpoint.method, re.sub(r"{.*?}", "{}", endpoint.path.get_untrusted_value())): endpoint
            for collection in parsed.endpoint_collections_by_tag.values()
            for endpoint in collection.endpoints
        }

    def read(self) -> Contract:
        operations = dict(self._all_operations())
        self._require_settings_fit(operations)
        errors = {error.name: error for error in self._errors(operations.values())}
        schemas = dict(self._root["components"]["schemas"].members())
        models = {
            name: self._model(name, schema)
            for name, schema in schemas.items()
            if "properties" in schema and name not in errors
        }
        for model in (*models.values(), *(error.data for error in errors.values())):
            _require_no_errors(model, errors)
        _require_no_circle(models)
        servers = list(self._root["servers"].items())
        if len(servers) != 1:
            raise self._root["servers"].refuse("must have one server")
        contract = Contract(
            title=self._root["info"].text("title"),
            summary=self._root["info"].text("summary"),
            server_url=servers[0].text("url"),
            security=self._security(),
            retries=_retries(self._root["x-langcache-retries"]),
            models=tuple(models.values()),
            enums=self._enums,
            errors=tuple(sorted(errors.values(), key=lambda error: error.status)),
            operations=tuple(
                self._operation(operations[one.id], one, models, errors)
                for one in self._settings.operations
            ),
        )
        _require_distinct_methods(contract.operations)
        _require_aliases_fit(self._settings, contract)
        return contract

    def _all_operations(self) -> Iterator[tuple[str, Node]]:
        seen: set[str] = set()
        for _, path_item in self._root["paths"].members():
            for method, operation in path_item.members():
                if method in METHODS:
                    identifier = operation.text("operationId")
                    if identifier in seen:
                        raise operation.refuse(f"the operationId {identifier} is there twice")
                    seen.add(identifier)
                    yield identifier, operation

    def _require_settings_fit(self, operations: dict[str, Node]) -> None:
        with_method = [one.id for one in self._settings.operations]
        listed = [*with_method, *self._settings.without_method]
        for identifier, operation in operations.items():
            if identifier not in listed:
                raise operation.refuse(
                    f"gen.yaml must list {identifier}, in operations or in without_method"
                )
        for identifier in listed:
            if identifier not in operations:
                raise ContractError("gen.yaml", f"the contract has no operation {identifier}")
            if listed.count(identifier) > 1:
                raise ContractError("gen.yaml", f"the operation {identifier} is there twice")

    # Errors

    def _errors(self, operations: Iterable[Node]) -> Iterator[Error]:
        """Yield one error for each error status of all operations.

        A schema that is also the body of a successful response, such as a health report sent with a
        503, is not an error.
        """
        results: set[str] = set()
        failures: dict[int, Node] = {}
        for operation in operations:
            for status, node in operation["responses"].members():
                response = node.resolved()
                if int(status) < 300:
                    results.add(_schema_name(response))
                    continue
                known = failures.setdefault(int(status), response)
                if known.place != response.place:
                    raise node.refuse(
                        f"the status {status} has a different response at {known.place}"
                    )
        seen: set[str] = set()
        for status, response in failures.items():
            name = _schema_name(response)
            if not name:
                raise response.refuse("the response of an error must have content")
            if name in results:
                continue
            if name in seen:
                raise response.refuse(f"{name} is the error of another status already")
            seen.add(name)
            yield self._error(status, name, response)

    def _error(self, status: int, name: str, response: Node) -> Error:
        data = self._model(name, self._root["components"]["schemas"][name])
        for field in data.fields:
            if field.key == "status" and field.default != status:
                raise response.refuse(f"the status {status} has the default {field.default}")
        return Error(
            status=status,
            name=name,
            older_names=self._settings.older_names(name),
            remedy=response.text("description"),
            data=replace(data, name=f"{name}Data"),
        )

    # Models

    def _model(self, name: str, schema: Node) -> Model:
        if name not in self._models:
            raise schema.refuse("the name of a schema must be in PascalCase")
        parsed = self._models[name]
        properties = [*(parsed.required_properties or []), *(parsed.optional_properties or [])]
        fields: list[Field] = []
        for prop in properties:
            key = prop.name.get_untrusted_value()
            node = schema["properties"][key]
            text = node.resolved().text("description")
            fields.append(_field(key, node, _type(prop, node), prop.required, text))
        _require_distinct(schema, fields)
        required = {field.key for field in fields if field.required}
        for example in _examples(schema):
            if not required <= set(example) <= {field.key for field in fields}:
                raise schema["examples"].refuse("an example lacks a field or has an unknown field")
        return Model(name, schema.text("description"), tuple(fields), _examples(schema))

    def _security(self) -> Model:
        scheme_name = self._settings.security.scheme
        if self._root["security"].value != [{scheme_name: []}]:
            raise self._root["security"].refuse(f"must be only {scheme_name}, as in gen.yaml")
        scheme = self._root["components"]["securitySchemes"][scheme_name]
        name = snake_case(scheme_name)
        text = scheme.text("description")
        # The official model has no alias here, because it is never sent as JSON.
        return Model("Security", text, (Field(name, name, Type("string"), False, text),))

    # Operations

    def _operation(
        self,
        node: Node,
        settings: OperationSettings,
        models: dict[str, Model],
        errors: dict[str, Error],
    ) -> Operation:
        path, method = _path_and_method(node)
        if "security" in node:
            raise node["security"].refuse("an operation with a method needs the client's key")
        endpoint = self._endpoints[method, re.sub(r"{.*?}", "{}", path)]
        parameters = [
            self._parameter(node, prop.name.get_untrusted_value(), path)
            for prop in endpoint.path_parameters
        ]
        global_key = self._settings.global_.parameter
        if not parameters or parameters[0].key != global_key:
            raise node.refuse(
                f"the first parameter of the path must be {global_key}, as in gen.yaml"
            )
        success, result = self._success(node, models)
        body = self._body(node, models) if endpoint.bodies else None
        operation = Operation(
            id=settings.id,
            name=snake_case(settings.id),
            models_name=settings.models,
            method=method.upper(),
            path=path,
            summary=node.text("summary"),
            description=node.text("description"),
            global_field=parameters[0],
            path_fields=tuple(parameters[1:]),
            body=body,
            result=result,
            success=success,
            errors=tuple(self._operation_errors(node, errors)),
            accepts_request=settings.accepts_request,
        )
        _require_distinct(node, operation.arguments, _CALL_OPTIONS)
        for field in operation.path_fields:
            if not field.examples:
                raise node.refuse(f"the path parameter {field.key} needs an example")
        if settings.accepts_request and operation.arguments:
            raise node.refuse("accepts_request must only be set for an operation without arguments")
        return operation

    def _parameter(self, operation: Node, key: str, path: str) -> Field:
        for owner in (operation, self._root["paths"][path]):
            if "parameters" not in owner:
                continue
            for item in owner["parameters"].items():
                parameter = item.resolved()
                if parameter.text("name") == key:
                    field = _field(
                        key,
                        parameter["schema"],
                        Type("string"),
                        True,
                        parameter.text("description"),
                    )
                    if "example" in parameter:
                        field = replace(field, examples=(parameter.value["example"],))
                    return field
        raise operation.refuse(f"the path parameter {key} is not declared")

    def _body(self, operation: Node, models: dict[str, Model]) -> Model:
        schema = operation["requestBody"]["content"]["application/json"]["schema"].resolved()
        model = models.get(schema.place.rsplit("/", 1)[1])
        if model is None:
            raise schema.refuse("an error can't be the body of a request")
        for field in model.fields:
            if field.type.encoder is None:
                raise schema["properties"][field.key].refuse("no argument can have this type")
        if not model.examples:
            raise schema.refuse("the body of a request needs an example")
        return model

    def _success(self, operation: Node, models: dict[str, Model]) -> tuple[str, Model | None]:
        successes = [
            response.resolved()
            for status, response in operation["responses"].members()
            if int(status) < 300
        ]
        if len(successes) != 1:
            raise operation["responses"].refuse(
                f"an operation with a method must have one success, has {len(successes)}"
            )
        name = _schema_name(successes[0])
        return successes[0].text("description"), models[name] if name else None

    def _operation_errors(self, operation: Node, errors: dict[str, Error]) -> Iterator[Error]:
        for status, response in operation["responses"].members():
            if int(status) >= 300:
                name = _schema_name(response.resolved())
                if name not in errors:
                    raise response.refuse(f"{name} is the result of a success, not an error")
                yield errors[name]


def _field(key: str, schema: Node, type_: Type, required: bool, description: str) -> Field:
    node = schema.resolved()
    return Field(
        key=key,
        name=_python_name(schema, key),
        type=type_,
        required=required,
        description=description,
        rules=rules(schema),
        format=node.get("format"),
        default=node.get("default"),
        examples=_examples(node),
    )


def _type(prop: Any, schema: Node) -> Type:
    """Return the type of a property.

    Args:
        prop: The property from the parser.
        schema: The schema, or a reference to it.
    """
    match prop:
        case StringProperty():
            return Type("string")
        case IntProperty():
            return Type("integer")
        case FloatProperty():
            return Type("number")
        case BooleanProperty():
            return Type("boolean")
        case EnumProperty():
            return Type("enum", str(prop.class_info.name))
        case ListProperty():
            return Type("list", item=_type(prop.inner_property, schema.resolved()["items"]))
        case ModelProperty() if is_map(schema.resolved()):
            values = schema.resolved()["additionalProperties"]
            return Type("map", item=_type(prop.additional_properties, values))
        case ModelProperty():
            return Type("model", str(prop.class_info.name))
        case _:
            raise schema.refuse(f"the parser's {type(prop).__name__} is not supported")


def _python_name(node: Node, key: str) -> str:
    name = snake_case(key)
    if not name.isidentifier() or keyword.iskeyword(name) or hasattr(pydantic.BaseModel, name):
        raise node.refuse(f"`{key}` can't be the name of a field in Python")
    return name


def _require_distinct(node: Node, fields: Iterable[Field], taken: tuple[str, ...] = ()) -> None:
    seen = set(taken)
    for field in fields:
        if field.name in seen:
            raise node.refuse(f"the name `{field.name}` is taken")
        seen.add(field.name)


def _require_distinct_methods(operations: Iterable[Operation]) -> None:
    seen = {"close", "aclose", "hooks", "with_raw_response"}
    for operation in operations:
        for name in (operation.name, f"{operation.name}_async"):
            if name in seen:
                raise ContractError("gen.yaml#/operations", f"the method {name} is taken")
            seen.add(name)


def _enum(name: str, schema: Node, settings: Settings) -> Enum:
    values: list[Any] = schema["enum"].value
    names: list[str] = schema.get("x-enum-varnames", [_member_name(value) for value in values])
    if len(names) != len(values):
        raise schema["x-enum-varnames"].refuse(
            f"must have a name for each of the {len(values)} values, has {len(names)}"
        )
    for member in names:
        if not member.isidentifier() or names.count(member) > 1:
            raise schema.refuse(
                f"the member name {member!r} must be an identifier and unique; use x-enum-varnames"
            )
    return Enum(
        name,
        schema.text("description"),
        tuple(zip(names, values, strict=True)),
        settings.older_names(name),
    )


def _member_name(value: object) -> str:
    """Return EXACT for `exact`, and ROOT_ERRORS_INVALID_DATA for `/errors/invalid-data`."""
    return re.sub(r"\W+", "_", re.sub("^/", "root/", str(value))).upper()


def _require_no_errors(model: Model, errors: dict[str, Error]) -> None:
    """Reject errors as types of fields, because they have no class among the models."""
    for field in model.fields:
        if field.type.innermost.name in errors:
            raise ContractError(
                f"#/components/schemas/{model.name.removesuffix('Data')}/properties/{field.key}",
                f"the error {field.type.innermost.name} can't be the type of a field",
            )


def _require_no_circle(models: dict[str, Model]) -> None:
    """Reject models that refer to each other in a circle, because their modules would too."""
    left = dict(models)
    while left:
        ready = [
            name
            for name, model in left.items()
            if not any(field.type.innermost.name in left for field in model.fields)
        ]
        if not ready:
            place = f"#/components/schemas/{next(iter(left))}"
            raise ContractError(place, f"a circle of models is not supported: {[*left]}")
        for name in ready:
            del left[name]


def _require_aliases_fit(settings: Settings, contract: Contract) -> None:
    names = {*(one.name for one in contract.enums), *(one.name for one in contract.errors)}
    for alias, target in settings.aliases.items():
        if target not in names:
            raise ContractError("gen.yaml#/aliases", f"{target} is no enum and no error")
        if alias in names:
            raise ContractError("gen.yaml#/aliases", f"{alias} is a name of the contract")


def _schema_name(response: Node) -> str:
    """Return the name of the schema of a response, or an empty string if it has no content."""
    if "content" not in response:
        return ""
    return response["content"]["application/json"]["schema"].resolved().place.rsplit("/", 1)[1]


def _examples(schema: Node) -> tuple[Any, ...]:
    return tuple(schema.get("examples", ()))


def _path_and_method(operation: Node) -> tuple[str, str]:
    _, _, path, method = operation.place.split("/")
    return path.replace("~1", "/").replace("~0", "~"), method


def _retries(node: Node) -> Retries:
    return Retries(
        strategy=node.text("strategy"),
        initial_interval=node["initialIntervalMillis"].value,
        max_interval=node["maxIntervalMillis"].value,
        exponent=node["exponent"].value,
        max_elapsed_time=node["maxElapsedMillis"].value,
        connection_errors=node["retryConnectionErrors"].value,
        status_codes=tuple(str(status.value) for status in node["statusCodes"].items()),
    )
