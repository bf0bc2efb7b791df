"""The notebooks among the examples run from the first cell to the last."""

import json
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize(
    ("name", "prints"),
    [
        ("why_did_it_miss", ["hit:", "rejected:", "near_miss:", "miss:", "[] rejected"]),
        ("tune_thresholds", ["without a verifier: the lowest", "with a verifier: the lowest"]),
    ],
)
def test_a_notebook_runs(name, prints, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells)
    names = {}
    for number, cell in enumerate(cells):
        exec(compile("".join(cell["source"]), f"{name}, cell {number}", "exec"), names)
    output = capsys.readouterr().out
    assert [text for text in prints if text not in output] == []
