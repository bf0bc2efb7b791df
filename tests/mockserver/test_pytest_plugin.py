import subprocess
import sys

import pytest

# What is first imported while pytester is at work is forgotten after it, and imported again later:
# then the C code of httptools raises errors of classes that uvicorn does not know any more.
import uvicorn.loops.auto
import uvicorn.protocols.http.auto  # noqa: F401
from langcache_mockserver import MockServer, SimilarityTable
from pytest_projects import WITHOUT_OTHERS

pytest_plugins = ["pytester"]

# Tests of a project, each of which leaves behind what the next one must not find.
PROJECT = """
import asyncio, time
import pytest
from langcache import errors

@pytest.mark.parametrize("round", [1, 2])
def test_nothing_leaks(
    langcache, langcache_faults, langcache_clock, langcache_journal, langcache_server, round
):
    assert len(langcache_faults) == len(langcache_journal) == 0
    assert abs(langcache_clock() - time.time()) < 60 and not langcache_clock.frozen
    assert not langcache_journal.bodies and langcache_server.recording.mode == "off"
    assert langcache.search(prompt="p").data == []
    langcache.set(prompt="p", response="r", ttl_millis=60_000)
    assert len(langcache.search(prompt="p").data) == 1
    langcache_journal.verify(1, operation="search", outcome="hit")
    langcache_clock.freeze()
    langcache_clock.advance(60)
    assert langcache.search(prompt="p").data == []
    langcache_journal.bodies = True
    langcache_server.recording.replay([])
    langcache_faults.add(status=503, retry_after=0)
    with pytest.raises(errors.APIError):
        langcache.search(prompt="p", retries=None)

def test_both_clients_have_one_cache(langcache, async_langcache, langcache_cache_id):
    langcache.set(prompt="p", response="r")
    async def search():
        return await async_langcache.search_async(prompt="p")
    for _ in range(2):
        assert asyncio.run(search()).data[0].response == "r"

def test_the_server_has_a_url(langcache_server, langcache_cache_id):
    from langcache import LangCache
    with LangCache(langcache_server.url, "test", langcache_cache_id) as client:
        assert client.search(prompt="p").data == []
"""


@pytest.fixture
def project(pytester, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    return pytester


def run(project, *options):
    done = project.runpytest_subprocess(*WITHOUT_OTHERS, *options)
    assert done.ret == 0, done.outlines
    return done


def test_fixtures_work_and_leak_nothing_from_test_to_test(project):
    project.makepyfile(PROJECT)
    run(project).assert_outcomes(passed=4)


def test_under_xdist_each_worker_has_a_server_of_its_own(project, tmp_path):
    log = tmp_path / "log"
    project.makepyfile(
        PROJECT
        + f"""
@pytest.mark.parametrize("number", [1, 2])
def test_where_it_ran(langcache_server, langcache_cache_id, worker_id, number):
    with open({str(log)!r}, "a") as file:
        file.write(f"{{worker_id}} {{langcache_server.url}} {{langcache_cache_id}}\\n")
"""
    )
    storage = f"sqlite:{tmp_path / 'file'}"
    # Every test in every worker.
    done = run(project, "-n", "2", "--dist", "each", "--langcache-storage", storage)
    done.assert_outcomes(passed=12)
    ran = [line.split() for line in log.read_text().splitlines()]
    workers = {worker: url for worker, url, _ in ran}
    assert len(set(workers.values())) == len(workers) == 2
    assert len({cache_id for _, _, cache_id in ran}) == 4


def test_strict_rules_and_ini_settings(project):
    project.makeini(
        "[pytest]\nfilterwarnings = error\nlangcache_strict = true\nlangcache_attributes = user\n"
    )
    project.makepyfile(
        PROJECT
        + """
def test_attributes(langcache):
    langcache.set(prompt="p", response="r", attributes={"user": "me"})
    assert len(langcache.search(prompt="p", attributes={"user": "me"}).data) == 1
    with pytest.raises(errors.BadRequestErrorResponseContent):
        langcache.set(prompt="p", response="r", attributes={"undeclared": "x"})

def test_the_cache_of_another_test_is_gone(langcache_server):
    with langcache_server.client() as http:
        admin = {"authorization": f"Bearer {langcache_server.admin_token}"}
        assert http.get("/control/v1/caches", headers=admin).json() == {"caches": []}
"""
    )
    run(project).assert_outcomes(passed=6)


def test_a_server_elsewhere(project, monkeypatch):
    monkeypatch.delenv("LANGCACHE_API_KEY", raising=False)
    project.makepyfile(
        """
        def test_client(langcache, langcache_server):
            langcache.set(prompt="p", response="r")
            assert langcache.search(prompt="p").data[0].response == "r"

        def test_clock(langcache_clock):
            raise AssertionError
        """
    )
    with MockServer(embedder=SimilarityTable({})) as server:
        run(project, "--langcache-url", server.url).assert_outcomes(passed=1, skipped=1)
        assert server.journal.count(operation="set") == 1
        assert server.dump()["caches"] == []


def test_a_project_that_does_not_use_it_pays_next_to_nothing(project):
    project.makepyfile(
        """
        import sys

        def test_modules():
            heavy = {"starlette", "numpy", "httpx", "uvicorn", "onnxruntime", "jsonschema_rs"}
            assert not heavy & set(sys.modules)
            assert not [name for name in sys.modules if name.startswith("langcache.")]
            assert "langcache_mockserver.pytest_plugin" in sys.modules
        """
    )
    run(project, "-pno:xdist").assert_outcomes(passed=1)


def test_it_can_be_switched_off(project):
    project.makepyfile("def test_fixture(langcache): ...")
    done = project.runpytest_subprocess("-pno:langcache", *WITHOUT_OTHERS)
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*fixture 'langcache' not found*"])


def test_every_public_name_is_there():
    import langcache_mockserver

    for name in langcache_mockserver.__all__:
        assert getattr(langcache_mockserver, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = langcache_mockserver.nothing


def test_it_is_imported_without_the_rest_of_the_package():
    code = (
        "import sys, pytest; before = set(sys.modules); import langcache_mockserver.pytest_plugin; "
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = [name for name in eval(done.stdout) if not name.startswith("_")]
    assert [name for name in loaded if name.startswith("langcache")] == [
        "langcache_mockserver",
        "langcache_mockserver.pytest_plugin",
    ]
    assert len(loaded) < 10
