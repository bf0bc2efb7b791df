import asyncio
import contextlib
import gzip
import json
import socket
import threading

import httpx
import pytest
from langcache_mockserver import MockServer, Settings, SettingsError, SimilarityTable, create_app
from langcache_mockserver.controls.recording import read_exchanges

from langcache import LangCache, errors

KEY = "a-key-that-must-not-show"
GRANTS = [{"cache": "*", "actions": ["full"]}]
CACHE = "ab" * 16
CONFIG = {
    "caches": [{"id": CACHE, "name": "faq", "attributes": ["user"]}],
    "keys": [{"token": KEY, "grants": GRANTS}],
}


@pytest.fixture(scope="module")
def upstream():
    with MockServer(embedder=SimilarityTable({}), config=CONFIG) as server:
        yield server


@pytest.fixture
def server(upstream):
    upstream.reset()
    with MockServer(embedder=SimilarityTable({}), listen=False) as running:
        yield running


def client_of(server, key=KEY, cache=CACHE):
    return LangCache(server.url, key, cache, client=server.client(), retry_config=None)


def use(cache):
    """Do a bit of everything and return what came of it."""
    seen = [cache.search(prompt="p").data]
    entry_id = cache.set(prompt="p", response="r", attributes={"user": "ü;1"}).entry_id
    seen += [entry_id, cache.search(prompt="p").data, cache.search(prompt="p").data]
    cache.delete_by_id(entry_id=entry_id)
    try:
        cache.delete_by_id(entry_id=entry_id)
    except errors.NotFoundErrorResponseContent as error:
        seen.append((error.status_code, error.data.detail))
    seen.append(cache.delete_query(attributes={"user": "1"}).deleted_entries_count)
    cache.flush()
    return seen


def test_a_recording_answers_as_the_other_server_did(server, upstream, tmp_path):
    file = tmp_path / "answers.jsonl"
    server.recording.record(upstream.url, file=file)
    recorded = use(client_of(server))
    assert upstream.journal.count(operation="search") == 3
    server.recording.stop()
    assert server.dump()["caches"] == []
    assert client_of(server).search(prompt="p").data == []

    with MockServer(embedder=SimilarityTable({}), listen=False) as other:
        for replay in (server, other):
            replay.recording.replay(file)
            # Nor does the key count, nor the one cache's id.
            assert use(client_of(replay, "another-key", "another-cache")) == recorded
    assert upstream.journal.count(operation="search") == 3
    assert len(recorded[2]) == 1
    assert recorded[4][0] == 404


def test_the_last_answer_is_repeated_and_a_rewind_begins_anew(server, upstream):
    cache = client_of(server)
    server.recording.record(upstream.url)
    cache.search(prompt="p")
    cache.set(prompt="p", response="r")
    cache.search(prompt="p")
    server.recording.replay()
    for _ in range(2):
        assert [len(cache.search(prompt="p").data) for _ in range(4)] == [0, 1, 1, 1]
        server.recording.rewind()


def test_the_key_is_never_written(server, upstream, tmp_path):
    file = tmp_path / "answers.jsonl"
    server.recording.record(upstream.url, key=KEY, file=file)
    client_of(server, "another-key").set(prompt=f"What is {KEY}?", response=KEY)
    answer = client_of(server).search(prompt=f"What is {KEY}?")
    assert KEY not in answer.data[0].response
    (set_exchange, search_exchange) = read_exchanges(file.read_text(encoding="utf-8"))
    assert KEY not in set_exchange.body + search_exchange.body
    assert "uthorization" not in file.read_text(encoding="utf-8")
    assert KEY not in repr(server.recording)


