"""`langcache search`, `set`, `delete`, `flush`, `export` and `stats`, on servers and storages."""

import contextlib
import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from langcache_mockserver import MockServer, SimilarityTable
from typer.testing import CliRunner

from langcache.cli.app import create_app
from langcache.engine import MiniLMEmbedder, SemanticCache, SQLiteStorage

CACHE = "c" * 32
FAQ = [
    ("How do I enable notifications?", "Switch them on in the settings."),
    ("What are your opening hours?", "From 9 to 17."),
]
DISABLE = "How do I disable notifications?"
KEY = "s3cret-key"
FULL = Path("/dev/full")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("SERVER_URL", "CACHE_ID", "API_KEY"):
        monkeypatch.delenv(f"LANGCACHE_{name}", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def minilm():
    return MiniLMEmbedder()


@pytest.fixture(params=["server", "storage"])
def where(request, tmp_path, minilm):
    """The options that say what the commands work on."""
    if request.param == "storage":
        yield ["--storage", f"sqlite:{tmp_path / 'cache.db'}"]
        return
    with MockServer(embedder=minilm, verify="rules") as server:
        yield ["--server-url", server.url, "--cache-id", "faq"]


def invoke(*arguments, stdin=None, **env):
    return CliRunner().invoke(create_app(), list(map(str, arguments)), input=stdin, env=env)


@pytest.fixture
def run(where):
    def run(command, *arguments, status=0, **options):
        result = invoke(command, *arguments, *where, **options)
        assert result.exit_code == status, (result.output, result.exception)
        return result.stdout

    return run


@pytest.fixture
def filled(run):
    return [run("set", *entry).strip() for entry in FAQ]


def test_a_hit_is_shown_with_its_similarity(run, filled):
    found = json.loads(run("search", "what are your opening hours", "--json"))
    assert found["outcome"] == "hit"
    assert found["response"] == FAQ[1][1]
    assert found["candidates"][0]["id"] == filled[1]
    table = run("search", "what are your opening hours")
    assert "served" in table
    assert "From 9 to 17." in table


def test_a_miss_is_shown_with_its_reason(run, filled):
    table = run("search", DISABLE, "--threshold", "0.8", "--verifier", "rules", status=1)
    assert "miss: what is similar enough was turned down" in table
    assert "the prompts have opposite words: disable / enable" in table
    table = run("search", "Where is Rome?", status=1)
    assert "miss: nothing is similar enough" in table
    assert "below threshold" in table


def test_a_search_in_an_empty_cache_says_why_it_misses(run):
    (entry_id,) = run("set", "a prompt", "r", "--attribute", "color=red").split()
    found = run("search", "a prompt", "--attribute", "color=blue", status=1)
    assert found.startswith("miss: there are no entries to compare with (threshold ")
    run("delete", entry_id)
    found = run("search", "a prompt", "--verifier", "off", status=1)
    assert found.startswith("miss: there are no entries to compare with (threshold ")


@pytest.mark.parametrize(
    "command",
    [
        *(["search", "p"], ["stats"], ["export"], ["delete", "x"], ["flush", "--yes"]),
        ["migrate"],
    ],
)
def test_a_file_that_does_not_exist_is_not_created_to_look_into_it(command, tmp_path):
    path = tmp_path / "missing.db"
    result = invoke(*command, "--storage", f"sqlite:{path}")
    assert result.exit_code == 3
    assert result.stderr == f"langcache: {path}: cannot be opened (no such file)\n"
    assert not list(tmp_path.iterdir())


def test_a_server_that_cannot_be_reached_is_named(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        secret = url.replace("//", "//user:s3cret@")
        result = invoke("stats", "--server-url", secret, "--cache-id", "faq")
    assert result.exit_code == 3
    assert result.stderr == f"langcache: {url} cannot be reached (Connection refused)\n"


def test_attributes_filter(run):
    run("set", "a prompt", "red", "--attribute", "color=red", "--attribute", "size=1")
    run("set", "a prompt", "blue", "--attribute", "color=blue", "--attribute", "size=1")
    found = json.loads(run("search", "a prompt", "--attribute", "color=blue", "--json"))
    assert found["response"] == "blue"
    assert run("delete", "--attribute", "color=blue") == "1 deleted\n"
    run("search", "a prompt", "--attribute", "color=blue", status=1)


def test_a_response_is_read_from_standard_input(run):
    run("set", "a prompt", "-", stdin="two\nlines\n")
    assert json.loads(run("search", "a prompt", "--json"))["response"] == "two\nlines\n"


def test_an_entry_expires(run):
    run("set", "a prompt", "gone soon", "--ttl", "2000")
    (entry,) = map(json.loads, run("export").splitlines())
    assert 1_000_000 < entry["ttlMillis"] <= 2_000_000


def test_delete(run, filled):
    assert json.loads(run("delete", *filled, "nothing", "--json")) == {"deleted": 2}
    assert run("delete", filled[0], status=1) == "0 deleted\n"
    run("delete", status=2)
    run("delete", "id", "--attribute", "a=b", status=2)


def test_an_empty_text_is_not_stored(run):
    run("set", "", "r", status=2)
    run("set", "p", "", status=2)
    run("set", "p", "-", stdin="", status=2)


def test_flush_asks_first(run, filled):
    run("flush", stdin="n\n", status=1)
    assert "entries: 2" in run("stats")
    run("flush", stdin="y\n")
    assert "entries: 0" in run("stats")
    run("set", *FAQ[0])
    assert json.loads(run("flush", "--yes", "--json")) == {"flushed": True}
    assert json.loads(run("stats", "--json"))["entries"] == 0


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])
def test_an_export_can_be_imported(run, tmp_path, monkeypatch, name):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    run("set", 'a "quoted", prompt\nof two lines \u2028 and more', "=1+1", "--attribute", "a=b")
    run("set", "a carriage return\rin a prompt", "and\rin a response")
    file = tmp_path / name
    assert run("export", file) == f"2 entries written to {file}\n"
    before = run("export")
    run("flush", "--yes")
    run("import", file)
    after = run("export")

    def timeless(lines):
        names = ("id", "prompt", "response", "attributes")
        entries = map(json.loads, lines.strip().split("\n"))
        return sorted([entry[name] for name in names] for entry in entries)

    assert timeless(after) == timeless(before)


