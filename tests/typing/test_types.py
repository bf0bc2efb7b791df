"""The package is fully typed for type checkers."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.fixture(scope="module")
def errors_by_mypy():
    """The lines with errors that mypy finds in a file, by the file's name; it runs once for all."""
    files = [HERE / "sample.py", HERE / "wrong_use.py"]
    done = run("mypy", "--strict", "--no-incremental", *map(str, files))
    found = {file.name: set() for file in files}
    for line in done.stdout.splitlines():
        if match := re.match(r"(.+?):(\d+): error: ", line):
            found.setdefault(Path(match[1]).name, set()).add(int(match[2]))
    assert "(checked 2 source files)" in done.stdout, done.stdout + done.stderr
    return found


def test_fault_16_a_program_that_uses_everything_is_typed_for_mypy(errors_by_mypy):
    assert not errors_by_mypy.keys() - {"sample.py", "wrong_use.py"}
    assert errors_by_mypy["sample.py"] == set()


def test_a_wrong_use_is_seen(errors_by_mypy):
    lines = (HERE / "wrong_use.py").read_text().splitlines()
    marked = {number for number, line in enumerate(lines, 1) if "# wrong" in line}
    assert errors_by_mypy["wrong_use.py"] == marked != set()
