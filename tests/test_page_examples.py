"""The examples on the pages work as shown."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest
from answer_caches import PATIENT
from page_examples import examples, run_examples
from proxies import proxy_of
from pytest_projects import WITHOUT_OTHERS

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
INTEGRATIONS = ROOT / "docs" / "integrations"
# The pages whose code needs a library that is not installed here, and the tests that run it.
RUN_ELSEWHERE = {
    "langchain.md": "with_langchain/test_langchain_example.py",
    "langgraph.md": "with_langchain/test_langchain_example.py",
    "litellm.md": "with_litellm/test_litellm_example.py",
    "llama-index.md": "with_llama_index/test_llama_index_example.py",
    "openai-agents.md": "with_agent_frameworks/test_agent_examples.py",
    "pydantic-ai.md": "with_agent_frameworks/test_agent_examples.py",
}
RUN_BELOW = {"answer-cache.md", "migrating-from-gptcache.md", "proxy.md"}
# Needs two frameworks; tests/integrations/with_agent_frameworks has the same.
SKIPPED = ["OpenAIChatModel("]
PAGES = [
    page
    for pattern in ("*.md", "docs/*.md", "docs/sdks/**/*.md", "*/README.md", "models/*/README.md")
    for page in sorted(ROOT.glob(pattern))
    if any(examples(page))
]
PAGES += sorted(INTEGRATIONS.glob("*.md"))
PAGES = [page for page in PAGES if page.name not in {*RUN_BELOW, *RUN_ELSEWHERE}]
ADDRESSES = (
    '"http://127.0.0.1:8080"',
    '"https://api.example.com"',
)

ENTRY_ID = "5a9f1f1bd5d0d6c1d3f1d2f0c7b7a4a3"
"""The id of an entry in the examples of the contract."""


def write_gptcache_file(folder):
    """Write what GPTCache 0.1.44 keeps of two questions, one of them deleted."""
    folder.mkdir()
    connection = sqlite3.connect(folder / "sqlite.db")
    connection.executescript("""
        CREATE TABLE gptcache_question (id INTEGER PRIMARY KEY, question VARCHAR(3000) NOT NULL,
            create_on DATETIME, last_access DATETIME, embedding_data BLOB, deleted INTEGER);
        CREATE TABLE gptcache_answer (id INTEGER PRIMARY KEY, question_id INTEGER NOT NULL,
            answer VARCHAR(3000) NOT NULL, answer_type INTEGER NOT NULL);
        INSERT INTO gptcache_question VALUES (1, 'What is Redis?', NULL, NULL, x'00', 0);
        INSERT INTO gptcache_question VALUES (2, 'Gone?', NULL, NULL, x'00', -1);
        INSERT INTO gptcache_answer VALUES (1, 1, 'A database.', 0), (2, 2, 'Yes.', 0);
    """)
    connection.close()


def test_entries_of_gptcache_are_exported_as_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_gptcache_file(tmp_path / "api_cache")
    assert run_examples(ROOT / "docs/migrating-from-gptcache.md") == 1
    expected = '{"prompt": "What is Redis?", "response": "A database."}\n'
    assert (tmp_path / "gptcache.jsonl").read_text() == expected


@pytest.fixture
def providers(upstream, monkeypatch):
    """Let the clients of OpenAI and Anthropic send their calls to an offline upstream."""
    monkeypatch.setenv("OPENAI_BASE_URL", upstream.openai_url)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", upstream.anthropic_url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")
    return upstream


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.usefixtures("providers")
def test_every_example_runs_and_prints_what_the_page_says(page, tmp_path, monkeypatch, server):
    monkeypatch.chdir(tmp_path)
    replaced = dict.fromkeys(ADDRESSES, repr(server.url))
    replaced[ENTRY_ID] = hashlib.md5(b"What is Redis?").hexdigest()

    def prepare():
        server.seed([{"prompt": "What is Redis?", "response": "A database."}], "<id>")

    assert run_examples(page, replaced, prepare, SKIPPED) > 0


def test_the_examples_of_the_answer_cache_run(tmp_path, monkeypatch, providers):
    monkeypatch.chdir(tmp_path)
    asked = []

    async def ask_a_model(question):
        asked.append(question)

    stand_ins = {
        "ask_a_model": ask_a_model,
        "rewrite_with_a_small_model": lambda _turns, text: text,
    }
    assert run_examples(INTEGRATIONS / "answer-cache.md", PATIENT, stand_ins=stand_ins) > 1
    assert asked == ["How do I reset my password?"]
    assert providers.count == 3  # for a tenant, for nobody, and around the cache


def test_the_examples_of_the_proxy_print_what_the_page_says(providers):
    with proxy_of(providers) as url:
        assert run_examples(INTEGRATIONS / "proxy.md", {"http://127.0.0.1:8080": url}) > 1
    assert providers.count == 1


def test_the_examples_that_are_run_elsewhere_are():
    for page, name in RUN_ELSEWHERE.items():
        assert (INTEGRATIONS / page).exists()
        assert page in (ROOT / "tests" / "integrations" / name).read_text(encoding="utf-8")


def test_pages_of_all_parts_have_examples():
    names = {str(page.relative_to(ROOT)) for page in PAGES}
    assert names >= {
        "README.md",
        "docs/engine.md",
        "docs/right-hits.md",
        "docs/sdks/langcache/README.md",
        "docs/tuning.md",
        "mockserver/README.md",
    }


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "mockserver/README.md"])
def test_the_tests_on_the_page_pass(page, pytester):
    blocks = [code for code, *_ in examples(page) if code.startswith("def test_")]
    assert blocks
    pytester.makepyfile("\n\n".join(blocks))
    result = pytester.runpytest_subprocess("-q", *WITHOUT_OTHERS)
    result.assert_outcomes(passed=sum(block.count("def test_") for block in blocks))
