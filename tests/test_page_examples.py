"""The examples on the pages work as shown."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest
from page_examples import examples, run_examples

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
INTEGRATIONS = ROOT / "docs" / "integrations"
# Why the code on a page of an integration is not run here.
NOT_RUN_HERE = {
    "answer-cache.md": "it uses names that stand for the reader's own",
    "langchain.md": "LangChain is not installed",
    "langgraph.md": "LangGraph is not installed",
    "litellm.md": "LiteLLM is not installed",
    "llama-index.md": "tests/integrations/with_llama_index runs it",
    "openai-agents.md": "tests/integrations/with_agent_frameworks runs it",
    "proxy.md": "it names a server with a proxy",
    "pydantic-ai.md": "tests/integrations/with_agent_frameworks runs it",
}
# Needs two frameworks; tests/integrations/with_agent_frameworks has the same.
SKIPPED = ["OpenAIChatModel("]
PAGES = [
    page
    for pattern in ("*.md", "docs/*.md", "docs/sdks/**/*.md", "*/README.md", "models/*/README.md")
    for page in sorted(ROOT.glob(pattern))
    if any(examples(page)) and page.name != "migrating-from-gptcache.md"  # below
] + [page for page in sorted(INTEGRATIONS.glob("*.md")) if page.name not in NOT_RUN_HERE]
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_example_runs_and_prints_what_the_page_says(
    page, tmp_path, monkeypatch, server, upstream
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", upstream.openai_url)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", upstream.anthropic_url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")
    replaced = dict.fromkeys(ADDRESSES, repr(server.url))
    replaced[ENTRY_ID] = hashlib.md5(b"What is Redis?").hexdigest()

    def prepare():
        server.seed([{"prompt": "What is Redis?", "response": "A database."}], "<id>")

    assert run_examples(page, replaced, prepare, SKIPPED) > 0


def test_every_page_that_is_not_run_here_exists():
    assert NOT_RUN_HERE.keys() <= {page.name for page in INTEGRATIONS.glob("*.md")}


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
    result = pytester.runpytest_subprocess("-q")
    result.assert_outcomes(passed=sum(block.count("def test_") for block in blocks))
