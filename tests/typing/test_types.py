"""The package is fully typed for type checkers."""

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_fault_16_a_program_that_uses_everything_is_typed_for_pyright():
    done = run("pyright", "--pythonpath", sys.executable, "--outputjson", str(HERE / "sample.py"))
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    assert report["generalDiagnostics"] == []


def test_fault_16_a_program_that_uses_everything_is_typed_for_mypy():
    done = run("mypy", "--strict", "--no-incremental", str(HERE / "sample.py"))
    assert done.returncode == 0, done.stdout


def test_a_wrong_use_is_seen():
    wrong = HERE / "wrong_use.py"
    done = run("mypy", "--strict", "--no-incremental", str(wrong))
    marked = [n for n, line in enumerate(wrong.read_text().splitlines(), 1) if "# wrong" in line]
    assert (
        sorted({int(n) for n in re.findall(r"wrong_use\.py:(\d+): error", done.stdout)}) == marked
    )