def test_an_export_that_fails_leaves_no_file(tmp_path):
    file = tmp_path / "out.jsonl"
    result = invoke("export", file, "--server-url", "http://127.0.0.1:9", "--cache-id", "c")
    assert result.exit_code == 3
    assert "cannot be reached" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", None])
def test_a_text_that_is_no_unicode_does_not_keep_others_out_of_an_export(tmp_path, minilm, name):
    path = tmp_path / "cache.db"
    with contextlib.closing(SQLiteStorage(path)) as storage:
        cache = SemanticCache(vectorizer=minilm, storage=storage)
        cache.store("a\udcff", "\ud800 é")
        cache.store("other", "entry")
    file = [] if name is None else [tmp_path / name]
    result = invoke("export", *file, "--storage", f"sqlite:{path}", PYTHONIOENCODING="ascii")
    assert result.exit_code == 0, result.exception
    text = result.stdout if name is None else file[0].read_text("utf-8")
    assert "a\\udcff" in text
    assert "\\ud800 é" in text
    assert "entry" in text


def test_an_export_to_standard_output_is_utf8(tmp_path):
    where = ["--storage", f"sqlite:{tmp_path / 'cache.db'}"]
    assert invoke("set", "été", "日本", *where).exit_code == 0
    command = [sys.executable, "-c", "from langcache.cli import main; main()", "export", *where]
    env = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    found = subprocess.run(command, env=env, capture_output=True, check=True).stdout
    assert json.loads(found)["response"] == "日本"


def test_a_terminal_that_does_not_know_a_character_is_no_failure(tmp_path, minilm):
    path = tmp_path / "cache.db"
    with contextlib.closing(SQLiteStorage(path)) as storage:
        SemanticCache(vectorizer=minilm, storage=storage).store("日本", "été \ud800")
    command = [sys.executable, "-c", "from langcache.cli import main; main()"]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}

    def printed(*options):
        arguments = ["search", "日本", *options, "--storage", f"sqlite:{path}"]
        return subprocess.run([*command, *arguments], env=env, capture_output=True, check=True)

    assert b"\\u65e5\\u672c" in printed().stdout
    found = json.loads(printed("--json").stdout)
    assert (found["candidates"][0]["prompt"], found["response"]) == ("日本", "été \ud800")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_an_export_does_not_take_the_place_of_a_pipe(run, filled, tmp_path):
    pipe = tmp_path / "out.jsonl"
    os.mkfifo(pipe)
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)) as read:
        run("export", pipe)
        assert len(read.readlines()) == 2
    assert pipe.is_fifo()


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_an_export_on_a_full_disk_fails(tmp_path):
    where = ["--storage", f"sqlite:{tmp_path / 'cache.db'}"]
    assert invoke("set", *FAQ[0], *where).exit_code == 0
    command = [sys.executable, "-c", "from langcache.cli import main; main()", "export", *where]
    with FULL.open("w") as full:
        found = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr == (
        "langcache: standard output: cannot be written (No space left on device)\n"
    )


