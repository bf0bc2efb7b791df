"""The example runs offline and shows what it promises."""

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "llama_index_app.py"


def test_the_example(capsys):
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    sources = [line.partition("|")[0].strip() for line in lines if "|" in line]
    assert sources == ["model", "similar", "model", "model", "stream", "replay"]
    assert lines[-1].startswith("4 calls of the model")