def test_bodies_match_as_json(server, upstream):
    url = f"/v1/caches/{CACHE}/entries/search"
    with server.client() as http:
        http.headers.update({"authorization": f"Bearer {KEY}", "content-type": "application/json"})
        server.recording.record(upstream.url)
        http.post(url, content=b'{"prompt": "p", "maxResults": 1}').raise_for_status()
        server.recording.replay()
        for same in (b'{"maxResults":1.0,"prompt":"p"}', b'{"prompt":"\\u0070","maxResults":1}'):
            assert http.post(url, content=same).status_code == 200
        for other in (b'{"prompt":"P","maxResults":1}', b'{"prompt":"p"}', b"nonsense"):
            assert http.post(url, content=other).status_code == 404


def test_what_was_not_recorded_is_a_404_that_says_so(server, check_problem):
    server.recording.replay([])
    with server.client() as http:
        problem = check_problem(http.post("/v1/caches/c/flush"), 404)
    assert problem["detail"] == "the recording has no response to this flush"


def test_cache_ids_count_where_several_were_recorded(server, upstream):
    with server.client() as http:
        lines = [
            {
                "operation": "flush",
                "cacheId": cache,
                "entryId": "",
                "request": "",
                "status": status,
                "headers": {},
                "body": "",
            }
            for cache, status in (("a", 204), ("b", 403))
        ]
        body = {"mode": "replay", "exchanges": lines}
        assert http.put("/_mock/v1/recording", json=body).json() == {"mode": "replay", "count": 2}
        statuses = [http.post(f"/v1/caches/{cache}/flush").status_code for cache in "abc"]
        assert statuses == [204, 403, 404]


def test_errors_are_recorded_with_the_headers_that_matter(server, upstream):
    upstream.faults.add(status=429, retry_after=9)
    with server.client() as http:
        server.recording.record(upstream.url)
        recorded = http.post(f"/v1/caches/{CACHE}/flush")
        server.recording.replay()
        replayed = http.post(f"/v1/caches/{CACHE}/flush")
    for answer in (recorded, replayed):
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "9")
    assert recorded.json() == replayed.json()


def test_an_upstream_out_of_reach_is_a_424_and_not_recorded(server, check_problem):
    with socket.socket() as taken, server.client() as http:
        taken.bind(("127.0.0.1", 0))  # but nobody listens
        server.recording.record(f"http://127.0.0.1:{taken.getsockname()[1]}")
        check_problem(http.post("/v1/caches/c/flush"), 424)
    assert server.recording.exchanges == []


def test_recording_over_http(server, upstream, check_problem):
    with server.client() as http:
        url = "/_mock/v1/recording"
        assert http.get(url).json() == {"mode": "off", "count": 0}
        body = {"mode": "record", "upstream": upstream.url, "upstreamKey": KEY}
        assert KEY not in http.put(url, json=body).text
        client_of(server, "x").search(prompt="p")
        lines = http.get(f"{url}/exchanges").text
        exchanges = [json.loads(line) for line in lines.splitlines()]
        assert [each["operation"] for each in exchanges] == ["search"]
        assert http.put(url, json={"mode": "replay", "exchanges": exchanges}).status_code == 200
        assert client_of(server, "x").search(prompt="p").data == []
        assert http.put(url, json={"mode": "off"}).json()["mode"] == "off"
        for bad, field in (
            ({"mode": "record"}, "upstream"),
            ({"mode": "record", "upstream": "ftp://x"}, "upstream"),
            ({"mode": "sing"}, "mode"),
            ({"mode": "replay", "exchanges": [{}]}, "exchanges[0].operation"),
        ):
            fields = check_problem(http.put(url, json=bad), 400)["fields"]
            assert fields[0]["field"] == field


