"""What docs/tuning.md shows is what happens."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from page_examples import examples
from typer.testing import CliRunner

from langcache.cli.app import create_app
from langcache.engine.tuning.binomial import hits_needed

PAGE = Path(__file__).parents[3] / "docs/tuning.md"


def test_every_command_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.csv").write_text("prompt1,prompt2,same\na cat,a cat,1\n")
    (tmp_path / "recorded.jsonl").write_text('{"similarity": 0.9, "label": "right"}\n' * 400)
    commands = [command.code for command in examples(PAGE, "console")]
    assert len(commands) == 2
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "langcache"
        result = CliRunner().invoke(create_app(), arguments)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "report.html").exists()


def test_the_table_of_hits_is_what_the_test_needs():
    rows = re.findall(r"^\| (\d+) % \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == 4
    for percent, cells in rows:
        needed = [hits_needed(wrong, int(percent) / 100) for wrong in (0, 1, 5, 10)]
        assert [int(cell.replace(",", "")) for cell in cells.split(" | ")] == needed
