"""What docs/command.md shows is what happens."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

from typer.testing import CliRunner

from langcache.cli.app import create_app

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/command.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_example_does_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    blocks = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    compared = 0
    for (language, code), (following, expected) in zip(
        blocks, [*blocks[1:], ("", "")], strict=True
    ):
        if language == "console":
            program, *arguments = shlex.split(code)
            assert program == "langcache"
            result = CliRunner().invoke(create_app(), arguments)
            assert result.exit_code == (1 if arguments[0] == "search" else 0), result.output
            printed = result.stdout
        elif language == "python":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(code, str(PAGE), "exec"), {})
            printed = output.getvalue()
        else:
            continue
        if following == "text":
            compared += 1
            assert [line.split() for line in printed.splitlines()] == [
                line.split() for line in expected.splitlines()
            ]
    assert compared == 2
    assert (tmp_path / "backup.jsonl").exists()


def test_the_table_has_every_command():
    table = re.search(r"## Commands\n(.*?)\n## ", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert table
    for command in create_app().registered_commands:
        assert f"`{command.name}" in table[1], command.name
