"""Who may use the caching proxy, and who shares answers: held keys, scopes, secrets."""

import hashlib
import logging

import pytest
from langcache_mockserver import ConfigurationError, Settings
from langcache_mockserver.configuration import configuration_of

from langcache.engine.storage import InMemoryStorage

CACHE = "8fd0e5d9a7f94ab0b8b0d53fd4a6e8a1"
BODY = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Is it raining?"}]}
PATHS = ("/v1/chat/completions", "/v1/messages")


def key(token, *actions, cache=CACHE):
    return {"token": token, "grants": [{"cache": cache, "actions": [*actions]}]}


@pytest.fixture
def held(upstream, configured):
    """Return the arguments of `serve` for a proxy that holds the upstreams' keys."""
    upstream.keys = {"held-openai", "held-anthropic"}

    def arguments(**proxy):
        upstreams = [
            {"api": "openai", "url": upstream.openai_url, "key": "held-openai"},
            {"api": "anthropic", "url": f"{upstream.url}/", "key": "held-anthropic"},
        ]
        return configured(
            {"upstreams": upstreams, "cache": CACHE, **proxy},
            caches=[{"id": CACHE}],
            keys=[key("writer", "write"), key("another", "full"), key("reader", "read")],
        )

    return arguments


def ask(client, path, headers, **changes):
    return client.post(path, json={**BODY, **changes}, headers=headers)


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def test_a_held_key_replaces_that_of_the_client(serve, held, upstream):
    with serve(**held()) as client:
        for path in PATHS:
            assert ask(client, path, bearer("writer")).headers["x-langcache"] == "miss"
        headers = {"x-api-key": "writer"}
        del client.headers["authorization"]
        assert ask(client, PATHS[1], headers, model="m-2").headers["x-langcache"] == "miss"
    openai, *anthropic = upstream.requests
    assert openai.headers["authorization"] == "Bearer held-openai"
    assert "x-api-key" not in openai.headers
    for received in anthropic:
        assert received.headers["x-api-key"] == "held-anthropic"
        assert "authorization" not in received.headers
    assert not any("writer" in str(received.headers) for received in upstream.requests)


@pytest.mark.parametrize(("token", "status"), [("unknown", 401), ("reader", 403)])
def test_a_held_key_is_only_for_keys_that_may_write_to_the_cache(
    serve, held, upstream, token, status
):
    with serve(**held()) as client:
        for path in PATHS:
            assert ask(client, path, bearer("writer")).status_code == 200
            refused = ask(client, path, bearer(token))
            assert refused.status_code == status
            assert "message" in refused.json()["error"]
    assert upstream.count == 2


def test_keys_of_the_server_have_answers_of_their_own(serve, held, upstream):
    with serve(**held()) as client:
        outcomes = [
            ask(client, PATHS[0], bearer(token)).headers["x-langcache"]
            for token in ("writer", "another", "writer", "another")
        ]
    assert outcomes == ["miss", "miss", "hit", "hit"]


def test_keys_share_answers_if_that_is_configured(serve, held, upstream):
    with serve(**held(scope="shared")) as client:
        assert ask(client, PATHS[0], bearer("writer")).headers["x-langcache"] == "miss"
        assert ask(client, PATHS[0], bearer("another")).headers["x-langcache"] == "hit"
        tenant = {**bearer("another"), "x-langcache-scope": "acme"}
        assert ask(client, PATHS[0], tenant).headers["x-langcache"] == "miss"


def test_the_declared_cache_says_how_the_proxy_caches(serve, patient, upstream):
    content = {
        "caches": [{"id": CACHE, "default_threshold": 1, "default_ttl_millis": 60_000}],
        "keys": [key("writer", "full")],
        "proxy": {"cache": CACHE, "upstreams": [{"api": "openai", "url": upstream.openai_url}]},
    }
    with serve(**patient(Settings(), content)) as client:
        paraphrase = [{"role": "user", "content": "Does it rain?"}]
        assert ask(client, PATHS[0], {}).headers["x-langcache"] == "miss"
        assert ask(client, PATHS[0], {}, messages=paraphrase).headers["x-langcache"] == "miss"
        assert ask(client, PATHS[0], {}).headers["x-langcache"] == "hit"
        # Whoever may manage the cache can empty it.
        assert client.post(f"/v1/caches/{CACHE}/flush", headers=bearer("writer")).is_success
        assert ask(client, PATHS[0], {}).headers["x-langcache"] == "miss"


