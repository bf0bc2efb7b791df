"""The example and the code on the page run offline, and do what they promise."""

import runpy
from pathlib import Path

from page_examples import run_examples

PAGE = Path(__file__).parents[3] / "docs" / "integrations" / "llama-index.md"
EXAMPLE = Path(__file__).parents[3] / "examples" / "llama_index_app.py"


def test_the_example(capsys):
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    sources = [line.partition("|")[0].strip() for line in lines if "|" in line]
    assert sources == ["model", "similar", "model", "model", "stream", "replay"]
    assert lines[-1].startswith("4 calls of the model")


def test_the_code_on_the_page(upstream, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_BASE", upstream.openai_url)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    assert run_examples(PAGE) > 1
    assert upstream.count == 1
