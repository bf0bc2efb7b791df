"""The server beside the peers that users know: Prism, and moto's emulator of DynamoDB.

    npm install --prefix DIR/prism @stoplight/prism-cli
    uv venv DIR/moto && uv pip install --python DIR/moto "moto[server]"
    uv run benchmarks/server_peers.py [--prism DIR/prism/node_modules/.bin/prism]
        [--moto DIR/moto/bin/moto_server] [--seconds S] [--rounds R]

Without the options, the commands are looked for on the PATH; a peer that isn't there is left out.
All are started as their commands start them, with no access log where that can be had: moto always
writes one, which goes to /dev/null.

What is comparable, and what is not: Prism gets the very requests that the server gets, checks them
against the same openapi.yaml, and answers with its examples: it stores and finds nothing. moto gets
the requests of another service, `PutItem` and `GetItem` with the prompt as the key, which store and
find by equality. It closes the connection after each answer, so it is compared on a new connection
for each request, as are then the floor and the server.

The floor is that of benchmarks/server.py. It is measured right before each load, and each ratio is
the median over the rounds of the ratio in one round. The prompts are few and known, so that the
server embeds none of them while it is measured. Needs Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import server_start
import uvloop
from _load import Load, content_length, http_request, run_load
from _sdk import print_table
from server import KNOWN, adding, resident_megabytes, searching, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

OPENAPI = Path(__file__).parent.parent / "openapi.yaml"
CONNECTIONS = (1, 16)
STARTS = 5
STALLED_SECONDS = 60  # after which a server that doesn't answer ends the run


def dynamodb(operation: str, **fields: object) -> bytes:
    """Return a request for a table of DynamoDB."""
    scope = "Credential=k/20260101/us-east-1/dynamodb/aws4_request"
    headers = {
        "authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": f"DynamoDB_20120810.{operation}",
    }
    return http_request("POST", "/", json.dumps({"TableName": "a", **fields}), headers)


CREATE_TABLE = dynamodb(
    "CreateTable",
    AttributeDefinitions=[{"AttributeName": "prompt", "AttributeType": "S"}],
    KeySchema=[{"AttributeName": "prompt", "KeyType": "HASH"}],
    BillingMode="PAY_PER_REQUEST",
)
PUT = [
    dynamodb("PutItem", Item={"prompt": {"S": prompt}, "response": {"S": "r" * 200}})
    for prompt in KNOWN
]
GET = [dynamodb("GetItem", Key={"prompt": {"S": prompt}}) for prompt in KNOWN]


@dataclass
class Contestant:
    """A server to measure.

    Attributes:
        serve: Runs it; gives its process id and port as soon as it listens.
        first: The first request to send, which may prepare for the others.
        cases: Requests by what they measure. The first case stores what the others find.
    """

    serve: Callable[[], AbstractContextManager[tuple[int, int]]]
    first: bytes
    cases: dict[str, list[bytes]]


FLOOR = Contestant(
    lambda: serving([sys.executable, "-c", server_start.FLOOR]),
    adding(KNOWN)[0],
    {"floor (answers a constant)": adding(KNOWN)},
)
OURS = Contestant(
    lambda: serving([sys.executable, "-m", "langcache_mockserver", "--port", "0"]),
    adding(KNOWN)[0],
    {
        "langcache-mockserver: set": adding(KNOWN),
        "langcache-mockserver: search (the entry)": searching(KNOWN),
    },
)


def prism(path: str) -> Contestant:
    command = [path, "mock", str(OPENAPI), "--verboseLevel", "error", "--port"]
    return Contestant(
        lambda: serving_peer(command),
        adding(KNOWN)[0],
        {
            "Prism: set (stores nothing)": adding(KNOWN),
            "Prism: search (always an empty list)": searching(KNOWN),
        },
    )


def moto(path: str) -> Contestant:
    return Contestant(
        lambda: serving_peer([path, "--port"]),
        CREATE_TABLE,
        {"moto: DynamoDB PutItem": PUT, "moto: DynamoDB GetItem (the item)": GET},
    )


@contextmanager
def serving_peer(command: list[str]) -> Iterator[tuple[int, int]]:
    """Run a server whose command ends with the port; gives its process id and port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [*command, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            while not listens(port):
                if process.poll() is not None:
                    raise SystemExit(f"{command[0]} ended with status {process.returncode}")
                time.sleep(0.002)
            yield process.pid, port
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # the processes that it started, too


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def send(port: int, request: bytes) -> None:
    """Send one request and wait for its answer."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        status = connection.recv(65536)[9:12]
    if status not in (b"200", b"201"):
        raise SystemExit(f"the first answer was {status.decode()}")


def tree_megabytes(pid: int) -> float:
    """Return the resident memory of a process and of those that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return resident_megabytes(pid) + sum(tree_megabytes(int(child)) for child in children)


def measure_start(contestants: dict[str, Contestant]) -> None:
    """Print how long the first answer takes, and how much memory an idle server has."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    idle: dict[str, list[float]] = {name: [] for name in contestants}
    used: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(STARTS + 1):
        for name, contestant in contestants.items():
            signal.alarm(STALLED_SECONDS)
            started = time.perf_counter()
            with contestant.serve() as (_, port):
                send(port, contestant.first)
                seconds[name].append(time.perf_counter() - started)
            with contestant.serve() as (pid, port):
                time.sleep(0.5)
                idle[name].append(tree_megabytes(pid))
                send(port, contestant.first)
                for requests in contestant.cases.values():
                    for request in requests:
                        send(port, request)
                used[name].append(tree_megabytes(pid))
    rows: list[list[str]] = []
    for name in contestants:
        # The first start warms the disk's cache.
        pairs = zip(seconds[name][1:], seconds["floor"][1:], strict=True)
        ratio = statistics.median(one / base for one, base in pairs)
        rows.append([
            name,
            f"{statistics.median(seconds[name][1:]):.2f}",
            f"{ratio:.1f}",
            f"{statistics.median(idle[name][1:]):.0f}",
            f"{statistics.median(used[name][1:]):.0f}",
        ])  # fmt: skip
    print_table(["", "first response, s", "x floor", "idle, MB", "used, MB"], rows)


def load_kept(port: int, requests: list[bytes], connections: int, seconds: float) -> Load:
    """Send requests on connections that are kept."""
    return run_load(port, requests, connections=connections, seconds=seconds)


def load_anew(port: int, requests: list[bytes], connections: int, seconds: float) -> Load:
    """Send each request on a new connection; its latency includes opening that."""
    closing = [each.replace(b"\r\n", b"\r\nconnection: close\r\n", 1) for each in requests]
    load = Load(0.0, [])

    async def ask(number: int, until: float) -> None:
        while (sent := time.perf_counter()) < until:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(closing[number % len(closing)])
            head = await reader.readuntil(b"\r\n\r\n")
            # No client waits until the server closes, which moto does 10 ms after its answer.
            await reader.readexactly(content_length(head))
            writer.close()
            load.latencies.append(time.perf_counter() - sent)
            status = int(head[9:12])
            load.statuses[status] = load.statuses.get(status, 0) + 1
            number += 1

    async def ask_all() -> None:
        started = time.perf_counter()
        await asyncio.gather(*(ask(number, started + seconds) for number in range(connections)))
        load.seconds = time.perf_counter() - started

    gc.collect()
    gc.disable()  # as in `run_load`
    try:
        uvloop.run(ask_all())
    finally:
        gc.enable()
    load.latencies.sort()
    return load


@dataclass
class Case:
    """Requests to a server, and what the loads of all rounds came to."""

    port: int
    requests: list[bytes]
    loads: list[Load]
    ratios: list[float]


def measure_load(
    title: str,
    contestants: list[Contestant],
    put_load: Callable[[int, list[bytes], int, float], Load],
    seconds: float,
    rounds: int,
) -> None:
    """Print requests per second and latency of each case, beside the floor, which is the first."""

    def measure(port: int, requests: list[bytes], connections: int, seconds: float) -> Load:
        signal.alarm(STALLED_SECONDS + int(seconds))
        load = put_load(port, requests, connections, seconds)
        if set(load.statuses) - {200, 201}:
            raise SystemExit(f"answers {load.statuses}")
        return load

    rows: list[list[str]] = []
    with ExitStack() as stack:
        served = [(each, stack.enter_context(each.serve())[1]) for each in contestants]
        for contestant, port in served:
            send(port, contestant.first)
            for requests in contestant.cases.values():
                measure(port, requests, 1, 2.0)  # node compiles what it has run often
        for connections in CONNECTIONS:
            cases = {
                name: Case(port, requests, [], [])
                for contestant, port in served
                for name, requests in contestant.cases.items()
            }
            floor, *others = cases.values()
            for _ in range(rounds):
                for case in others:
                    base = measure(floor.port, floor.requests, connections, seconds / 2)
                    load = measure(case.port, case.requests, connections, seconds)
                    floor.loads.append(base)
                    floor.ratios.append(1.0)
                    case.loads.append(load)
                    case.ratios.append(load.rate / base.rate)
            for name, case in cases.items():
                rate = statistics.median(load.rate for load in case.loads)
                p50, p99 = (
                    statistics.median(load.percentile(percent) for load in case.loads)
                    for percent in (50, 99)
                )
                row = [f"{rate:.0f}", f"{statistics.median(case.ratios):.2f}"]
                rows.append([f"{connections}: {name}", *row, f"{p50:.2f}", f"{p99:.2f}"])
    print(f"\n{title}\n")
    print_table(["connections", "requests/s", "x floor", "p50 ms", "p99 ms"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prism", default="prism", help="command of Prism (prism)")
    parser.add_argument("--moto", default="moto_server", help="command of moto (moto_server)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of each load (1)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    options = parser.parse_args()
    peers: dict[str, Contestant] = {}
    for name, make, command in (("Prism", prism, options.prism), ("moto", moto, options.moto)):
        path = shutil.which(command)
        if path is None:
            print(f"{name} is left out: there is no command {command!r} (see --help)")
        else:
            peers[name] = make(path)

    def stop(number: int, _: object) -> None:
        raise SystemExit(f"ended by {signal.Signals(number).name}")  # which stops the servers

    # A server that has to compile its modules at each start would take twice as long.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.signal(signal.SIGALRM, stop)
    signal.signal(signal.SIGTERM, stop)
    measure_start({"floor": FLOOR, "langcache-mockserver": OURS, **peers})
    kept = [FLOOR, OURS, *(peers[name] for name in ("Prism",) if name in peers)]
    measure_load("connections are kept", kept, load_kept, options.seconds, options.rounds)
    if "moto" in peers:
        anew = [FLOOR, OURS, peers["moto"]]
        measure_load(
            "a connection for each request", anew, load_anew, options.seconds, options.rounds
        )
    signal.alarm(0)


if __name__ == "__main__":
    main()
