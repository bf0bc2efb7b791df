"""This package has all public names of the official package.

The lists of names were made by introspecting the installed official packages: public names,
parameters (name, kind, whether optional), fields (name in JSON, whether required), members of
enums.
"""

import importlib
import inspect
import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent

OPTIONAL_HERE = {("__init__", "server_url")}  # an environment variable may say it

# Not included; docs/migrating.md says why.
OMITTED = {
    "langcache.types": {
        "Base64EncodedString",
        "Base64FileInput",
        "UNSET_SENTINEL",
        "UnrecognizedInt",
    }
}

# The two versions have different values for these members. The newer value applies.
RENAMED_MEMBERS = {
    ("NotFoundErrorURI", "ROOT_ERRORS_RESOURCE_NOT_FOUND"): "ROOT_ERRORS_RESOURCE_NOT_FOUND_OLD",
    (
        "ResourceUnavailableErrorURI",
        "ROOT_ERRORS_DATABASE_OUT_OF_MEMORY",
    ): "ROOT_ERRORS_DATABASE_OUT_OF_MEMORY_OLD",
}


@pytest.fixture(params=["0.11.1", "0.14.0"])
def official(request):
    return json.loads((HERE / f"official-{request.param}.json").read_text())


def resolve(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def parameters(function):
    return [
        [p.name, p.kind.name, p.default is not p.empty]
        for p in inspect.signature(function).parameters.values()
        if p.name != "self"
    ]


def test_every_name_is_there_and_exported(official):
    for module_name, names in official["names"].items():
        module = importlib.import_module(module_name)
        wanted = set(names) - OMITTED.get(module_name, set())
        assert wanted <= set(module.__all__), module_name
        for name in wanted:
            assert getattr(module, name) is not None


def test_omitted_names_are_really_absent():
    for module_name, names in OMITTED.items():
        assert not names & set(dir(importlib.import_module(module_name)))


def test_every_method_takes_the_same_arguments(official):
    client = resolve("langcache.LangCache")
    for name, wanted in official["methods"].items():
        ours = parameters(getattr(client, name))
        by_name = {p[0]: p for p in ours}
        for parameter in wanted:
            expected = [*parameter[:2], parameter[2] or (name, parameter[0]) in OPTIONAL_HERE]
            assert by_name[parameter[0]] == expected, (name, parameter)
        positional = [p[0] for p in wanted if p[1] != "KEYWORD_ONLY"]
        assert [p[0] for p in ours if p[1] != "KEYWORD_ONLY"][: len(positional)] == positional
        extra = set(by_name) - {p[0] for p in wanted}
        assert all(by_name[name][2] for name in extra), (name, extra)


def test_every_class_is_made_with_the_same_arguments(official):
    for path, wanted in official["signatures"].items():
        ours = parameters(resolve(path).__init__)
        if path == "langcache.errors.NoResponseError":
            ours = ours[:1]
        assert [p[0] for p in ours[: len(wanted)]] == [p[0] for p in wanted], path
        assert [p[2] for p in ours[: len(wanted)]] == [p[2] for p in wanted], path


def test_every_field_has_the_same_name_in_python_and_on_the_wire(official):
    for path, wanted in official["fields"].items():
        ours = {
            name: [field.alias, field.is_required()]
            for name, field in resolve(path).model_fields.items()
        }
        for name, facts in wanted.items():
            assert ours[name] == facts, (path, name)
        assert not [n for n in ours if n not in wanted and ours[n][1]], path


def test_every_typed_dict_has_the_same_keys(official):
    for path, wanted in official["typed_dicts"].items():
        assert set(wanted) <= set(resolve(path).__annotations__), path


def test_every_member_of_an_enum_is_there(official):
    for path, wanted in official["enums"].items():
        cls = resolve(path)
        for name, value in wanted.items():
            renamed = RENAMED_MEMBERS.get((path.rpartition(".")[2], name), name)
            assert cls[renamed].value == value, (path, name)


def test_the_two_names_of_424_are_one_class():
    assert resolve("langcache.errors.ResourceUnavailableErrorResponseContent") is resolve(
        "langcache.errors.FailedDependencyErrorResponseContent"
    )
    assert resolve("langcache.models.ResourceUnavailableErrorURI") is resolve(
        "langcache.models.FailedDependencyErrorType"
    )


def test_all_of_each_public_module_is_exact():
    for name in ("", ".errors", ".models", ".types", ".utils", ".httpclient", ".hooks"):
        module = importlib.import_module(f"langcache{name}")
        assert len(set(module.__all__)) == len(module.__all__)
        for exported in module.__all__:
            getattr(module, exported)
