"""The examples and the code on the pages run offline, and do what they promise."""

import runpy
from pathlib import Path

import pytest
from page_examples import run_examples

PAGES = Path(__file__).parents[3] / "docs" / "integrations"
EXAMPLES = Path(__file__).parents[3] / "examples"
ANSWERS = ["model", "similar", "model", "model"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("pydantic_ai_app.py", [*ANSWERS, "stream", "replay"]), ("openai_agents_app.py", ANSWERS)],
)
def test_an_example(name, expected, capsys):
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("|")[0].strip() for line in lines if "|" in line] == expected
    calls = sum(source in ("model", "stream") for source in expected)
    assert lines[-1].startswith(f"{calls} calls of the model")


@pytest.mark.parametrize("name", ["pydantic-ai.md", "openai-agents.md"])
def test_the_code_on_a_page(name, upstream, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", upstream.openai_url)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    assert run_examples(PAGES / name) > 1
    assert upstream.count == 1