def test_arguments_that_are_no_utf8_are_refused(run, where):
    bad = "a\udcff"
    for arguments in (
        ("set", bad, "r"),
        ("set", "p", bad),
        ("search", bad),
        ("delete", "--attribute", f"a={bad}"),
    ):
        run(*arguments, status=2)
    # A storage has no such entry; a server refuses the id.
    assert invoke("delete", bad, *where).exit_code in (1, 3)


def test_the_types_of_fields_are_kept(tmp_path, minilm, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    path, file = tmp_path / "cache.db", tmp_path / "backup.jsonl"
    where = ["--storage", f"sqlite:{path}"]
    fields = [
        {"name": "user", "type": "tag"},
        {"name": "age", "type": "numeric"},
        {"name": "topic", "type": "text"},
    ]
    stored = {"user": "ann", "age": 18, "topic": "red wine"}
    with contextlib.closing(SQLiteStorage(path)) as storage:
        cache = SemanticCache(vectorizer=minilm, storage=storage, filterable_fields=fields)
        cache.store("one", "1", filters=stored)
        cache.store("two", "2", filters={**stored, "age": 1.5})
    assert invoke("export", file, *where).exit_code == 0
    assert invoke("flush", "--yes", *where).exit_code == 0
    result = invoke("import", file, *where)
    assert result.exit_code == 0, result.exception
    for attribute in ("age=18", "age=18.0", "topic=wine", "user=ann"):
        assert invoke("search", "one", "--attribute", attribute, *where).exit_code == 0
    for attribute in ("age=19", "topic=beer"):
        assert invoke("search", "one", "--attribute", attribute, *where).exit_code == 1
    assert invoke("set", "three", "3", "--attribute", "age=4", *where).exit_code == 0
    for command in (["set", "p", "r"], ["search", "p"]):
        for value in ("old", "inf", "9" * 400):
            result = invoke(*command, "--attribute", f"age={value}", *where)
            assert result.exit_code == 2
            assert "attributes: age must be a number" in result.stderr
    assert invoke("search", "p", "--attribute", "topic=?", *where).exit_code == 2
    with contextlib.closing(SQLiteStorage(path)) as storage:
        ages = [entry.attributes["age"] for entry in storage.entries("llmcache")]
    assert ages == ["18", "1.5", "4"]
    assert invoke("delete", "--attribute", "age=1.50", *where).stdout == "1 deleted\n"
    assert invoke("set", "one", "1", "--attribute", "age=18.0", *where).exit_code == 0
    assert invoke("delete", "--attribute", "age=18", *where).stdout == "2 deleted\n"


def test_a_ttl_that_is_too_long_for_a_storage_is_refused(tmp_path):
    where = ["--storage", f"sqlite:{tmp_path / 'cache.db'}"]
    result = invoke("set", "p", "r", "--ttl", "1e12", *where)
    assert result.exit_code == 2
    assert "ttl: must be at most 100000000000 seconds" in result.stderr


def test_lookups_are_counted_by_the_server(minilm):
    with MockServer(embedder=minilm) as server, server.client() as client:
        client.post(
            "/v1/caches/faq/entries/search",
            json={"prompt": "p"},
            headers={"authorization": "Bearer any"},
        )
        where = ["--server-url", server.url, "--cache-id", "faq"]
        numbers = json.loads(invoke("stats", "--json", *where).stdout)
        assert numbers == {"entries": 0, "lookups": {"miss": 1}}


# Servers of others, and keys


@pytest.fixture
def strict(minilm):
    grants = [{"cache": CACHE, "actions": ["read", "write"]}]
    config = {"caches": [{"id": CACHE}], "keys": [{"token": KEY, "grants": grants}]}
    with MockServer(embedder=minilm, config=config) as server:
        yield ["--server-url", server.url, "--cache-id", CACHE]


def test_a_key_without_the_console_sees_hits_only(strict):
    env = {"LANGCACHE_API_KEY": KEY}
    assert invoke("set", *FAQ[1], *strict, **env).exit_code == 0
    result = invoke("search", "what are your opening hours", "--json", *strict, **env)
    found = json.loads(result.stdout)
    assert found["outcome"] == "hit"
    assert found["candidates"][0]["verdict"] is None
    assert invoke("search", "Where is Rome?", *strict, **env).exit_code == 1


def test_the_key_comes_from_a_file(strict, tmp_path):
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    assert invoke("set", *FAQ[1], "--api-key-file", file, *strict).exit_code == 0
    result = invoke("set", *FAQ[1], *strict)
    assert result.exit_code == 3
    assert "401" in result.stderr
    for content in ("", "two words", "x" * 5000):
        file.write_text(content)
        result = invoke("set", *FAQ[1], "--api-key-file", file, *strict)
        assert result.exit_code == 2
        assert "must hold one API key" in result.stderr


@pytest.fixture
def official(minilm, monkeypatch):
    """A server that has the official API only."""
    from langcache_mockserver.planes import console

    monkeypatch.setattr(console, "ROUTES", [])
    with MockServer(embedder=minilm) as server:
        yield ["--server-url", server.url, "--cache-id", "faq"]


def test_a_server_without_a_console_is_told_from_an_empty_one(official, tmp_path):
    assert invoke("set", *FAQ[1], *official).exit_code == 0
    assert invoke("search", FAQ[1][0], *official).exit_code == 0
    found = invoke("search", "Where is Rome?", *official)
    assert found.stdout == "miss: nothing is similar enough\n"
    for command in (["export"], ["stats"]):
        result = invoke(*command, *official)
        assert result.exit_code == 3
        assert "this server has no console" in result.stderr
    file = tmp_path / "faq.csv"
    with file.open("w", newline="") as output:
        csv.writer(output).writerows([("prompt", "response"), *FAQ, ("x" * 2000, "too long")])
    env = {"XDG_STATE_HOME": str(tmp_path)}
    result = invoke("import", file, *official, **env)
    assert result.exit_code == 1
    assert "2 stored, 1 left out" in result.stdout
    assert "line 4: prompt: must have at most 1024 characters" in result.stderr


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--server-url: is required"),
        (["--server-url", "http://127.0.0.1:1"], "--cache-id: is required"),
        (["--server-url", "ftp://host", "--cache-id", "c"], "must begin with http"),
        (["--storage", "nonsense"], "--storage: must be sqlite:PATH or the URL of a Redis"),
        (["--storage", "sqlite:"], "--storage: must be sqlite:PATH or the URL of a Redis"),
        (["--storage", "memory"], "--storage: must be sqlite:PATH or the URL of a Redis"),
        (["--storage", "sqlite:/nowhere/at/all.db"], "cannot be opened"),
    ],
)
def test_wrong_options_are_refused(options, message):
    result = invoke("stats", *options)
    assert result.exit_code in (2, 3)
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_the_environment_says_where(minilm):
    with MockServer(embedder=minilm) as server:
        env = {"LANGCACHE_SERVER_URL": server.url, "LANGCACHE_CACHE_ID": "faq"}
        assert invoke("stats", **env).stdout == "entries: 0\n"


