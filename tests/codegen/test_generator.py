"""The generator writes the same bytes for the same contract and rejects unsupported contracts."""

import json
import os
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest

if sys.version_info < (3, 11):
    pytest.skip("openapi-python-client needs Python 3.11", allow_module_level=True)

ROOT = Path(__file__).parents[2]
CODEGEN = ROOT / "codegen"
DIRECTORIES = ("src/langcache/models", "src/langcache/errors", "docs/models", "docs/errors")


@pytest.fixture(scope="module")
def generate():
    """The command line of the generator, as a function of its arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(CODEGEN)
        from generate import main

        yield lambda *arguments: main([str(argument) for argument in arguments])


@pytest.fixture
def tree(tmp_path, generate):
    """A root directory with freshly generated files."""
    for name in ("openapi.yaml", "gen.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    assert generate("--root", tmp_path) == 0
    return tmp_path


def contents(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_the_committed_files_are_what_the_generator_writes(tree, generate):
    for path, content in contents(tree).items():
        assert (ROOT / path).read_bytes() == content, path
    assert generate("--check") == 0


def test_every_generated_file_that_can_says_so_at_the_top(tree):
    for path, content in contents(tree).items():
        if path.endswith((".py", ".md")):
            assert b"do not edit" in content.splitlines()[0], path


def test_the_output_depends_on_nothing_but_the_input(tree, tmp_path_factory):
    expected = contents(tree)
    for seed, cwd in (("1", "/"), ("2", tmp_path_factory.mktemp("elsewhere"))):
        root = tmp_path_factory.mktemp("root")
        for name in ("openapi.yaml", "gen.yaml"):
            shutil.copy(ROOT / name, root / name)
        # The generator must ignore this configuration file.
        (root / "ruff.toml").write_text("line-length = 40\n")
        subprocess.run(
            [sys.executable, CODEGEN / "generate.py", "--root", root],
            check=True,
            cwd=cwd,
            env={
                **os.environ,
                "PYTHONHASHSEED": seed,
                "LC_ALL": "C",
                "RUFF_CONFIG": str(root / "ruff.toml"),
            },
        )
        (root / "ruff.toml").unlink()
        assert contents(root) == expected


def test_check_names_edited_missing_and_stale_files_and_changes_nothing(tree, generate, capsys):
    assert generate("--check", "--root", tree) == 0
    assert capsys.readouterr().out == ""

    (tree / "src/langcache/sdk.py").write_text("edited")
    (tree / "docs/models/setrequest.md").unlink()
    for directory in DIRECTORIES:
        (tree / directory / "old.py").write_text("old")
    (tree / "src/langcache/models/__pycache__").mkdir()
    (tree / "src/langcache/models/__pycache__/setrequest.pyc").write_text("compiled")
    before = contents(tree)

    assert generate("--check", "--root", tree) == 1
    assert capsys.readouterr().out.splitlines() == [
        "edited: src/langcache/sdk.py",
        "missing: docs/models/setrequest.md",
        *sorted(f"stale: {directory}/old.py" for directory in DIRECTORIES),
    ]
    assert contents(tree) == before


def test_writing_restores_files_and_removes_stale_ones(tree, generate):
    expected = contents(tree)
    (tree / "src/langcache/sdk.py").write_text("edited")
    shutil.copy(tree / "docs/models/setrequest.md", tree / "docs/models/old.md")
    assert generate("--root", tree) == 0
    assert contents(tree) == expected


def test_writing_never_removes_a_file_that_is_not_generated(tree, generate, capsys):
    stray = tree / "src/langcache/models/mine.py"
    stray.write_text("by hand")
    assert generate("--root", tree) == 1
    assert "models/mine.py is not generated" in capsys.readouterr().err
    assert stray.read_text() == "by hand"


MINIMAL_SETTINGS = {
    "contract": "openapi.yaml",
    "package": "boxes",
    "class": "Boxes",
    "server_environment": "BOX_SERVER",
    "outputs": {
        "sdk": "sdk.py",
        "models": "models",
        "errors": "errors",
        "sdk_docs": "docs/sdk.md",
        "model_docs": "docs/models",
        "error_docs": "docs/errors",
        "contract": "openapi.json",
    },
    "global": {"parameter": "boxId", "environment": "BOX_ID"},
    "security": {"scheme": "token", "environment": "BOX_TOKEN"},
    "operations": [{"id": "addThing", "models": "AddThing"}],
    "without_method": {},
    "aliases": {},
    "examples": {"variable": "boxes", "arguments": {"server_url": "https://boxes.example"}},
}

MINIMAL = {
    "openapi": "3.1.0",
    "info": {"title": "Boxes", "version": "1.0.0", "summary": "Boxes with things in them."},
    "servers": [{"url": "https://boxes.example"}],
    "security": [{"token": []}],
    "x-langcache-retries": {
        "strategy": "backoff",
        "initialIntervalMillis": 1,
        "maxIntervalMillis": 2,
        "exponent": 1.5,
        "maxElapsedMillis": 3,
        "retryConnectionErrors": True,
        "statusCodes": [503],
    },
    "paths": {
        "/boxes/{boxId}/things": {
            "parameters": [{"$ref": "#/components/parameters/BoxId"}],
            "post": {
                "operationId": "addThing",
                "summary": "Add a thing",
                "description": "Puts a thing into the box.",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}
                    },
                },
                "responses": {
                    "204": {"description": "The thing is in the box."},
                    "400": {
                        "description": "The thing does not fit.",
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                        },
                    },
                },
            },
        }
    },
    "components": {
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer", "description": "The token."}
        },
        "parameters": {
            "BoxId": {
                "name": "boxId",
                "in": "path",
                "required": True,
                "description": "The id of the box.",
                "schema": {"type": "string"},
            }
        },
        "schemas": {
            "Thing": {
                "type": "object",
                "description": "A thing.",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "description": "Its name.", "maxLength": 7},
                    "weightGrams": {"type": "number", "description": "Its weight."},
                    "labels": {
                        "type": "object",
                        "description": "Its labels.",
                        "additionalProperties": {"type": "string"},
                    },
                },
                "examples": [{"name": "ball", "weightGrams": 9.5}],
            },
            "Kind": {"type": "string", "description": "What it is.", "enum": ["too-big", "odd"]},
            "Problem": {
                "type": "object",
                "description": "It went wrong.",
                "required": ["kind"],
                "properties": {
                    "kind": {"$ref": "#/components/schemas/Kind"},
                    "status": {"type": "integer", "description": "The status.", "default": 400},
                },
            },
        },
    },
}


def run(generate, root, document, settings=MINIMAL_SETTINGS):
    (root / "openapi.yaml").write_text(json.dumps(document))
    (root / "gen.yaml").write_text(json.dumps(settings))
    return generate("--root", root)


def at(value, place):
    """Return the value at a path such as `a/b`. `~` in a step stands for a slash."""
    for step in filter(None, place.split("/")):
        value = value[int(step) if isinstance(value, list) else step.replace("~", "/")]
    return value


def test_nothing_of_an_api_is_written_into_the_templates(tmp_path, generate):
    assert run(generate, tmp_path, MINIMAL) == 0
    sdk = (tmp_path / "sdk.py").read_text()
    assert "def add_thing(" in sdk
    assert "async def add_thing_async(" in sdk
    assert 'Argument("weight_grams", "weightGrams", arguments.number)' in sdk
    assert "name: Its name. At most 7 characters." in sdk
    assert 'TOO_BIG = "too-big"' in (tmp_path / "models/kind.py").read_text()
    for path, content in contents(tmp_path).items():
        for word in (b"prompt", b"entry", b"similarity", b"/v1/"):
            assert word not in content, path


THING = "components/schemas/Thing"
NAME = f"{THING}/properties/name"
OPERATION = "paths/~boxes~{boxId}~things/post"
PLACE = "#/paths/~1boxes~1{boxId}~1things/post"
STRING = {"type": "string", "description": "A text."}


@pytest.mark.parametrize(
    ("place", "change", "expected_place", "reason"),
    [
        (NAME, {"oneOf": [STRING]}, f"#/{NAME}", "`oneOf` is not supported"),
        (NAME, {"anyOf": [STRING]}, f"#/{NAME}", "`anyOf` is not supported"),
        (NAME, {"allOf": [STRING]}, f"#/{NAME}", "`allOf` is not supported"),
        (NAME, {"type": ["string", "null"]}, f"#/{NAME}/type", "is not supported"),
        (NAME, {"format": "date-time"}, f"#/{NAME}", "`format` is not supported"),
        (NAME, {"contentEncoding": "base64"}, f"#/{NAME}", "`contentEncoding` is not supported"),
        (NAME, {"enum": ["a"]}, f"#/{NAME}", "an unnamed enum"),
        (NAME, {"type": "boolean"}, f"#/{NAME}", "`maxLength` is not supported"),
        (
            f"{THING}/properties",
            {"owner": {"type": "object", "description": "Whose.", "properties": {"name": STRING}}},
            f"#/{THING}/properties/owner",
            "an unnamed object with properties",
        ),
        (
            f"{THING}/properties",
            {"fragile": {"type": "boolean", "description": "Whether it breaks."}},
            f"#/{THING}/properties/fragile",
            "no argument can have this type",
        ),
        (
            f"{THING}/properties",
            {"class": STRING},
            f"#/{THING}/properties/class",
            "can't be the name of a field",
        ),
        (
            f"{THING}/properties",
            {"weight_grams": STRING},
            f"#/{THING}",
            "the name `weight_grams` is taken",
        ),
        (f"{THING}/properties", {"timeoutMs": STRING}, PLACE, "the name `timeout_ms` is taken"),
        (
            f"{THING}/properties",
            {"inside": {"$ref": "#/components/schemas/Nothing"}},
            f"#/{THING}/properties/inside",
            "$ref leads nowhere",
        ),
        (
            "components/schemas",
            {"gadget": {"type": "object", "description": "It.", "properties": {}}},
            "#/components/schemas/gadget",
            "PascalCase",
        ),
        (
            f"{THING}/properties",
            {"inside": {"$ref": "#/components/schemas/Thing"}},
            f"#/{THING}",
            "a circle of models",
        ),
        (THING, {"additionalProperties": STRING}, f"#/{THING}", "properties and further names"),
        (THING, {"required": ["size"]}, f"#/{THING}/required", "`size` is not among"),
        (THING, {"examples": [{"size": 1}]}, f"#/{THING}/examples", "an example lacks a field"),
        (THING, {"examples": []}, f"#/{THING}", "needs an example"),
        ("components/schemas/Kind", {"x-enum-varnames": ["A"]}, "Kind/x-enum-varnames", "has 1"),
        ("components/schemas/Kind", {"enum": ["a-b", "a_b"]}, "schemas/Kind", "and unique"),
        (
            "paths/~boxes~{boxId}~things",
            {"parameters": [{**MINIMAL["components"]["parameters"]["BoxId"], "in": "query"}]},
            "#/paths/~1boxes~1{boxId}~1things/parameters/0",
            "a query parameter is not supported",
        ),
        (
            "components/parameters",
            {"Trace": {"name": "trace", "in": "header", "description": "An id.", "schema": STRING}},
            "#/components/parameters/Trace",
            "a header parameter is not supported",
        ),
        (
            f"{OPERATION}/requestBody",
            {"content": {"text/plain": {"schema": STRING}}},
            f"{PLACE}/requestBody/content/text~1plain",
            "text/plain is not supported",
        ),
        (f"{OPERATION}/requestBody", {"required": False}, f"{PLACE}/requestBody", "left out"),
        (
            f"{OPERATION}/requestBody/content/application~json",
            {"schema": {"type": "object", "properties": {"name": STRING}}},
            f"{PLACE}/requestBody/content/application~1json/schema",
            "an unnamed schema",
        ),
        (
            f"{OPERATION}/responses",
            {"202": {"description": "Later."}},
            f"{PLACE}/responses",
            "must have one success, has 2",
        ),
        (
            f"{OPERATION}/responses",
            {"default": {"description": "Else."}},
            f"{PLACE}/responses/default",
            "only single 2xx, 4xx and 5xx",
        ),
        (
            f"{OPERATION}/responses",
            {"404": {"description": "No box."}},
            f"{PLACE}/responses/404",
            "must have content",
        ),
        (
            "components/schemas/Problem/properties/status",
            {"default": 500},
            f"{PLACE}/responses/400",
            "has the default 500",
        ),
        (
            f"{OPERATION}/responses",
            {"409": MINIMAL["paths"]["/boxes/{boxId}/things"]["post"]["responses"]["400"]},
            f"{PLACE}/responses/409",
            "is the error of another status already",
        ),
        (
            f"{THING}/properties",
            {"trouble": {"$ref": "#/components/schemas/Problem"}},
            f"#/{THING}/properties/trouble",
            "can't be the type of a field",
        ),
        (
            "components/schemas/Problem/properties",
            {"of": {"type": "array", "description": "It.", "items": {"type": "array"}}},
            "#/components/schemas/Problem/properties/of/items",
            "`items` is missing",
        ),
        (
            "components/schemas/Problem/properties",
            {"of": {"type": "object", "description": "It."}},
            "#/components/schemas/Problem/properties/of",
            "an object needs properties",
        ),
        (OPERATION, {"deprecated": True}, PLACE, "`deprecated` is not supported"),
        (OPERATION, {"security": []}, f"{PLACE}/security", "needs the client's key"),
        (OPERATION, {"operationId": "close"}, PLACE, "gen.yaml must list close"),
        (
            "components/securitySchemes/token",
            {"scheme": "basic"},
            "#/components/securitySchemes/token",
            "only a bearer token",
        ),
        ("x-langcache-retries", {"jitter": 1}, "#/x-langcache-retries", "`jitter` is not"),
        ("", {"webhooks": {}}, "#", "`webhooks` is not supported"),
        ("", {"servers": []}, "#/servers", "must have one server"),
    ],
)
def test_what_is_not_supported_is_refused_by_place(
    tmp_path, generate, capsys, place, change, expected_place, reason
):
    document = deepcopy(MINIMAL)
    at(document, place).update(change)
    assert run(generate, tmp_path, document) == 2
    message = capsys.readouterr().err
    found, _, _ = message.partition(": ")
    assert found.endswith(expected_place)
    assert reason in message
    assert not (tmp_path / "sdk.py").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"operations": []}, "gen.yaml must list addThing"),
        ({"without_method": {"lost": "It is gone."}}, "no operation lost"),
        ({"aliases": {"Sort": "Sorts"}}, "Sorts is no enum and no error"),
        ({"aliases": {"Problem": "Kind"}}, "Problem is a name of the contract"),
        ({"global": {"parameter": "id", "environment": "ID"}}, "must be id, as in gen.yaml"),
        ({"colour": "blue"}, "gen.yaml#/colour"),
        ({"operations": [{"id": "addThing", "models": "x"}]}, "gen.yaml#/operations/0/models"),
    ],
)
def test_settings_that_do_not_fit_the_contract_are_refused(
    tmp_path, generate, capsys, change, message
):
    assert run(generate, tmp_path, MINIMAL, {**MINIMAL_SETTINGS, **change}) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "openapi.yaml, line 2: the key 'a' is there twice"),
        ("a:\n  200: x\n", "openapi.yaml, line 2: the key 200 must be a string"),
        ("- a\n", "openapi.yaml: must be a mapping"),
        ("a: [\n", "openapi.yaml: not YAML"),
    ],
)
def test_yaml_that_is_not_json_is_refused_by_line(tmp_path, generate, capsys, text, message):
    (tmp_path / "gen.yaml").write_text(json.dumps(MINIMAL_SETTINGS))
    (tmp_path / "openapi.yaml").write_text(text)
    assert generate("--root", tmp_path) == 2
    assert message in capsys.readouterr().err
