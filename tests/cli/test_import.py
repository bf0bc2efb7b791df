"""`langcache import`: rows become entries, bad ones are reported, and a killed import goes on."""

import csv
import datetime as dt
import json
import math
import os
import signal
import subprocess
import sys
import time

import pytest
from langcache_mockserver import MockServer, SimilarityTable
from typer.testing import CliRunner

from langcache.cli.app import create_app
from langcache.engine import InMemoryStorage, SQLiteStorage
from langcache.engine.storage import StorageError

COMMAND = [sys.executable, "-c", "from langcache.cli import main; main()"]


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """The folder that remembers what is done."""
    for name in ("SERVER_URL", "CACHE_ID", "API_KEY"):
        monkeypatch.delenv(f"LANGCACHE_{name}", raising=False)
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    monkeypatch.setenv("LOCALAPPDATA", str(folder))
    return folder


def invoke(*arguments):
    return CliRunner().invoke(create_app(), ["import", *map(str, arguments)])


def summary(result, status=0):
    assert result.exit_code == status, (result.output, result.exception)
    found = json.loads(result.stdout)
    return {name: found[name] for name in ("rows", "stored", "skipped")}, [
        (error["line"], error["problem"]) for error in found["errors"]
    ]


@pytest.fixture
def storage():
    return InMemoryStorage()


@pytest.fixture
def server(storage):
    with MockServer(embedder=SimilarityTable({}), storage=storage) as server:
        yield ["--server-url", server.url, "--cache-id", "faq", "--json"]


def stored(storage, cache="faq"):
    return {entry.prompt: entry.response for entry in storage.entries(cache)}


def test_rows_become_entries_and_bad_ones_are_reported(server, storage, tmp_path):
    file = tmp_path / "faq.csv"
    file.write_bytes(
        b"\xef\xbb\xbfprompt,response,attributes,ttl\r\n"
        b'one,"two\r\nlines",,\r\n'
        b",no prompt,,\r\n"
        b'three,r,"{""topic"": ""ai""}",3600\r\n'
        b"four,r,nonsense,\r\n"
        b"five,r\r\n"
        b"s\xff,r,,\r\n"
        b"six,r,,soon\r\n"
        b"\r\n"
        b"seven,r,,\r\n" + b"x" * 2000 + b",too long for the cache,,\r\n"
    )
    found, errors = summary(invoke(file, "--ttl", "ttl", *server), 1)
    assert found == {"rows": 9, "stored": 3, "skipped": 6}
    assert errors == [
        (4, "prompt: must not be empty"),
        (6, "attributes: must be a JSON object"),
        (7, "must have 4 fields, got 2"),
        (8, "prompt: must be UTF-8"),
        (9, "ttl: must be a number"),
        (12, "prompt: must have at most 1024 characters, got 2000 characters"),
    ]
    assert stored(storage) == {"one": "two\r\nlines", "three": "r", "seven": "r"}
    by_prompt = {entry.prompt: entry for entry in storage.entries("faq")}
    assert by_prompt["three"].attributes == {"topic": "ai"}
    assert by_prompt["three"].expires_at - by_prompt["three"].created_at == 3600


def test_columns_can_have_other_names(server, storage, tmp_path):
    file = tmp_path / "faq.tsv"
    file.write_text('question\tanswer\tlang\nq "1"\ta\ten\nq2\ta\t\n')
    options = ["--prompt", "question", "--response", "answer", "--attribute", "lang=language"]
    assert summary(invoke(file, *options, *server))[0]["stored"] == 2
    attributes = {entry.prompt: dict(entry.attributes) for entry in storage.entries("faq")}
    assert attributes == {'q "1"': {"language": "en"}, "q2": {}}


def test_json_lines(server, storage, tmp_path):
    file = tmp_path / "faq.jsonl"
    rows = [
        '{"prompt": "p", "response": "r", "attributes": {"a": "b"}, "ttlMillis": 60000}',
        "",
        "nonsense",
        "[1]",
        '{"prompt": 1, "response": "r"}',
        '{"prompt": "q"}',
        '{"prompt": "\\ud800", "response": "r"}',
        '{"prompt": "s", "response": "r", "attributes": {"a": 1}}',
    ]
    file.write_text("\n".join(rows))
    found, errors = summary(invoke(file, *server), 1)
    assert found == {"rows": 7, "stored": 1, "skipped": 6}
    assert errors == [
        (3, "must be a JSON object"),
        (4, "must be a JSON object, got list"),
        (5, "prompt: must be text, got int"),
        (6, "response: is required"),
        (7, "prompt: must be UTF-8"),
        (8, "attributes: every value must be a string"),
    ]
    assert stored(storage) == {"p": "r"}


