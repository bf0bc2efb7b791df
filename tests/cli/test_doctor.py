"""`langcache doctor`: what is installed, and whether it works."""

import json
import platform
from importlib.metadata import PackageNotFoundError, version

import pytest
from langcache_mockserver import MockServer
from redis_servers import (  # noqa: F401 - fixtures
    free_port,
    redis_url,
    start_redis,
)
from typer.testing import CliRunner

import langcache
from langcache.cli.app import create_app
from langcache.engine import EmbedderError, MiniLMEmbedder

SECRET = "s3cret-value"


@pytest.fixture
def run(monkeypatch):
    monkeypatch.delenv("LANGCACHE_SERVER_URL", raising=False)

    def run(*arguments, **environment):
        return CliRunner().invoke(create_app(), ["doctor", *arguments], env=environment)

    return run


@pytest.fixture
def report(run):
    def report(*arguments, status=0, **environment):
        result = run("--json", *arguments, **environment)
        assert result.exit_code == status, result.output
        assert SECRET not in result.output
        report = json.loads(result.stdout)
        assert report["ok"] == (status == 0)
        return report

    return report


@pytest.fixture(scope="session")
def server():
    with MockServer(embedder=MiniLMEmbedder()) as running:
        yield running


def test_versions_of_python_and_packages(report):
    found = report()
    assert found["system"]["python"] == platform.python_version()
    assert found["packages"]["langcache"] == langcache.__version__
    assert found["packages"]["numpy"] == version("numpy")
    assert found["packages"]["sentence-transformers"] is None


def test_extras_name_the_packages_they_lack(report):
    extras = report()["extras"]
    assert extras["cli"] == extras["engine"] == "installed"
    assert "litellm" in extras["litellm"]
    assert extras["litellm"].startswith("missing: ")


def test_the_default_embedding_model(report):
    assert report()["embedding_model"] == {
        "model": "all-MiniLM-L6-v2-int8-static",
        "dimensions": 384,
    }


def test_an_embedding_model_that_cannot_be_loaded_is_a_problem(report, monkeypatch):
    def fail(*_):
        raise EmbedderError(SECRET)

    monkeypatch.setattr("langcache.engine.create_embedder", fail)
    found = report(status=1)
    assert found["problems"] == {"embedding_model": "cannot be loaded: EmbedderError"}
    assert "embedding_model" not in found


def test_an_engine_that_is_not_installed_is_no_problem(report, monkeypatch):
    def not_installed(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("langcache.cli.doctor.version", not_installed)
    found = report()
    assert found["packages"]["numpy"] is None
    assert found["embedding_model"] == {"model": None}


def test_variables_are_set_or_not_and_their_values_are_not_shown(report, run):
    variables = {"LANGCACHE_API_KEY": SECRET, "LANGCACHE_OTHER": SECRET, "LANGCACHE_CACHE_ID": None}
    found = report(**variables)
    assert found["environment"]["LANGCACHE_API_KEY"] is True
    assert found["environment"]["LANGCACHE_OTHER"] is True
    assert found["environment"]["LANGCACHE_CACHE_ID"] is False
    assert SECRET not in run(**variables).output


def test_a_server_that_answers(report, server):
    assert report("--server-url", server.url)["server"] == {"health": 200}
    assert report(LANGCACHE_SERVER_URL=f"{server.url}/")["server"] == {"health": 200}


def test_a_server_that_does_not_answer_is_a_problem(report, free_port):  # noqa: F811
    url = f"http://user:{SECRET}@127.0.0.1:{free_port}"
    found = report(status=1, LANGCACHE_SERVER_URL=url)
    assert found["problems"] == {"server": "cannot be reached: Connection refused"}


def test_a_server_with_another_status_is_a_problem(report, server):
    found = report("--server-url", f"{server.url}/nothing", status=1)
    assert found["problems"] == {"server": "GET /health must return 200, got 404"}


@pytest.mark.parametrize("url", ["nothing", f"http://{SECRET}:x/", f"ftp://{SECRET}"])
def test_a_server_url_that_is_no_url_is_a_problem(report, url):
    assert "server" in report("--server-url", url, status=1)["problems"]


def test_a_redis_that_answers(report, redis_url):  # noqa: F811
    storage = report("--storage", redis_url)["storage"]
    assert storage.keys() == {"version", "query_engine"}
    assert storage["version"][0].isdigit()
    assert isinstance(storage["query_engine"], bool)


def test_a_redis_without_a_query_engine(report, start_redis):  # noqa: F811
    server = start_redis()
    assert report("--storage", server.url)["storage"]["query_engine"] is False


def test_a_redis_that_does_not_answer_is_a_problem(report, free_port):  # noqa: F811
    found = report("--storage", f"redis://:{SECRET}@127.0.0.1:{free_port}", status=1)
    assert found["problems"] == {"storage": "cannot be used: ConnectionError"}


def test_a_redis_url_that_is_malformed_is_a_problem(report):
    found = report("--storage", f"redis://:{SECRET}/x@host", status=1)
    assert found["problems"] == {"storage": "must be a well-formed Redis URL"}


def test_another_storage_is_refused_without_repeating_it(run):
    result = run("--storage", f"postgres://:{SECRET}@host")
    assert result.exit_code == 2
    assert "redis://" in result.stderr
    assert SECRET not in result.output


def test_the_text_says_what_the_json_says(run, free_port):  # noqa: F811
    result = run("--server-url", f"http://127.0.0.1:{free_port}", LANGCACHE_API_KEY=SECRET)
    assert result.exit_code == 1
    lines = [line.split() for line in result.output.splitlines()]
    assert ["numpy", version("numpy")] in lines
    assert ["sentence-transformers", "not", "installed"] in lines
    assert ["LANGCACHE_API_KEY", "set"] in lines
    assert ["server", "cannot", "be", "reached:", "Connection", "refused"] in lines


def test_the_verifier_and_the_version_of_the_server_are_shown(report, server):
    found = report("--server-url", server.url)
    assert found["console"] == {"version": version("langcache-mockserver")}
    assert found["verifier"]["verifier"] == "auto"
    assert found["hints"] == []


def test_common_traps_are_named(report, server, start_redis):  # noqa: F811
    redis_server = start_redis("--maxmemory", "100mb")
    proxy = {"HTTP_PROXY": "http://127.0.0.1:1"}
    found = report("--server-url", server.url, status=1, NO_PROXY="", **proxy)
    assert found["hints"] == [
        "a proxy is set (HTTP_PROXY or ALL_PROXY), and requests to this machine go through it: set"
        " NO_PROXY=localhost,127.0.0.1"
    ]
    where = ["--server-url", server.url, "--storage", redis_server.url]
    found = report(*where, NO_PROXY="127.0.0.1", **proxy)
    assert found["storage_memory"] == {"limit": 100 << 20, "eviction": "noeviction"}
    assert [hint.split(":")[0] for hint in found["hints"]] == [
        "Redis refuses to store once its memory is full",
        "this Redis has no query engine",
    ]
    found = report("--server-url", f"{server.url}/v1", status=1)
    assert found["hints"][0].startswith("the server URL ends with the API's own path")
