"""The published contract suite holds on every storage, and finds what is broken."""

import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
import unittest
import zlib
from urllib.parse import unquote

import httpx
import numpy as np
import pytest
import uvicorn
from langcache_mockserver import MockServer, create_app
from langcache_mockserver.contract import (
    RULES,
    LangCacheContract,
    Outcome,
    Target,
    UnusableError,
    check_contract,
)
from langcache_mockserver.contract.__main__ import main

from langcache.engine.storage.create import create_storage

KEY = "a-key-that-nobody-may-see"
ATTRIBUTES = ("topic", "language")

# What a storage is called on the command line, given the fixtures of pytest.
STORAGES = {
    "memory": lambda _: "memory",
    "sqlite": lambda fixtures: f"sqlite:{fixtures('tmp_path') / 'entries.db'}",
    "redis": lambda fixtures: fixtures("redis_url"),
}

# What a server lets pass in development, as it should.
DEVELOPMENT = {"access.unknown-key", "access.unknown-cache", "attributes.undeclared"}

CACHES = {name: digit * 32 for name, digit in {"main": "1", "other": "2", "bare": "3"}.items()}
FORBIDDEN = "f" * 32
STRICT = {
    "caches": [
        *({"id": CACHES[name], "attributes": list(ATTRIBUTES)} for name in ("main", "other")),
        {"id": CACHES["bare"]},
        {"id": FORBIDDEN},
    ],
    "keys": [
        {
            "token": KEY,
            "grants": [{"cache": each, "actions": ["full"]} for each in CACHES.values()],
        }
    ],
}
for cache in STRICT["caches"]:
    cache["search_strategies"] = ["semantic", "exact"]


class Clock:
    """A clock that goes when somebody sleeps by it."""

    def __init__(self):
        self.now = time.time()  # a storage may have a clock of its own, besides

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Words:
    """An embedder that counts words, which is fast and near enough to meaning."""

    model_id = "words"
    dimensions = 512

    def embed(self, texts):
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()) or [""]:
                vector[zlib.crc32(word.encode()) % self.dimensions] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    async def aembed(self, texts):
        return self.embed(texts)


def names(findings):
    return {finding.rule for finding in findings}


def check(url, clock, **options):
    """Check everything that can be checked on a server of ours."""
    defaults = {
        "cache_id": "contract",
        "api_key": KEY,
        "attributes": ATTRIBUTES,
        "other_cache_id": "other",
        "allow_destructive": True,
        "sleep": clock.sleep,
    }
    return check_contract(url, **{**defaults, **options})


@pytest.mark.parametrize("storage", STORAGES)
def test_the_server_keeps_the_contract_on_every_storage(storage, minilm, request):
    clock = Clock()
    used = create_storage(STORAGES[storage](request.getfixturevalue), clock=clock)
    with MockServer(embedder=minilm, storage=used, clock=clock) as server:
        report = check(server.url, clock)
        left = entries_left(server.url)
    used.close()
    assert names(report.departures) == set(), str(report)
    assert names(report.notes) == DEVELOPMENT, str(report)
    assert names(report.not_checked) == {"access.forbidden-cache", "attributes.none-configured"}
    assert left == 0


@pytest.mark.parametrize("storage", STORAGES)
def test_a_strict_server_keeps_the_contract_on_every_storage(storage, minilm, request):
    clock = Clock()
    used = create_storage(STORAGES[storage](request.getfixturevalue), clock=clock)
    with MockServer(embedder=minilm, storage=used, clock=clock, config=STRICT) as server:
        options = {
            "other_cache_id": CACHES["other"],
            "forbidden_cache_id": FORBIDDEN,
            "strict": True,
        }
        report = check(server.url, clock, cache_id=CACHES["main"], **options)
        bare = check(server.url, clock, cache_id=CACHES["bare"], attributes=(), **options)
    used.close()
    assert report.departures + report.notes == (), str(report)
    assert names(report.not_checked) == {"attributes.none-configured"}
    assert bare.departures + bare.notes == (), str(bare)
    assert "attributes.none-configured" not in names(bare.not_checked)


