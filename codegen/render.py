"""Renders each file from its template, and formats the output."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import jinja2
from contract import Contract, Field, Model, Operation, Type
from document import ContractError
from ruff import find_ruff_bin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from settings import Settings

_TEMPLATES = Path(__file__).with_name("templates")
_LINE_LENGTH = 100
_HEADERS = {
    ".py": "# Generated from openapi.yaml by codegen/generate.py; do not edit.\n",
    ".md": "<!-- Generated from openapi.yaml by codegen/generate.py; do not edit. -->\n\n",
}
_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}


def has_header(path: Path) -> bool:
    """Return whether the generator wrote a file."""
    header = _HEADERS.get(path.suffix)
    return header is not None and path.read_bytes().startswith(header.encode())


def render(document: dict[str, Any], contract: Contract, settings: Settings) -> dict[str, bytes]:
    """Render all files.

    Returns:
        The content of each file, by its path relative to the root of the repository.
    """
    files: dict[str, str] = {}
    for path, text in _Renderer(contract, settings).files():
        if path in files:
            raise ContractError(path, "two names in the contract lead to this file")
        files[path] = _HEADERS[Path(path).suffix] + text
    python = {path: text for path, text in files.items() if path.endswith(".py")}
    files |= _format(python, settings.package)
    compact = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    files[settings.outputs.contract] = compact + "\n"
    return {path: text.encode() for path, text in sorted(files.items())}


class _Renderer:
    def __init__(self, contract: Contract, settings: Settings) -> None:
        self._contract = contract
        self._settings = settings
        self._keys = contract.keys
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_TEMPLATES),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.globals.update(contract=contract, settings=settings)
        filters: dict[str, Callable[..., object]] = {
            "module": module,
            "sentence": sentence,
            "prose": self._prose,
            "docstring": self._docstring,
            "code": literal,
            "json": lambda value: json.dumps(value, ensure_ascii=False, indent=2),
            "tuple_code": _tuple_code,
            "model_annotation": _model_annotation,
            "model_type": _model_type,
            "twin_type": lambda type_: _model_type(type_, "TypedDict"),
            "parameter_type": _parameter_type,
            "linked": _linked,
            "imports": _imports,
            "markdown": self._markdown,
            "cell": _cell,
            "field_text": self._field_text,
            "result_text": self._result_text,
            "example_arguments": _example_arguments,
        }
        self._environment.filters.update(filters)

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield the path and the text of each file, unformatted and without header."""
        contract, outputs = self._contract, self._settings.outputs
        modules = list(_model_modules(contract))

        yield outputs.sdk, self._render("sdk.py")
        yield outputs.sdk_docs, self._render("sdk.md")
        for name, models in modules:
            context = {"name": name, "models": models, "twins": True}
            yield f"{outputs.models}/{name}.py", self._render("models.py", **context)
            yield f"{outputs.model_docs}/{name}.md", self._render("models.md", **context)
        for enum in contract.enums:
            name = module(enum.name)
            yield f"{outputs.models}/{name}.py", self._render("enum.py", enum=enum)
            yield f"{outputs.model_docs}/{name}.md", self._render("enum.md", enum=enum)
        for error in contract.errors:
            name = module(error.name)
            yield f"{outputs.errors}/{name}.py", self._render("error.py", error=error)
            yield f"{outputs.error_docs}/{name}.md", self._render("error.md", error=error)

        yield (
            f"{outputs.models}/__init__.py",
            self._render(
                "models_init.py",
                names_by_module={
                    **{
                        name: [name_ for model in models for name_ in (model.name, _twin(model))]
                        for name, models in modules
                    },
                    **{module(one.name): [one.name, *one.older_names] for one in contract.enums},
                },
            ),
        )
        yield (
            f"{outputs.errors}/__init__.py",
            self._render(
                "errors_init.py",
                names_by_module={
                    module(error.name): [
                        name_
                        for name in (error.name, *error.older_names)
                        for name_ in (name, f"{name}Data")
                    ]
                    for error in contract.errors
                },
            ),
        )

    def _render(self, template: str, **context: Any) -> str:
        text = self._environment.get_template(f"{template}.jinja").render(**context)
        return text.strip() + "\n"

    def _prose(self, text: str, indent: int = 0, hang: int = 0) -> str:
        """Wrap a text of the contract for Python code, with names as in Python.

        Args:
            text: Paragraphs, separated by blank lines.
            indent: The indentation. The template has already indented the first line.
            hang: The additional indentation of all lines but the first.
        """
        paragraphs = [
            textwrap.fill(
                self._python_names(" ".join(paragraph.split())),
                width=_LINE_LENGTH,
                initial_indent=" " * indent,
                subsequent_indent=" " * (indent + hang),
                break_long_words=False,
                break_on_hyphens=False,
            )
            for paragraph in re.split(r"\n\s*\n", text.strip())
        ]
        return _escape("\n\n".join(paragraphs)).lstrip()

    def _markdown(self, text: str) -> str:
        """Return a text of the contract for Markdown, with one line per paragraph."""
        paragraphs = (" ".join(one.split()) for one in re.split(r"\n\s*\n", text.strip()))
        return "\n\n".join(map(self._python_names, paragraphs))

    def _docstring(self, text: str, indent: int) -> str:
        """Return a whole docstring. Its first sentence is the summary."""
        text = self._python_names(sentence(text))
        one_line = f'"""{_escape(text)}"""'
        if "\n" not in text and indent + len(one_line) <= _LINE_LENGTH:
            return one_line
        summary, _, rest = text.partition(". ")
        ending = f'\n{" " * indent}"""'
        if not rest:
            return f'"""{self._prose(text, indent)}{ending}'
        return (
            f'"""{self._prose(summary + ".", indent)}\n\n'
            f"{' ' * indent}{self._prose(rest, indent)}{ending}"
        )

    def _python_names(self, text: str) -> str:
        """Replace names as in JSON by names as in Python, such as `actual_prompt`."""
        return re.sub(
            r"`(\w+)`", lambda match: f"`{self._keys.get(match[1], match[1])}`", text.strip()
        )

    def _field_text(self, field: Field) -> str:
        """Return the description, constraints and default of a field, in one paragraph."""
        rules = "; ".join(field.rules)
        default = "" if field.default is None else f"Default {field.default}."
        parts = [sentence(field.description), sentence(rules[:1].upper() + rules[1:]), default]
        return self._python_names(" ".join(" ".join(parts).split()))

    def _result_text(self, operation: Operation) -> str:
        """Return the description of the result of a method, in one paragraph."""
        if not operation.result:
            return "Nothing."
        fields = (f"`{field.name}`: {self._field_text(field)}" for field in operation.result.fields)
        return " ".join([f"A `{operation.result.name}`.", sentence(operation.success), *fields])