def test_answers_of_a_tenant_can_be_deleted(serve, held, upstream):
    storage = InMemoryStorage()
    with serve(**held(), storage=storage) as client:
        for scope in ("acme", "globex"):
            ask(client, PATHS[0], {**bearer("another"), "x-langcache-scope": scope})
        assert storage.delete_by_attributes(CACHE, {"scope": "acme"}) == 1
        for scope, outcome in (("acme", "miss"), ("globex", "hit")):
            again = ask(client, PATHS[0], {**bearer("another"), "x-langcache-scope": scope})
            assert again.headers["x-langcache"] == outcome


def test_no_key_is_stored_logged_or_shown(serve, held, upstream, caplog):
    caplog.set_level(logging.DEBUG, "langcache_mockserver")
    storage = InMemoryStorage()
    arguments = held()
    secrets = ("held-openai", "held-anthropic", "writer", "unknown-key")
    with serve(**arguments, storage=storage) as client:
        for token in ("writer", "unknown-key"):
            ask(client, PATHS[0], bearer(token))
        upstream.fail_next(500)
        ask(client, PATHS[0], bearer("writer"), model="m-2")
    kept = [f"{entry} {entry.response} {entry.attributes}" for entry in storage.entries(CACHE)]
    assert len(kept) == 1
    digests = [hashlib.sha256(secret.encode()).hexdigest() for secret in secrets]
    shown = [*kept, caplog.text, repr(arguments["configuration"].proxy)]
    assert not [each for each in (*secrets, *digests) for text in shown if each in text]


UPSTREAM = {"api": "openai", "url": "https://api.openai.com/v1"}
CACHE_1 = f"caches: [{{id: {CACHE}}}]\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("proxy: {}", ":1: proxy.upstreams: is required"),
        ("proxy: {upstreams: []}", ":1: proxy.upstreams: must have at least 1 items, got 0 items"),
        (
            "proxy:\n  cache: nowhere\n  upstreams: [{api: openai, url: 'https://a.example'}]",
            ":2: proxy.cache: must be the id of a declared cache",
        ),
        (
            "proxy:\n  upstreams:\n  - {api: openai, url: 'https://a.example', key: secret}",
            ":3: proxy.upstreams[0]: must have no key without proxy.cache, on which clients' keys "
            "have grants",
        ),
        (
            f"{CACHE_1}proxy:\n  cache: {CACHE}\n  scope: shared\n  upstreams:\n"
            "  - {api: openai, url: 'https://a.example'}",
            ":6: proxy.upstreams[0]: must have a key with proxy.scope shared, as nobody else "
            "checks clients",
        ),
        (
            f"{CACHE_1}proxy:\n  cache: {CACHE}\n  upstreams:\n"
            "  - {api: openai, url: 'https://a.example', key_env: LANGCACHE_TEST_NO_SUCH}",
            ":5: proxy.upstreams[0].key_env: must be a variable that is set",
        ),
    ],
)
def test_a_proxy_that_would_not_work_is_refused(tmp_path, text, problem):
    file = tmp_path / "server.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        configuration_of(Settings(config=str(file)))
    assert [each.removeprefix(str(file)) for each in caught.value.problems] == [problem]


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example", "https://user:password@a.example", "https://a.example/?q=1", "https://"],
)
def test_an_upstream_has_a_plain_url(url):
    given = {"proxy": {"upstreams": [{"api": "openai", "url": url}]}}
    with pytest.raises(ConfigurationError, match=r"proxy\.upstreams\[0\]\.url: must match"):
        configuration_of(Settings(), given)
    with pytest.raises(ValueError, match="proxy_openai: must be a URL of http or https") as caught:
        Settings(proxy_openai=url)
    assert "password" not in str(caught.value)


def test_a_key_can_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_KEY_OF_THE_TEST", "from-the-environment")
    upstream = {**UPSTREAM, "key_env": "OPENAI_KEY_OF_THE_TEST"}
    given = {"caches": [{"id": CACHE}], "proxy": {"cache": CACHE, "upstreams": [upstream]}}
    configuration = configuration_of(Settings(), given)
    assert configuration.proxy.upstreams[0].key == "from-the-environment"
    assert "from-the-environment" not in repr(configuration)


def test_a_proxy_is_configured_in_one_place(tmp_path):
    file = tmp_path / "server.yaml"
    file.write_text("proxy:\n  upstreams: [{api: openai, url: 'https://a.example'}]")
    with pytest.raises(ConfigurationError, match="proxy: must not be given beside the settings"):
        configuration_of(Settings(config=str(file), proxy_openai="https://a.example"))