def test_looking_at_a_cache_does_not_decide_its_fields(tmp_path):
    SQLiteStorage(tmp_path / "cache.db").close()
    where = ["--storage", f"sqlite:{tmp_path / 'cache.db'}"]
    assert invoke("search", "anything", *where).exit_code == 1
    assert invoke("set", "p", "r", "--attribute", "topic=ai", *where).exit_code == 0
    result = invoke("set", "p", "r", "--attribute", "other=x", *where)
    assert result.exit_code == 2
    assert "must be fields that the cache declares (topic), got 'other'" in result.stderr
    storage = SQLiteStorage(tmp_path / "cache.db")
    cache = SemanticCache(storage=storage, filterable_fields=[{"name": "topic", "type": "tag"}])
    assert cache.check("p")[0]["topic"] == "ai"
    storage.close()


def test_a_prompt_cannot_steer_the_terminal(run):
    run("set", "evil \x1b[2J prompt", "r")
    assert "\x1b[2J" not in run("search", "evil request", status=1) + run(
        "search", "evil \x1b[2J prompt"
    )


def test_a_server_without_tls_needs_no_certificates(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    missing = str(tmp_path / "missing.pem")
    with MockServer(embedder=SimilarityTable({})) as server:
        where = ["--server-url", server.url, "--cache-id", CACHE]
        result = invoke("stats", *where, SSL_CERT_FILE=missing)
    assert result.exit_code == 0, result.exception
