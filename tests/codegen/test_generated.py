"""The generated code and pages, as a user sees them."""

import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import httpx
import pytest
import respx

import langcache
from langcache import LangCache, errors, models
from langcache.errors import ERRORS_BY_STATUS
from langcache.sdk import LangCacheWithRawResponse
from langcache.types import BaseModel, OpenStrEnum

ROOT = Path(__file__).parents[2]
CONTRACT = json.loads((ROOT / "mockserver/src/langcache_mockserver/openapi.json").read_text())
SCHEMAS = CONTRACT["components"]["schemas"]
METHODS = (
    "set",
    "search",
    "conversational_search",
    "delete_query",
    "delete_by_id",
    "flush",
    "health",
)
OPERATIONS = {
    operation["operationId"]: operation
    for path_item in CONTRACT["paths"].values()
    for method, operation in path_item.items()
    if method != "parameters"
}


@pytest.mark.parametrize("package", [models, errors])
def test_every_public_name_is_there_and_no_other(package):
    assert dir(package) == sorted(package.__all__)
    assert len(set(package.__all__)) == len(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        package.Nothing  # noqa: B018


def test_each_class_lives_in_the_module_of_its_name():
    for name in ("CacheEntry", "SearchStrategy", "BadRequestErrorType"):
        module = importlib.import_module(f"langcache.models.{name.lower()}")
        assert getattr(module, name) is getattr(models, name)


def test_a_client_imports_no_model_before_its_first_response():
    code = (
        "import langcache.sdk, sys; print(*(m for m in sys.modules if m.startswith('langcache')))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert "langcache.models" in loaded
    assert not [name for name in loaded if name.startswith("langcache.models.")]
    assert not [name for name in loaded if name.startswith("langcache.errors.")]


def test_older_names_are_the_same_classes():
    assert models.ResourceUnavailableErrorURI is models.FailedDependencyErrorType
    assert models.NotFoundErrorURI is models.NotFoundErrorType
    assert (
        errors.ResourceUnavailableErrorResponseContent
        is errors.FailedDependencyErrorResponseContent
    )
    assert (
        errors.ResourceUnavailableErrorResponseContentData
        is errors.FailedDependencyErrorResponseContentData
    )


@pytest.mark.parametrize("name", [name for name in SCHEMAS if "properties" in SCHEMAS[name]])
def test_a_model_reads_and_writes_the_examples_of_the_contract(name):
    model = getattr(models, name, None) or getattr(errors, f"{name}Data")
    assert issubclass(model, BaseModel)
    for example in SCHEMAS[name]["examples"]:
        value = model.model_validate(example)
        assert value.model_dump(by_alias=True, mode="json", exclude_unset=True) == example
        assert model(**value.model_dump()) == value


def test_optional_fields_may_be_left_out_and_required_ones_not():
    assert models.SetRequest(prompt="a", response="b").ttl_millis is None
    assert models.SetRequest.model_validate({"prompt": "a", "response": "b", "ttlMillis": 5}) == (
        models.SetRequest(prompt="a", response="b", ttl_millis=5)
    )
    with pytest.raises(ValueError, match="actualPrompt"):
        models.ConversationalSearchResponseContent.model_validate({"data": []})
    assert models.SetRequestTypedDict.__required_keys__ == {"prompt", "response"}
    assert models.SetRequestTypedDict.__optional_keys__ == {"attributes", "ttl_millis"}


@pytest.mark.parametrize("name", [name for name in SCHEMAS if "enum" in SCHEMAS[name]])
def test_an_enum_has_the_values_of_the_contract_and_is_open(name):
    enum = getattr(models, name)
    assert issubclass(enum, OpenStrEnum)
    assert [member.value for member in enum] == SCHEMAS[name]["enum"]
    assert enum("something newer") == "something newer"


def test_every_status_of_the_contract_has_an_error_with_that_default():
    statuses = {
        int(status)
        for operation in OPERATIONS.values()
        for status in operation["responses"]
        if int(status) >= 400
    }
    # 503 is a health report.
    assert set(ERRORS_BY_STATUS) == statuses - {503}
    assert len(ERRORS_BY_STATUS) == len(set(ERRORS_BY_STATUS.values()))
    for status, error in ERRORS_BY_STATUS.items():
        assert error.data_type.model_fields["status"].default == status
        assert error.__name__ in errors.__doc__
    assert 418 not in ERRORS_BY_STATUS


@pytest.mark.parametrize("owner", [LangCache, LangCacheWithRawResponse])
@pytest.mark.parametrize("name", METHODS)
def test_twins_have_the_same_arguments_whose_types_are_known_at_run_time(owner, name):
    method, twin = getattr(owner, name), getattr(owner, f"{name}_async")
    assert inspect.signature(method) == inspect.signature(twin)
    assert inspect.iscoroutinefunction(twin)
    assert get_type_hints(method) == get_type_hints(twin)
    parameters = list(inspect.signature(method).parameters.values())[1:]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters)
    assert [parameter.name for parameter in parameters][-4:] == [
        "retries",
        "server_url",
        "timeout_ms",
        "http_headers",
    ]


@pytest.mark.parametrize("name", METHODS)
def test_a_docstring_names_every_argument_and_error(name):
    operation_id = re.sub("_(.)", lambda match: match[1].upper(), name)
    for method in (getattr(LangCache, name), getattr(LangCache, f"{name}_async")):
        for parameter in list(inspect.signature(method).parameters)[1:]:
            assert f"\n    {parameter}: " in inspect.getdoc(method)
        for status in OPERATIONS[operation_id]["responses"]:
            if int(status) >= 400:
                assert f"{ERRORS_BY_STATUS[int(status)].__name__}: Status {status}." in " ".join(
                    method.__doc__.split()
                )


def examples():
    text = (ROOT / "docs/sdks/langcache/README.md").read_text()
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def test_there_is_a_sync_and_an_async_example_for_each_method():
    calls = [re.search(r"lang_cache\.(\w+)\(", example)[1] for example in examples()]
    assert sorted(calls) == sorted([*METHODS, *(f"{name}_async" for name in METHODS)])


@pytest.mark.parametrize("example", examples())
def test_an_example_of_the_documents_runs(example, capsys):
    name = re.search(r"lang_cache\.(\w+)\(", example)[1].removesuffix("_async")
    operation = OPERATIONS[re.sub("_(.)", lambda match: match[1].upper(), name)]
    ((status, response),) = (
        (status, response)
        for status, response in operation["responses"].items()
        if status.startswith("2")
    )
    body = None
    if "content" in response:
        schema = response["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        body = SCHEMAS[schema]["examples"][0]
    with respx.mock(base_url="https://api.example.com") as mock:
        mock.route().mock(return_value=httpx.Response(int(status), json=body))
        exec(compile(example, name, "exec"), {"__name__": "__main__"})
        request = mock.calls.last.request
    assert request.headers["authorization"] == "Bearer <LANGCACHE_API_KEY>"
    assert request.url.raw_path.startswith(b"/v1/caches/%3Cid%3E")
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        assert json.loads(request.content) == SCHEMAS[schema.rsplit("/", 1)[1]]["examples"][0]
    assert bool(capsys.readouterr().out) == (body is not None)


def test_every_link_between_the_documents_leads_to_a_page():
    pages = [
        page
        for name in ("sdks", "models", "errors")
        for page in (ROOT / "docs" / name).rglob("*.md")
    ]
    links = [
        (page, link) for page in pages for link in re.findall(r"\]\(([^)#]+)\)", page.read_text())
    ]
    assert len(links) > 50
    for page, link in links:
        assert (page.parent / link).is_file(), f"{page}: {link}"


def test_the_version_of_the_contract_is_that_of_the_package():
    assert CONTRACT["info"]["version"] == langcache.__version__