def module(class_name: str) -> str:
    """Return the name of the module of a class."""
    return class_name.lower()


def sentence(text: str) -> str:
    """Return a text that ends like a sentence."""
    text = text.strip()
    return text if not text or text[-1] in ".?!" else f"{text}."


def _escape(text: str) -> str:
    """Escape a text for a docstring."""
    return text.replace("\\", "\\\\").replace('"""', r"\"\"\"")


def literal(value: object) -> str:
    """Return a JSON value as Python code."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(literal, cast('list[object]', value)))}]"
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value).items()
        return f"{{{', '.join(f'{literal(key)}: {literal(item)}' for key, item in pairs)}}}"
    return repr(value)


def _tuple_code(items: Iterable[str]) -> str:
    """Return the Python code of a tuple, given the code of its items."""
    items = list(items)
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def _twin(model: Model) -> str:
    return f"{model.name}TypedDict"


def _model_modules(contract: Contract) -> Iterator[tuple[str, list[Model]]]:
    """Yield the models of each module. The models of one operation share a module."""
    for model in contract.models:
        yield module(model.name), [model]
    for operation in contract.operations:
        models = [operation.globals_model, operation.request_model]
        yield f"{module(operation.models_name)}op", [model for model in models if model]
    yield module(contract.security.name), [contract.security]


def _model_type(type_: Type, model_suffix: str = "") -> str:
    """Return the annotation of a field of a model."""
    match type_:
        case Type("list", item=Type() as item):
            return f"list[{_model_type(item, model_suffix)}]"
        case Type("map", item=Type() as item):
            return f"dict[str, {_model_type(item, model_suffix)}]"
        case Type("model"):
            return f"{type_.name}{model_suffix}"
        case Type("enum"):
            return type_.name
        case _:
            return _SCALARS[type_.kind]


def _model_annotation(field: Field) -> str:
    """Return the annotation of a model's field, with its alias.

    The alias is in `Annotated`, so that type checkers use the Python name as the argument of the
    constructor.
    """
    type_ = _model_type(field.type) + ("" if field.required else " | None")
    if field.key == field.name:
        return type_
    return f"Annotated[{type_}, Field(alias={literal(field.key)})]"


def _parameter_type(type_: Type) -> str:
    """Return the annotation of a parameter. It covers everything that the runtime accepts."""
    match type_:
        case Type("list", item=Type() as item):
            return f"Iterable[{_parameter_type(item)}]"
        case Type("map", item=Type() as item):
            return f"Mapping[str, {_parameter_type(item)}]"
        case Type("enum"):
            return f"models.{type_.name} | str"
        case _:
            return _SCALARS[type_.kind]


def _linked(code: str, type_: Type, models: str) -> str:
    """Return an annotation in Markdown, with a link if the type has a page.

    Args:
        code: The annotation.
        type_: The type.
        models: The relative path to the directory of the models' pages, such as `../models/`.
    """
    code = _cell(code.replace("models.", ""))
    if name := type_.innermost.name:
        link = f"[`{name}`]({models}{module(name)}.md)"
        before, after = (f"`{part}`" if part else "" for part in code.split(name))
        return f"{before}{link}{after}"
    return f"`{code}`"


def _imports(models: Iterable[Model], twins: bool) -> dict[str, list[str]]:
    """Return the classes that the fields of models need, by module.

    Args:
        models: The models of one module.
        twins: Whether to include the TypedDicts.
    """
    types = {field.type.innermost for model in models for field in model.fields}
    return {
        module(type_.name): [type_.name, f"{type_.name}TypedDict"]
        if twins and type_.kind == "model"
        else [type_.name]
        for type_ in sorted(types, key=lambda type_: type_.name)
        if type_.name
    }


def _cell(text: str) -> str:
    """Return a text for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def _example_arguments(operation: Operation) -> dict[str, Any]:
    """Return arguments for the example of an operation, from the examples in the contract."""
    arguments = {field.name: field.examples[0] for field in operation.path_fields}
    if operation.body:
        names = {field.key: field.name for field in operation.body.fields}
        example: dict[str, Any] = operation.body.examples[0]
        arguments |= {names[key]: value for key, value in example.items()}
    return arguments


def _format(files: dict[str, str], package: str) -> dict[str, str]:
    """Format Python files with Ruff, ignoring any configuration files.

    Ruff sorts the imports and removes unused ones, so templates can import everything that may be
    needed.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RUFF_")}
    options = ["--isolated", "--no-cache", "--quiet", "--target-version", "py310"]
    options += ["--line-length", str(_LINE_LENGTH)]
    first_party = ["--config", f"lint.isort.known-first-party={literal([package])}"]
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(text.encode())
        for command in (
            ["check", *options, *first_party, "--select", "I,F401,RUF022", "--fix"],
            ["format", *options],
        ):
            subprocess.run([find_ruff_bin(), *command, "."], cwd=root, env=environment, check=True)
        return {path: (root / path).read_bytes().decode() for path in files}