def test_parquet(server, storage, tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    from pyarrow import parquet

    file = tmp_path / "faq.parquet"
    parquet.write_table(pyarrow.table({"prompt": ["p", None], "response": ["r", "s"]}), file)
    found, errors = summary(invoke(file, *server), 1)
    assert found == {"rows": 2, "stored": 1, "skipped": 1}
    assert errors == [(2, "prompt: must not be empty")]


def test_values_of_parquet_that_are_no_text(server, storage, tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    from pyarrow import parquet

    file = tmp_path / "faq.parquet"
    columns = {
        "prompt": ["p", "q"],
        "response": ["r", "s"],
        "day": [dt.date(2024, 1, 1), None],
        "number": [1.5, None],
        "attributes": [{"a": "1"}, {"b": "2"}],
    }
    parquet.write_table(pyarrow.table(columns), file)
    _, errors = summary(invoke(file, "--attribute", "day", "--attribute", "number", *server), 1)
    assert errors == [(1, "day: must be text or a JSON value, got date")]
    (entry,) = storage.entries("faq")
    assert entry.attributes == {"b": "2"}

    kind = pyarrow.map_(pyarrow.string(), pyarrow.string())
    columns["attributes"] = pyarrow.array([[("a", "1")], [("b", "2")]], type=kind)
    parquet.write_table(pyarrow.table(columns), file)
    assert summary(invoke(file, *server))[0]["stored"] == 2
    attributes = [entry.attributes for entry in storage.entries("faq")]
    assert {"a": "1"} in attributes


def test_attributes_that_are_no_utf8_are_reported(server, storage, tmp_path):
    csv_file, json_file = tmp_path / "faq.csv", tmp_path / "faq.jsonl"
    csv_file.write_bytes(b"prompt,response,lang\np,r,\xff\nq,r,en\n")
    json_file.write_text('{"prompt": "p", "response": "r", "attributes": {"a": "\\ud800"}}')
    _, errors = summary(invoke(csv_file, "--attribute", "lang", *server), 1)
    assert errors == [(2, "attributes: must be UTF-8")]
    assert stored(storage) == {"q": "r"}
    assert summary(invoke(json_file, *server), 1)[1] == [(1, "attributes: must be UTF-8")]


def test_a_ttl_that_is_too_long_for_a_storage_is_reported(tmp_path):
    file = tmp_path / "faq.csv"
    file.write_text("prompt,response,ttl\np,r,1e300\nq,r,0.4\n")
    where = ["--storage", f"sqlite:{tmp_path / 'cache.db'}", "--json"]
    found, errors = summary(invoke(file, "--ttl", "ttl", *where), 1)
    assert found["stored"] == 1
    assert errors == [(2, "ttl: must be at most 100000000000 seconds, got more")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file")
def test_what_can_be_read_once_is_refused(server):
    result = invoke("/dev/null", "--format", "csv", *server)
    assert result.exit_code == 2
    assert "must be a file, which is read twice, not a pipe" in result.stderr


def test_the_last_of_several_rows_with_the_same_prompt_is_kept(tmp_path, monkeypatch):
    from langcache.cli.local_target import LocalTarget

    store, calls = LocalTarget.store, []

    def the_first_is_slow(self, rows):
        calls.append(rows)
        if len(calls) == 1:
            time.sleep(0.5)
        return store(self, rows)

    monkeypatch.setattr(LocalTarget, "store", the_first_is_slow)
    monkeypatch.setattr("langcache.cli.local_target.os.cpu_count", lambda: 4)
    file, path = tmp_path / "faq.csv", tmp_path / "cache.db"
    with file.open("w", newline="") as output:
        rows = [(f"prompt {number % 70}", f"response {number}") for number in range(140)]
        csv.writer(output).writerows([("prompt", "response"), *rows])
    assert invoke(file, "--storage", f"sqlite:{path}").exit_code == 0
    storage = SQLiteStorage(path)
    found = stored(storage, "llmcache")
    storage.close()
    assert found == {f"prompt {each}": f"response {each + 70}" for each in range(70)}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("faq.csv", "question,response\n", "must have the column prompt, has question, response"),
        ("faq.txt", "", "--format: must be one of csv, tsv, jsonl, parquet"),
        ("missing.csv", None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(server, tmp_path, name, content, message):
    file = tmp_path / name
    if content is not None:
        file.write_text(content)
    result = invoke(file, *server)
    assert result.exit_code == 2
    assert message in result.stderr


def test_an_empty_file_is_complete(server, tmp_path):
    file = tmp_path / "faq.csv"
    file.write_text("")
    assert summary(invoke(file, *server))[0]["rows"] == 0


def test_a_large_row_does_not_keep_its_neighbours_out(storage, tmp_path):
    file = tmp_path / "faq.csv"
    with file.open("w", newline="") as output:
        rows = [("p1", "small"), ("p2", "x" * 50_000), ("p3", "small"), ("p4", "y" * 900)]
        csv.writer(output).writerows([("prompt", "response"), *rows])
    with MockServer(embedder=SimilarityTable({}), storage=storage, max_body_bytes=1500) as server:
        where = ["--server-url", server.url, "--cache-id", "faq", "--json"]
        found, errors = summary(invoke(file, *where), 1)
    assert found == {"rows": 4, "stored": 3, "skipped": 1}
    assert errors == [(3, "the body may have at most 1500 bytes")]
    assert sorted(stored(storage)) == ["p1", "p3", "p4"]


def test_rows_become_entries_of_a_storage(tmp_path):
    file = tmp_path / "faq.jsonl"
    lines = [
        {"prompt": f"p {each}", "response": "r", "attributes": {"n": f"{each}"}}
        for each in range(90)
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    path = tmp_path / "cache.db"
    found, _ = summary(invoke(file, "--storage", f"sqlite:{path}", "--json"))
    assert found["stored"] == 90
    storage = SQLiteStorage(path)
    assert {entry.attributes["n"] for entry in storage.entries("llmcache")} == {
        f"{each}" for each in range(90)
    }
    storage.close()


def write_rows(file, count):
    with file.open("w", newline="") as output:
        rows = ([f"prompt {number}", f"response {number}"] for number in range(count))
        csv.writer(output).writerows([["prompt", "response"], *rows])
        output.write(",bad\n")


class Counting(InMemoryStorage):
    """Calls a function after so many batches. The next ones are slow, so that it has an effect."""

    def __init__(self, batches, then):
        super().__init__()
        self.left = batches
        self.then = then

    def store_many(self, entries):
        super().store_many(entries)
        self.left -= 1
        if self.left == 0:
            self.then()
        elif self.left < 0:
            time.sleep(0.2)


@pytest.fixture
def hears_interrupts():
    """Let processes hear SIGINT. A shell makes those in its background, and theirs, ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.usefixtures("hears_interrupts")
@pytest.mark.parametrize(
    ("name", "rows", "batches"), [("SIGKILL", 10_000, 16), ("SIGINT", 7500, 12)]
)
def test_an_import_that_is_stopped_goes_on_without_a_lost_or_doubled_entry(
    tmp_path, name, rows, batches
):
    number = getattr(signal, name)
    file = tmp_path / "faq.csv"
    write_rows(file, rows)
    running = []
    storage = Counting(batches, lambda: running[0].send_signal(number))
    with MockServer(embedder=SimilarityTable({}), storage=storage) as server:
        where = ["--server-url", server.url, "--cache-id", "faq", "--json"]
        with subprocess.Popen(
            [*COMMAND, "import", str(file), *where],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ,
        ) as process:
            running.append(process)
            output, _ = process.communicate(timeout=120)
        before = len(stored(storage))
        assert 0 < before < rows
        if number == signal.SIGINT:
            assert process.returncode == 130
            assert json.loads(output)["complete"] is False
        else:
            assert process.returncode == -signal.SIGKILL
        storage.left = math.inf
        result = invoke(file, *where)
        assert result.stderr.startswith("Going on after ")
        found, errors = summary(result, 1)
    assert found == {"rows": rows + 1, "stored": rows, "skipped": 1}
    assert errors == [(rows + 2, "prompt: must not be empty")]
    entries = list(storage.entries("faq"))
    assert len(entries) == rows
    assert {entry.prompt: entry.response for entry in entries} == {
        f"prompt {each}": f"response {each}" for each in range(rows)
    }


class Failing(InMemoryStorage):
    """Fails so many times, once the first row is stored: batches may come in any order."""

    def __init__(self, failures):
        super().__init__()
        self.failures = failures
        self.has_first = False

    def store_many(self, entries):
        if self.has_first and self.failures:
            self.failures -= 1
            raise StorageError("not now")
        super().store_many(entries)
        self.has_first = self.has_first or any(each.prompt == "prompt 0" for each in entries)


def test_a_failure_that_passes_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("langcache.cli.import_command.time.sleep", lambda _: None)
    file = tmp_path / "faq.csv"
    write_rows(file, 2500)
    storage = Failing(4)
    with MockServer(embedder=SimilarityTable({}), storage=storage) as server:
        where = ["--server-url", server.url, "--cache-id", "faq", "--json"]
        assert summary(invoke(file, *where), 1)[0]["stored"] == 2500
    assert len(stored(storage)) == 2500


def test_a_failure_that_does_not_pass_ends_the_import_which_can_go_on(tmp_path, monkeypatch, state):
    monkeypatch.setattr("langcache.cli.import_command.time.sleep", lambda _: None)
    file = tmp_path / "faq.csv"
    write_rows(file, 2500)
    storage = Failing(1000)
    with MockServer(embedder=SimilarityTable({}), storage=storage) as server:
        where = ["--server-url", server.url, "--cache-id", "faq", "--json"]
        result = invoke(file, *where)
        assert result.exit_code == 3
        assert "the storage cannot be used" in result.stderr
        storage.failures = 0
        assert invoke(file, *where).stderr.startswith("Going on after ")
        assert len(stored(storage)) == 2500
    assert not [path for path in state.rglob("*") if path.is_file()]


def test_a_file_that_changed_is_imported_from_its_first_row(tmp_path, monkeypatch):
    monkeypatch.setattr("langcache.cli.import_command.time.sleep", lambda _: None)
    file = tmp_path / "faq.csv"
    write_rows(file, 2500)
    storage = Failing(1000)
    with MockServer(embedder=SimilarityTable({}), storage=storage) as server:
        where = ["--server-url", server.url, "--cache-id", "faq", "--json"]
        assert invoke(file, *where).exit_code == 3
        storage.failures = 0
        write_rows(file, 500)
        result = invoke(file, *where)
        assert "Going on" not in result.stderr
        assert summary(result, 1)[0]["stored"] == 500


def stop_after_a_batch(monkeypatch):
    """Let imports end as if the user stopped them when the first batch is stored."""
    from langcache.cli.import_progress import ImportProgress

    add = ImportProgress.add

    def add_and_stop(self, stored, errors):
        add(self, stored, errors)
        raise KeyboardInterrupt

    monkeypatch.setattr(ImportProgress, "add", add_and_stop)


@pytest.mark.parametrize("how", ["another folder", "another embedder"])
def test_an_import_does_not_go_on_in_another_storage(tmp_path, monkeypatch, how):
    file = tmp_path / "faq.csv"
    write_rows(file, 300)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    where = ["--storage", "sqlite:cache.db"]
    with monkeypatch.context() as patch:
        stop_after_a_batch(patch)
        assert invoke(file, *where).exit_code == 130
    if how == "another folder":
        monkeypatch.chdir(tmp_path / "b")
    else:
        monkeypatch.setattr("langcache.engine.cache.create_embedder", lambda _: SimilarityTable({}))
        where += ["--embedder", "sentence-transformers:other"]
    result = invoke(file, *where, "--json")
    assert "Going on" not in result.stderr
    assert summary(result, 1)[0]["stored"] == 300


def test_an_import_does_not_go_on_in_another_redis():
    from langcache.cli.local_target import _place

    first = _place("redis://user:secret@one:6379")
    assert first == _place("redis://user:changed@one:6379")
    assert first != _place("redis://user:secret@two:6379")
    assert "secret" not in first


def test_an_import_into_a_cache_that_is_empty_begins_anew(tmp_path, monkeypatch):
    file = tmp_path / "faq.csv"
    write_rows(file, 2500)
    with MockServer(embedder=SimilarityTable({}), storage=InMemoryStorage()) as server:
        where = ["--server-url", server.url, "--cache-id", "faq", "--json"]
        with monkeypatch.context() as patch:
            stop_after_a_batch(patch)
            assert invoke(file, *where).exit_code == 130
        with server.client() as client:
            headers = {"authorization": "Bearer any"}
            client.post("/v1/caches/faq/flush", headers=headers).raise_for_status()
        result = invoke(file, *where)
    assert result.stderr.startswith("The cache is empty: beginning with the first row.")
    assert summary(result, 1)[0]["stored"] == 2500
