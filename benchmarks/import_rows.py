"""`langcache import` into a server, beside embedding the same prompts and nothing else.

    uv run benchmarks/import_rows.py [ROWS] [ROUNDS]
    uv run benchmarks/import_rows.py --searches [ROWS]

The floor embeds the prompts in one process, in as many threads as the server has, 500 in a call,
with the server's embedder. Both in turn; the ratios are the median of those within a round. Wall
time has the start of the command in it. CPU time is that of the command and of the server, which
has started before.

With `--searches`, one client searches meanwhile, in turn for a prompt that the server remembers and
for one that it must embed.
"""

import csv
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import httpx
from _sdk import print_table
from langcache_mockserver.domain.worker_threads import WORKERS

from langcache.engine import MiniLMEmbedder

TOGETHER = 500
# httpcore imports trio where it is installed, which it is for the tests only: 0.09 s.
COMMAND = "import sys; sys.modules['trio'] = None; from langcache.cli import main; main()"
LANGCACHE = [sys.executable, "-c", COMMAND]
WORDS = (  # noqa: SIM905 - a list of words is longer
    "account answer app balance battery button cache card change charge code contract day "
    "delete device email error export file find help invoice key language limit login message "
    "model name number open order page password pay phone plan price profile question refund "
    "report reset screen send server setting ship size start status store team time token "
    "update upload user version week word work"
).split()
STARTS = ("How do I", "Why does the", "What is the", "Can I", "Where do I find", "When will")


def prompts_of(count: int) -> list[str]:
    """Return different questions of 6 to 22 words, or so many tokens."""
    rng = random.Random(7)
    found: dict[str, None] = {}
    while len(found) < count:
        words = " ".join(rng.choices(WORDS, k=rng.randint(3, 19)))
        found[f"{rng.choice(STARTS)} {words}?"] = None
    return list(found)


def embedding(prompts: list[str]) -> tuple[float, float]:
    """Embed prompts; return wall and CPU seconds."""
    embedder = MiniLMEmbedder()
    parts = [prompts[start : start + TOGETHER] for start in range(0, len(prompts), TOGETHER)]
    with ThreadPoolExecutor(WORKERS) as pool:
        pool.submit(embedder.embed, ["one"]).result()
        started, cpu = time.perf_counter(), time.process_time()
        list(pool.map(embedder.embed, parts))
        return time.perf_counter() - started, time.process_time() - cpu


def run(command: list[str]) -> None:
    """Run a command as one that is installed: its modules are compiled."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(
        command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving() -> Iterator[tuple[int, str]]:
    """Run a server; gives its process id and URL."""
    command = [sys.executable, "-m", "langcache_mockserver", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.pid, server.stdout.readline().split()[-1]
        finally:
            server.kill()


def run_import(file: Path, url: str) -> None:
    run([*LANGCACHE, "import", str(file), "--server-url", url, "--cache-id", "c", "--restart"])


def importing(file: Path) -> tuple[float, float, float]:
    """Import a file into a new server; return wall seconds, and CPU seconds of both."""
    with serving() as (pid, url):
        cpu, client = cpu_of(pid), resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        run_import(file, url)
        wall = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - client.ru_utime - client.ru_stime
        return wall, cpu_of(pid) - cpu, used


def searching(client: httpx.Client, enough: Callable[[int], bool]) -> list[list[float]]:
    """Search until it is enough; return milliseconds, of remembered and of new prompts."""
    taken: list[list[float]] = [[], []]
    count = 0
    while not enough(count):
        week = count if count % 2 else 0
        body = {"prompt": f"How do I reset the password of my account in week {week}?"}
        started = time.perf_counter()
        client.post("/v1/caches/c/entries/search", json=body).raise_for_status()
        taken[count % 2].append((time.perf_counter() - started) * 1000)
        count += 1
        time.sleep(0.01)
    return taken


def search_during_import(file: Path) -> None:
    with (
        serving() as (_, url),
        httpx.Client(base_url=url, headers={"authorization": "Bearer k"}) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        found = {"before": searching(client, lambda count: count == 200)}
        import_ = pool.submit(run_import, file, url)
        found["meanwhile"] = searching(client, lambda _: import_.done())
        import_.result()
    print("a search, ms, p50 / p95 / p99: prompt remembered; prompt embedded")
    for name, taken in found.items():
        cells = (
            " / ".join(f"{quantiles(each, n=100)[part - 1]:.1f}" for part in (50, 95, 99))
            for each in taken
        )
        print(f"{name:<10} {'; '.join(cells)} ({sum(map(len, taken))} searches)")


def main() -> None:
    searches = "--searches" in sys.argv
    numbers = [int(argument) for argument in sys.argv[1:] if argument != "--searches"]
    rows = numbers[0] if numbers else 10_000
    rounds = numbers[1] if len(numbers) > 1 else 3
    prompts = prompts_of(rows)
    taken: list[tuple[float, ...]] = []
    run([*LANGCACHE, "import", "--help"])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        with file.open("w", newline="") as output:
            rows_of = ([prompt, f"The response to: {prompt}"] for prompt in prompts)
            csv.writer(output).writerows([["prompt", "response"], *rows_of])
        if searches:
            search_during_import(file)
            return
        for _ in range(rounds):
            floor_wall, floor_cpu = embedding(prompts)
            wall, server, client = importing(file)
            ratios = (wall / floor_wall, (server + client) / floor_cpu)
            taken.append((floor_wall, floor_cpu, wall, server + client, client, *ratios))
    floor_wall, floor_cpu, wall, cpu, client, walls, cpus = map(median, zip(*taken, strict=True))
    print(f"{rows:,} rows, {WORKERS} threads\n")
    print_table(
        ["seconds", "wall", "x embedding", "CPU", "x embedding", "CPU of the command"],
        [
            ["embedding alone", f"{floor_wall:.1f}", "1.00", f"{floor_cpu:.1f}", "1.00", ""],
            ["import", f"{wall:.1f}", f"{walls:.2f}", f"{cpu:.1f}", f"{cpus:.2f}", f"{client:.1f}"],
        ],
    )


if __name__ == "__main__":
    main()
