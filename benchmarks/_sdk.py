"""What the SDK benchmarks share: environments, the exchange with the service, and tables.

The scripts run themselves again as a child in a fresh virtual environment for each package that is
compared. A child has httpx, pydantic and that package only, measures the floor beside it, and
prints its numbers as JSON.
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
    """The Python of a fresh environment for each package, deleted at the end.

    Args:
        extra: An extra of ours to install, such as ``[aiohttp]``.
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
    """The environment variables, without those that change what the packages do."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LANGCACHE_", "PYTHON")) and not name.lower().endswith("_proxy")
    }


def run_child(python: str, script: str, *arguments: str) -> Any:
    """Run a script again as a child; gives what it printed, parsed."""
    child = subprocess.run(
        [python, script, *arguments], check=True, env=child_environment(), stdout=subprocess.PIPE
    )
    return json.loads(child.stdout)


def machine(python: str) -> str:
    """One line on what this runs on, with the packages of an environment."""
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
    """The median of the ratios of values and floors that were measured in the same round."""
    return median(value / floor for value, floor in zip(values, floors, strict=True))


def rounds(count: int, contenders: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Let contenders take turns; gives what each of them measured in each round.

    A first round warms up and does not count. Garbage is collected before each turn, not in it.
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
    """Print a Markdown table: the first column to the left, the others to the right."""
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