def test_a_cache_that_has_one_strategy_only_can_be_checked(minilm):
    clock = Clock()
    config = {
        "caches": [{"id": CACHES["main"], "search_strategies": ["semantic"]}],
        "keys": [{"token": KEY, "grants": [{"cache": "*", "actions": ["full"]}]}],
    }
    with MockServer(embedder=minilm, clock=clock, config=config) as server:
        options = {"cache_id": CACHES["main"], "attributes": (), "strict": True}
        report = check(server.url, clock, strategies=["semantic"], other_cache_id=None, **options)
    told = {finding.rule: finding.reason for finding in report.not_checked}
    assert report.departures == (), str(report)
    assert told["search.exact"] == "the cache has no strategy exact"
    assert {"search.order", "search.threshold"}.isdisjoint(told)


def entries_left(url):
    """Return how many entries a search that finds everything finds."""
    answer = httpx.post(
        f"{url}/v1/caches/contract/entries/search",
        headers={"authorization": f"Bearer {KEY}"},
        json={"prompt": "Anything?", "similarityThreshold": 0, "maxResults": 100},
        trust_env=False,
    )
    return len(answer.json()["data"])


class Altered:
    """An ASGI application around another one, which changes requests and answers on the way.

    `before` takes method, path and the members of the body, and changes the latter in place; an
    answer that it returns, as status and body, is sent in place of the real one. `after` takes
    method, path, status and the members of the answer, and returns a status; None leaves it.
    """

    def __init__(self, app):
        self.app = app
        self.reset()

    def reset(self):
        self.before = lambda *_: None
        self.after = lambda *_: None
        self.content_type = None

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request, more = b"", True
        while more:
            message = await receive()
            request += message.get("body", b"")
            more = message.get("more_body", False)
        call = scope["method"], scope["path"]
        with contextlib.suppress(ValueError):
            members = json.loads(request)
            if isinstance(members, dict):
                answer = self.before(*call, members)
                if answer is not None:
                    await self.send(send, answer[0], [], json.dumps(answer[1]).encode())
                    return
                request = json.dumps(members).encode()
        sent = []

        async def received():
            return {"type": "http.request", "body": request, "more_body": False}

        async def collect(message):
            sent.append(message)

        headers = [each for each in scope["headers"] if each[0] != b"content-length"]
        await self.app({**scope, "headers": headers}, received, collect)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        members = json.loads(body) if body else {}
        status = self.after(*call, sent[0]["status"], members) or sent[0]["status"]
        # A 204 has no body, and what is made of one is an empty object.
        body = b"" if status == 204 else json.dumps(members).encode()
        await self.send(send, status, sent[0]["headers"], body)

    async def send(self, send, status, headers, body):
        kept = [each for each in headers if each[0] not in {b"content-length", b"content-type"}]
        content_type = (self.content_type or "application/json").encode()
        headers = [*kept, (b"content-type", content_type), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def altered_server():
    """The URL of a server, its clock, and the application that can alter what it does."""
    clock = Clock()
    altered = Altered(create_app(embedder=Words(), clock=clock))
    config = uvicorn.Config(altered, port=0, log_config=None, lifespan="on", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", clock, altered
    server.should_exit = True
    thread.join()


@pytest.fixture(autouse=True)
def unaltered(request):
    """Undo what a test has altered."""
    yield
    if "altered_server" in request.fixturenames:
        request.getfixturevalue("altered_server")[2].reset()


def is_search(path):
    return path.endswith("/search")


def found(members):
    return members.get("data", [])


def set_is_200(altered):
    altered.after = lambda method, path, status, members: 200 if status == 201 else None


def miss_is_404(altered):
    def after(method, path, status, members):
        if is_search(path) and status == 200 and not found(members):
            members.clear()
            members.update(title="Not found", type="/errors/resource-not-found", status=404)
            return 404
        return None

    altered.after = after


def similarity_is_cosine(altered):
    def after(method, path, status, members):
        for each in found(members):
            each["similarity"] = max(2 * each["similarity"] - 1, 0)

    altered.after = after


def threshold_is_ignored(altered):
    def before(method, path, members):
        if 0 <= number(members, "similarityThreshold") <= 1:
            members["similarityThreshold"] = 0

    altered.before = before


def threshold_zero_is_none(altered):
    def before(method, path, members):
        if members.get("similarityThreshold") == 0:
            del members["similarityThreshold"]

    altered.before = before


def ids_are_new_each_time(altered):
    def before(method, path, members):
        attributes = members.get("attributes", {})
        if path.endswith("/entries") and "prompt" in members and isinstance(attributes, dict):
            members["attributes"] = {**attributes, "nonce": secrets.token_hex(8)}

    def after(method, path, status, members):
        for each in found(members):
            each["attributes"].pop("nonce", None)

    altered.before, altered.after = before, after


def attributes_are_ignored(altered):
    def before(method, path, members):
        if is_search(path) and isinstance(members.get("attributes"), dict):
            del members["attributes"]

    altered.before = before


def attributes_are_decoded(altered):
    def before(method, path, members):
        attributes = members.get("attributes")
        if isinstance(attributes, dict):
            decoded = {
                name: unquote(value) for name, value in attributes.items() if str(value) == value
            }
            attributes.update({name: value for name, value in decoded.items() if "," not in value})

    altered.before = before


def ttl_is_ignored(altered):
    def before(method, path, members):
        if 1 <= number(members, "ttlMillis") <= 31_556_952_000:
            del members["ttlMillis"]

    altered.before = before


def errors_have_no_type(altered):
    def after(method, path, status, members):
        if status >= 400:
            members.pop("type", None)

    altered.after = after


def errors_have_no_fields(altered):
    altered.after = lambda method, path, status, members: members.pop("fields", None) and None


def errors_are_all_500(altered):
    altered.after = lambda method, path, status, members: 500 if status >= 400 else None


def strategies_are_reversed(altered):
    def before(method, path, members):
        if isinstance(members.get("searchStrategies"), list):
            members["searchStrategies"].reverse()

    altered.before = before


def everything_is_semantic(altered):
    def before(method, path, members):
        if members.get("searchStrategies") == ["exact"]:
            members["searchStrategies"] = ["semantic"]

    altered.before = before


def max_results_is_ignored(altered):
    def before(method, path, members):
        if number(members, "maxResults") >= 1:
            members["maxResults"] = 50

    altered.before = before


def the_best_is_last(altered):
    altered.after = lambda method, path, status, members: found(members).reverse()


def deletes_are_all_204(altered):
    def after(method, path, status, members):
        return 204 if method == "DELETE" and status == 404 else None

    altered.after = after


def deletes_are_not_counted(altered):
    def after(method, path, status, members):
        if "deletedEntriesCount" in members:
            members["deletedEntriesCount"] = 0

    altered.after = after


def delete_query_deletes_everything(altered):
    def before(method, path, members):
        if method == "DELETE" and isinstance(members.get("attributes"), dict):
            members["attributes"] = {}

    altered.before = before


def entries_lack_their_attributes(altered):
    def after(method, path, status, members):
        for each in found(members):
            each.pop("attributes")

    altered.after = after


def it_answers_in_plain_text(altered):
    altered.content_type = "text/plain"


def ids_are_upper_case(altered):
    def after(method, path, status, members):
        if "entryId" in members:
            members["entryId"] = members["entryId"].upper()

    altered.after = after


def nothing_is_healthy(altered):
    def after(method, path, status, members):
        if "ok" in members:
            members["ok"] = False
        return 503 if path.startswith("/health") else None

    altered.after = after


def flush_is_200(altered):
    altered.after = lambda method, path, *_: 200 if path.endswith("/flush") else None


def number(members, name):
    value = members.get(name)
    return value if isinstance(value, int | float) else -1


OF_PROBLEMS = {"access.no-key", "delete.unknown", "limits.json", "openapi.deleteById"}

# What is broken, and rules that must say so.
BROKEN = {
    set_is_200: {"set.created", "openapi.set"},
    miss_is_404: {"search.miss"},
    similarity_is_cosine: {"search.normalised"},
    threshold_is_ignored: {"search.threshold", "search.threshold-one"},
    threshold_zero_is_none: {"search.threshold-zero"},
    ids_are_new_each_time: {"set.upsert", "attributes.upsert"},
    attributes_are_ignored: {"attributes.filter", "attributes.all-must-match"},
    attributes_are_decoded: {"attributes.round-trip"},
    ttl_is_ignored: {"ttl.expires"},
    errors_have_no_type: {*OF_PROBLEMS, "openapi.set", "openapi.search"},
    errors_have_no_fields: {"limits.set-no-prompt", "limits.search-threshold-above"},
    errors_are_all_500: OF_PROBLEMS,
    strategies_are_reversed: {"search.priority"},
    everything_is_semantic: {"search.exact", "search.exact-only"},
    max_results_is_ignored: {"search.max-results"},
    the_best_is_last: {"search.order"},
    deletes_are_all_204: {"delete.again", "delete.unknown"},
    deletes_are_not_counted: {"delete-query.count", "delete-query.everything"},
    delete_query_deletes_everything: {"delete-query.all-must-match"},
    entries_lack_their_attributes: {"openapi.search", "set.text"},
    ids_are_upper_case: {"set.entry-id"},
    nothing_is_healthy: {"health.cache", "health.service"},
    flush_is_200: {"flush.empties", "openapi.flush"},
    it_answers_in_plain_text: {"openapi.set", "openapi.search", "openapi.health"},
}


# What has to be checked besides, so that each operation has answers to compare with the document.
ALWAYS_CHECKED = {"set.text", "limits.set-no-prompt", "limits.search-prompt", "health.cache"}


@pytest.mark.parametrize("alter", BROKEN, ids=lambda alter: alter.__name__)
def test_what_is_broken_is_reported(altered_server, alter, monkeypatch):
    url, clock, altered = altered_server
    alter(altered)
    wanted = ALWAYS_CHECKED | BROKEN[alter]
    rules = [rule for rule in RULES if rule.name in wanted]
    monkeypatch.setattr("langcache_mockserver.contract.check.RULES", rules)
    report = check(url, clock, cache_id=alter.__name__)
    assert names(report.departures) >= BROKEN[alter]
    assert all(finding.expected and finding.got for finding in report.departures)
    assert KEY not in f"{report}{report.to_json()}"


def test_only_its_own_entries_are_touched_unless_more_is_allowed(altered_server):
    url, clock, _ = altered_server
    headers = {"authorization": f"Bearer {KEY}"}
    entries = f"{url}/v1/caches/somebodys/entries"
    entry = {"prompt": "What is mine?", "response": "This.", "attributes": {"topic": "mine"}}
    with httpx.Client(headers=headers, trust_env=False) as client:
        stored = client.post(entries, json=entry).json()["entryId"]
        report = check(url, clock, cache_id="somebodys", allow_destructive=False)
        everything = {"prompt": "?", "similarityThreshold": 0, "maxResults": 100}
        left = client.post(f"{entries}/search", json=everything).json()["data"]
    assert [each["id"] for each in left] == [stored]
    assert not report.departures, str(report)
    destructive = {rule.name for rule in RULES if rule.destructive}
    assert len(destructive) == 3
    assert names(report.not_checked) >= {*destructive, "openapi.flush"}


def test_what_is_needed_and_not_given_is_told(altered_server):
    url, clock, _ = altered_server
    report = check_contract(url, cache_id="bare", api_key=KEY, wait=False, sleep=clock.sleep)
    told = {finding.rule: finding.reason for finding in report.not_checked}
    assert all(told.values())
    assert told.keys() >= {
        "ttl.expires",
        "attributes.filter",
        "delete-query.count",
        "flush.empties",
    }
    assert not report.departures, str(report)


def test_a_strict_check_makes_departures_of_what_development_lets_pass(altered_server):
    url, clock, _ = altered_server
    assert names(check(url, clock, strict=True).departures) == DEVELOPMENT


def test_a_rate_limit_is_waited_for(altered_server):
    url, clock, altered = altered_server
    calls = []

    def before(method, path, members):
        calls.append(path)
        if len(calls) % 2:
            return 429, {"title": "Too many requests", "type": "/errors/too-many-requests"}
        return None

    altered.before = before
    assert not check(url, clock, cache_id="limited").departures


def test_a_rate_limit_without_end_leaves_rules_unchecked(altered_server):
    url, clock, altered = altered_server
    problem = {"title": "Too many requests", "type": "/errors/too-many-requests"}
    altered.before = lambda method, path, members: (
        (429, problem) if path.endswith("/entries") else None
    )
    told = {finding.rule: finding.reason for finding in check(url, clock).not_checked}
    assert told["set.upsert"] == "the rate limit is reached"


def test_names_of_rules_are_unique_and_every_rule_has_a_statement(altered_server):
    url, clock, _ = altered_server
    report = check(url, clock)
    assert len(names(report.findings)) == len(report.findings)
    assert all(finding.statement.endswith(".") for finding in report.findings)
    assert {finding.outcome for finding in report.findings} <= set(Outcome)


def test_the_rules_as_a_class_of_tests(altered_server):
    url, _, altered = altered_server

    class Ours(LangCacheContract):
        def target(self):
            return Target(url=url, cache_id="tests", api_key=KEY, wait=False)

    tests = [name for name in dir(Ours) if name.startswith("test_")]
    assert len(tests) == len(RULES)
    skipped = []
    for name in tests:
        with contextlib.suppress(unittest.SkipTest):
            skipped.append(name)
            getattr(Ours(), name)()
            skipped.pop()
    assert set(skipped) >= {"test_ttl_expires", "test_access_unknown_key", "test_flush_empties"}
    assert "test_search_order" not in skipped
    the_best_is_last(altered)
    with pytest.raises(AssertionError, match="expected: descending similarity"):
        Ours().test_search_order()
    altered.reset()
    it_answers_in_plain_text(altered)
    with pytest.raises(AssertionError, match="the content type must be"):
        Ours().test_search_order()


def test_the_command_says_what_it_finds(minilm, tmp_path):
    file = tmp_path / "report.json"
    command = [sys.executable, "-W", "error", "-m", "langcache_mockserver.contract"]
    command += ["--cache=command", "--attributes", ",".join(ATTRIBUTES), "--json", file]
    environment = {**os.environ, "LANGCACHE_API_KEY": KEY}
    with MockServer(embedder=minilm) as server:
        command += ["--url", server.url, "--destructive"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ok           ttl.expires: " in done.stdout
    report = json.loads(file.read_text(encoding="utf-8"))
    assert report["counts"]["departs"] == 0
    assert {each["outcome"] for each in report["findings"]} == {"ok", "note", "not checked"}
    assert f"{len(report['findings'])} rules: " in done.stdout


def test_the_command_ends_with_status_1_where_something_departs(altered_server, capsys):
    url, _, altered = altered_server
    the_best_is_last(altered)
    assert main(["--url", url, "--cache=command", "--no-wait", "--key", KEY]) == 1
    assert "departs      search.order: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--url", "http://127.0.0.1:1"], "gives no answer"),
        (["--url", "nowhere"], "gives no answer"),
        (["--url", "http://[::bad"], "gives no answer"),
        (["--url", "{url}", "--json", "/no/such/directory/file"], "No such file"),
        (["--url", "{url}", "--key", ""], "a key is needed"),
        (["--url", "{url}", "--key", "two words"], "the key must have"),
        (["--url", "{url}", "--key", "schlüssel"], "the key must have"),
    ],
)
def test_the_command_ends_with_status_2_where_it_can_check_nothing(
    altered_server, capsys, monkeypatch, arguments, message
):
    monkeypatch.delenv("LANGCACHE_API_KEY", raising=False)
    given = ["--cache=c", "--no-wait", "--key=k", *arguments]
    try:
        status = main([each.format(url=altered_server[0]) for each in given])
    except SystemExit as exit:
        status = exit.code
    error = capsys.readouterr().err
    assert status == 2
    assert message in error
    assert "Traceback" not in error


def test_a_service_that_fails_is_no_service_to_check(altered_server):
    url, clock, altered = altered_server
    altered.after = lambda *_: 500
    with pytest.raises(UnusableError, match="cannot be used"):
        check(url, clock)