@pytest.mark.parametrize("line", ["nonsense", "[]", "{}", '{"operation": 1}'])
def test_a_file_that_is_no_recording_is_refused_by_its_line(tmp_path, line):
    file = tmp_path / "answers.jsonl"
    good = (
        '{"operation":"flush","cacheId":"c","entryId":"","request":"","status":204,'
        '"headers":{},"body":""}'
    )
    file.write_text(f"{good}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"^line 3: must be a recorded exchange$"):
        create_app(Settings(replay=str(file)), embedder=SimilarityTable({}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"record": "f", "replay": "f"}, "replay: must not be set with record"),
        ({"record": "f"}, "upstream: must be a URL of http or https"),
        ({"record": "f", "upstream": "x://me:pw@host"}, "upstream: must be a URL"),
        ({"upstream": "http://host"}, "record: is required with upstream"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, message):
    with pytest.raises(SettingsError, match=f"^{message}") as caught:
        Settings(**options)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("options", [{"test_controls": "off"}, {"host": "0.0.0.0"}])
def test_a_server_without_test_controls_refuses_to_replay(options):
    settings = Settings(replay="file", **options)
    with pytest.raises(SettingsError, match=r"^test_controls: must be on to record or replay"):
        create_app(settings, embedder=SimilarityTable({}))


def test_settings_record_and_replay(upstream, tmp_path):
    file = str(tmp_path / "answers.jsonl")
    upstream.reset()
    record = Settings(record=file, upstream=upstream.url, upstream_key=KEY)
    assert KEY not in repr(record)
    for settings in (record, Settings(replay=file)):
        app = create_app(settings, embedder=SimilarityTable({}))

        async def ask(app=app):
            transport = httpx.ASGITransport(app)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://test") as http,
            ):
                return await http.post(f"/v1/caches/{CACHE}/entries/search", json={"prompt": "p"})

        assert asyncio.run(ask()).json() == {"data": []}
    assert upstream.journal.count() == 1


@pytest.mark.parametrize("mode", ["record", "replay"])
@pytest.mark.parametrize("declared", [True, False])
def test_the_limit_of_a_body_holds_while_recording_and_replaying(
    upstream, check_problem, mode, declared
):
    content = b" " * 1001
    with (
        MockServer(embedder=SimilarityTable({}), max_body_bytes=1000) as server,
        httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {KEY}"}) as http,
    ):
        if mode == "record":
            server.recording.record(upstream.url)
        else:
            server.recording.replay([])
        for path in ("entries", "entries/search", "flush"):
            body = content if declared else iter([content])
            answer = http.post(f"/v1/caches/{CACHE}/{path}", content=body)
            check_problem(answer, 413)
    assert not server_exchanges(upstream)


def server_exchanges(upstream):
    return [each for each in upstream.journal.find() if each.status == 413]


@pytest.fixture
def odd_upstream():
    """A server that answers every request with these headers and this body."""

    def start(head, body):
        listener = socket.create_server(("127.0.0.1", 0))

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.recv(65536)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n" + head)
                        connection.sendall(b"\r\n" + body)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        started.append((listener, thread))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    started = []
    yield start
    for listener, thread in started:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_a_response_of_any_charset_is_recorded(server, odd_upstream):
    server.recording.record(odd_upstream(b"content-type: text/plain; charset=zip\r\n", b"what?"))
    with server.client() as http:
        assert http.post(f"/v1/caches/{CACHE}/flush").content == b"what?"


def test_headers_of_any_charset_are_recorded(server, odd_upstream):
    realm = 'Bearer realm="管理"'.encode()
    server.recording.record(odd_upstream(b"www-authenticate: " + realm + b"\r\n", b"{}"))
    with server.client() as http:
        for mode in ("record", "replay"):
            response = http.post(f"/v1/caches/{CACHE}/flush")
            assert response.status_code == 200, mode
            assert dict(response.headers.raw)[b"www-authenticate"] == realm
            server.recording.replay()


def test_a_response_that_is_too_large_is_not_recorded(server, odd_upstream, check_problem):
    bomb = gzip.compress(bytes(100 << 20), 1)
    server.recording.record(odd_upstream(b"content-encoding: gzip\r\n", bomb))
    with server.client() as http:
        problem = check_problem(http.post(f"/v1/caches/{CACHE}/flush"), 424)
    assert problem["detail"].startswith("the response of the upstream must have at most")
    assert not server.recording.exchanges
