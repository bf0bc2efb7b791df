"""Tests that run in an environment of their own, with libraries that the others do not have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Editable, so that uv makes the environment once: it has what the tree has at the time of a run.
PROJECTS = [
    *("--with-editable", str(ROOT / "models" / "minilm")),
    *("--with-editable", str(ROOT / "models" / "minilm_pair")),
    *("--with-editable", str(ROOT / "mockserver")),
]

needs_uv = pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on the PATH")


def run_tests(folder, requirements, extras, directory, *options, **variables):
    """Install releases from the package registry and run the tests of a folder with them.

    Args:
        folder: The folder. Its tests use no conftest.py of the folders above.
        requirements: What the environment contains besides this project.
        extras: The extras of this project that it contains.
        directory: An empty directory, in which the tests run.
        options: Further arguments of pytest.
        variables: Variables of the tests' environment.
    """
    (directory / "pytest.ini").write_text("[pytest]\n")
    command = [
        *("uv", "run", "--quiet", "--isolated", "--no-project", "--python", sys.executable),
        *(part for requirement in requirements for part in ("--with", requirement)),
        *("--with-editable", f"{ROOT}[{extras}]", *PROJECTS),
        *("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"),
        *("-W", "error:::langcache", "-c", str(directory / "pytest.ini")),
        *("--rootdir", str(directory), "--confcutdir", str(folder)),
        *("-o", f"pythonpath={ROOT / 'tests' / 'support'}", *options, str(folder)),
    ]
    tests = subprocess.run(
        command,
        check=False,
        cwd=directory,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert " passed" in tests.stdout
    assert " skipped" not in tests.stdout
