"""Shared code of the SDK benchmarks: environments, the exchange with the service, and tables.

For each package to compare, a script runs itself again as a child process in a fresh virtual
environment that has only httpx, pydantic and that package. The child also measures the floor, and
prints its results as JSON.
"""

import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

OURS = "ours"
OFFICIAL = {"official 0.11.1": "langcache==0.11.1", "official 0.14.0": "langcache==0.14.0"}

API_KEY = "an-api-key-of-usual-length-0123456789"
CACHE_ID = "f8a9c1d2e3b4a5968778695a4b3c2d1e"
PROMPT = "How does semantic caching keep the cost of a language model down?"
RESPONSE = "It answers a question that means the same as an earlier one from the cache. " * 3

SET_ARGUMENTS: dict[str, Any] = {
    "prompt": PROMPT,
    "response": RESPONSE,
    "attributes": {"language": "en"},
}
SEARCH_ARGUMENTS: dict[str, Any] = {
    "prompt": PROMPT,
    "similarity_threshold": 0.9,
    "attributes": {"language": "en"},
}

SET_ANSWER = b'{"entryId":"5eb63bbbe01eeed093cb22bb8f5acdc3"}'
SEARCH_ANSWER = json.dumps(
    {
        "data": [
            {
                "id": "5eb63bbbe01eeed093cb22bb8f5acdc3",
                "prompt": "How does semantic caching lower the cost of a language model?",
                "response": RESPONSE,
                "attributes": {"language": "en"},
                "similarity": 0.97,
                "searchStrategy": "semantic",
            }
        ]
    }
).encode()


@contextmanager
def environments(*, extra: str = "") -> Iterator[dict[str, str]]:
    """Create a fresh environment for each package and yield its Python. Delete them at the end.

    Args:
        extra: An extra of our package to install, such as `[aiohttp]`.
    """
    requirements = {OURS: f"{ROOT}{extra}", **OFFICIAL}
    with tempfile.TemporaryDirectory() as directory:
        pythons: dict[str, str] = {}
        for name, requirement in requirements.items():
            home = Path(directory, name.replace(" ", "-"))
            pythons[name] = str(home / ("Scripts" if os.name == "nt" else "bin") / "python")
            _uv("venv", "--python", sys.executable, str(home))
            _uv(
                *("pip", "install", "--python", pythons[name], "--compile-bytecode"),
                *("--refresh-package", "langcache", requirement),
            )
        yield pythons


def _uv(*arguments: str) -> None:
    subprocess.run(["uv", "--quiet", *arguments], check=True, cwd=ROOT)


def child_environment() -> dict[str, str]:
    """The environment variables, without those that affect the packages."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LANGCACHE_", "PYTHON")) and not name.lower().endswith("_proxy")
    }


def run_child(python: str, script: str, *arguments: str) -> Any:
    """Run a script again as a child process and return its parsed output."""
    child = subprocess.run(
        [python, script, *arguments], check=True, env=child_environment(), stdout=subprocess.PIPE
    )
    return json.loads(child.stdout)


def machine(python: str) -> str:
    """Describe the machine and the packages of an environment in one line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = models[0].split(":")[1].strip() if models else model
    packages = subprocess.check_output(
        ["uv", "--quiet", "pip", "list", "--python", python, "--format", "json"]
    )
    return ", ".join(
        [
            f"{model}, {os.cpu_count()} cores",
            f"{platform.system()} {platform.release()}",
            f"Python {platform.python_version()}",
            *(f"{package['name']} {package['version']}" for package in json.loads(packages)),
        ]
    )


def median_ratio(values: Sequence[float], floors: Sequence[float]) -> float:
    """The median of the ratios of values and floors measured in the same round."""
    return median(value / floor for value, floor in zip(values, floors, strict=True))


def rounds(count: int, contenders: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Let the contenders take turns. Return the measurements of each contender, one per round.

    The first round is a warm-up and does not count. Garbage is collected before each turn, not
    during it.
    """
    measured: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(count + 1):
        for name, measure in contenders.items():
            gc.collect()
            gc.disable()
            value = measure()
            gc.enable()
            if number:
                measured[name].append(value)
    return measured


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table, with the first column left-aligned and the others right-aligned."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    print(line(header))
    print(f"|{'-' * (widths[0] + 2)}|{'|'.join('-' * (w + 1) + ':' for w in widths[1:])}|")
    for row in rows:
        print(line(row))
