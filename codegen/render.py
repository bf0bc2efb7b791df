"""From the contract to files: which template makes which file, and how the text is formatted."""

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
    """Whether the generator wrote a file."""
    header = _HEADERS.get(path.suffix)
    return header is not None and path.read_bytes().startswith(header.encode())


def render(document: dict[str, Any], contract: Contract, settings: Settings) -> dict[str, bytes]:
    """All files that the generator writes.

    Returns:
        The content by path, relative to the root of the repository.
    """
    files: dict[str, str] = {}
    for path, text in _Renderer(contract, settings).files():
        if path in files:
            raise ContractError(path, "two of the contract's names lead to this file")
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
        """Paths and texts, without headers and unformatted."""
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
        """Text of the contract for Python: names in Python, lines wrapped.

        Args:
            text: Paragraphs, with blank lines between.
            indent: Where the text begins; the template has put the first line there.
            hang: How much further the second and later lines begin.
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
        """Text of the contract for Markdown: names in Python, a line for each paragraph."""
        paragraphs = (" ".join(one.split()) for one in re.split(r"\n\s*\n", text.strip()))
        return "\n\n".join(map(self._python_names, paragraphs))

    def _docstring(self, text: str, indent: int) -> str:
        """A whole docstring; its first sentence is the summary."""
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
        """``actualPrompt`` is ``actual_prompt`` to who reads about Python."""
        return re.sub(
            r"`(\w+)`", lambda match: f"`{self._keys.get(match[1], match[1])}`", text.strip()
        )

    def _field_text(self, field: Field) -> str:
        """All that there is to say about a field, in one paragraph."""
        rules = "; ".join(field.rules)
        default = "" if field.default is None else f"Default {field.default}."
        parts = [sentence(field.description), sentence(rules[:1].upper() + rules[1:]), default]
        return self._python_names(" ".join(" ".join(parts).split()))

    def _result_text(self, operation: Operation) -> str:
        """What a method gives back, in one paragraph."""
        if not operation.result:
            return "Nothing."
        fields = (f"`{field.name}`: {self._field_text(field)}" for field in operation.result.fields)
        return " ".join([f"A `{operation.result.name}`.", sentence(operation.success), *fields])


def module(class_name: str) -> str:
    """The module of a class."""
    return class_name.lower()


def sentence(text: str) -> str:
    """A text that ends as a sentence does."""
    text = text.strip()
    return text if not text or text[-1] in ".?!" else f"{text}."


def _escape(text: str) -> str:
    """Text as it stands between the quotes of a docstring."""
    return text.replace("\\", "\\\\").replace('"""', r"\"\"\"")


def literal(value: object) -> str:
    """A JSON value as Python code."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(literal, cast('list[object]', value)))}]"
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value).items()
        return f"{{{', '.join(f'{literal(key)}: {literal(item)}' for key, item in pairs)}}}"
    return repr(value)


def _tuple_code(items: Iterable[str]) -> str:
    """Python code of a tuple, from the code of its items."""
    items = list(items)
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def _twin(model: Model) -> str:
    return f"{model.name}TypedDict"


def _model_modules(contract: Contract) -> Iterator[tuple[str, list[Model]]]:
    """The models by module: each of the contract's has its own, those of an operation share one."""
    for model in contract.models:
        yield module(model.name), [model]
    for operation in contract.operations:
        models = [operation.globals_model, operation.request_model]
        yield f"{module(operation.models_name)}op", [model for model in models if model]
    yield module(contract.security.name), [contract.security]


def _model_type(type_: Type, model_suffix: str = "") -> str:
    """The annotation of a field that is read."""
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
    """The annotation of a model's field.

    The alias stands in `Annotated`, so that type checkers take the name in Python for the argument
    of the constructor.
    """
    type_ = _model_type(field.type) + ("" if field.required else " | None")
    if field.key == field.name:
        return type_
    return f"Annotated[{type_}, Field(alias={literal(field.key)})]"


def _parameter_type(type_: Type) -> str:
    """The annotation of a parameter: as wide as what the runtime accepts."""
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
    """An annotation in Markdown, with a link where it has a page.

    Args:
        code: The annotation.
        type_: What it is the annotation of.
        models: The way to the directory of the models' pages, such as ``../models/``.
    """
    code = _cell(code.replace("models.", ""))
    if name := type_.innermost.name:
        link = f"[`{name}`]({models}{module(name)}.md)"
        before, after = (f"`{part}`" if part else "" for part in code.split(name))
        return f"{before}{link}{after}"
    return f"`{code}`"


def _imports(models: Iterable[Model], twins: bool) -> dict[str, list[str]]:
    """The classes that the fields of models need, by module.

    Args:
        models: The models of one module.
        twins: Whether the TypedDict twins are needed as well.
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
    """Text for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def _example_arguments(operation: Operation) -> dict[str, Any]:
    """Arguments for the example of an operation, from the examples of the contract."""
    arguments = {field.name: field.examples[0] for field in operation.path_fields}
    if operation.body:
        names = {field.key: field.name for field in operation.body.fields}
        example: dict[str, Any] = operation.body.examples[0]
        arguments |= {names[key]: value for key, value in example.items()}
    return arguments


def _format(files: dict[str, str], package: str) -> dict[str, str]:
    """Format Python files with Ruff, whatever configuration lies around.

    Imports are sorted and those that a file does not need are left out, so that templates can name
    all that may be needed.
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
