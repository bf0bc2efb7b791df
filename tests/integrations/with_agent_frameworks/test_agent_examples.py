"""The examples run offline and show what they promise."""

import runpy
from pathlib import Path

import pytest

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
