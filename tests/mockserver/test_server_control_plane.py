import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, seed, settings
from langcache_mockserver import MockServer
from langcache_mockserver.domain.registry import COLLECTIONS, CacheSettings, Registry
from langcache_mockserver.http.documents import CONTROL_CONTRACT
from schemathesis.specs.openapi.checks import ignored_auth

from langcache.engine import InMemoryStorage
from langcache.engine.storage import SQLiteStorage, StorageBackend

CONFIGURED = "8fd0e5d9a7f94ab0b8b0d53fd4a6e8a1"
CONFIG = {
    "caches": [{"id": CONFIGURED, "name": "fixed"}],
    "keys": [{"token": "key", "grants": [{"cache": "*", "actions": ["full"]}]}],
    "admin_token": "admin",
}
CACHES = "/control/v1/caches"
CACHE = {
    "name": "faq",
    "databaseId": "7",
    "defaultSearchThreshold": 0.95,
    "defaultTtlMillis": 1000,
    "attributes": ["user_id"],
    "searchStrategies": ["exact", "semantic"],
}
ADMIN_OPERATIONS = [
    ("GET", CACHES),
    ("POST", CACHES),
    ("GET", f"{CACHES}/{CONFIGURED}"),
    ("PATCH", f"{CACHES}/{CONFIGURED}"),
    ("DELETE", f"{CACHES}/{CONFIGURED}"),
    ("DELETE", f"{CACHES}/{CONFIGURED}/entries"),
    ("GET", "/control/v1/embedding-providers"),
    ("GET", "/identity/v1/api-keys"),
    ("POST", "/identity/v1/api-keys"),
    ("DELETE", "/identity/v1/api-keys/x"),
    ("POST", "/identity/v1/api-keys/x/rotate"),
]


@pytest.fixture(scope="module")
def strict_server(minilm, mock_clock):
    with MockServer(embedder=minilm, clock=mock_clock, config=CONFIG) as server:
        yield server


@pytest.fixture(scope="module")
def dev_server(minilm):
    with MockServer(embedder=minilm, admin_token="admin") as server:
        yield server


@pytest.fixture(params=["strict", "development"])
def server(request, strict_server, dev_server):
    return strict_server if request.param == "strict" else dev_server


@pytest.fixture
def admin(server):
    with client_of(server, "admin") as client:
        yield client


@pytest.fixture
def user(server):
    with client_of(server, "key") as client:
        yield client


@pytest.fixture(scope="module")
def nobody():
    """A client without a token, of any server."""
    with httpx.Client(trust_env=False) as client:
        yield client


def client_of(server, token):
    headers = {"authorization": f"Bearer {token}"}
    # There is no TLS here, and what httpx loads for it takes longer than most tests.
    return httpx.Client(base_url=server.url, headers=headers, trust_env=False, verify=False)


def created(admin, **members):
    response = admin.post(CACHES, json=CACHE | members)
    assert response.status_code == 201, response.text
    assert set(response.json()) == {"cacheId"}
    return response.json()["cacheId"]


def store(user, cache_id, **members):
    entry = {"prompt": "p", "response": "r"} | members
    return user.post(f"/v1/caches/{cache_id}/entries", json=entry)


def found(user, cache_id, **members):
    response = user.post(f"/v1/caches/{cache_id}/entries/search", json={"prompt": "p"} | members)
    assert response.status_code == 200, response.text
    return response.json()["data"]


@pytest.mark.parametrize(("method", "path"), ADMIN_OPERATIONS)
@pytest.mark.parametrize("token", [None, "key", "admi", "admin2", "ADMIN", "*"])
def test_without_the_admin_token_every_operation_is_401(
    nobody, server, check_problem, method, path, token
):
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    response = nobody.request(method, f"{server.url}{path}", json={}, headers=headers)
    check_problem(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"


def test_the_admin_token_is_no_key(strict_server, check_problem):
    with client_of(strict_server, "admin") as admin:
        check_problem(admin.get(f"/v1/caches/{CONFIGURED}/health"), 401)


def test_a_cache_is_there_as_soon_as_it_is_created(admin, user, minilm):
    cache_id = created(admin)
    assert re.fullmatch(r"[0-9a-f]{32}", cache_id)
    cache = admin.get(f"{CACHES}/{cache_id}").json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", cache.pop("createdAt"))
    assert cache == CACHE | {
        "cacheId": cache_id,
        "databaseName": "memory",
        "status": "READY",
        "embeddingProvider": "local",
        "embeddingModel": minilm.model_id,
        "embeddingDimensions": minilm.dimensions,
    }
    listed = admin.get(CACHES).json()["caches"]
    assert [each["name"] for each in listed if each["cacheId"] == cache_id] == ["faq"]
    assert store(user, cache_id, attributes={"user_id": "7"}).status_code == 201
    assert found(user, cache_id, attributes={"user_id": "7"})


def test_the_time_of_creation_is_that_of_the_server(strict_server, mock_clock):
    with client_of(strict_server, "admin") as admin:
        cache_id = created(admin)
        assert admin.get(f"{CACHES}/{cache_id}").json()["createdAt"] == "2025-06-15T15:06:40.000Z"
    assert mock_clock.now == 1_750_000_000


def test_strategies_are_semantic_alone_unless_they_are_given(admin):
    body = {name: value for name, value in CACHE.items() if name != "searchStrategies"}
    cache_id = admin.post(CACHES, json=body).json()["cacheId"]
    assert admin.get(f"{CACHES}/{cache_id}").json()["searchStrategies"] == ["semantic"]


def test_a_created_cache_holds_to_its_declaration_in_development_too(admin, user, check_problem):
    with_one, with_none = created(admin), created(admin, attributes=[])
    problem = check_problem(store(user, with_none, attributes={"user_id": "7"}), 400)
    assert problem["detail"] == "attributes: no attributes are configured for this cache."
    check_problem(store(user, with_one, attributes={"other": "7"}), 400)


def test_a_change_holds_from_the_next_request_on_and_leaves_the_rest(admin, user):
    cache_id = created(admin)
    near = "What is the capital city of France?"
    store(user, cache_id, prompt="What is the capital of France?", ttlMillis=10**9)
    assert found(user, cache_id, prompt=near)
    response = admin.patch(f"{CACHES}/{cache_id}", json={"defaultSearchThreshold": 0.999})
    assert (response.status_code, response.json()) == (201, {"cacheId": cache_id})
    assert found(user, cache_id, prompt=near) == []
    before = admin.get(f"{CACHES}/{cache_id}").json()
    changes = {"defaultTtlMillis": 0, "searchStrategies": ["exact"]}
    assert admin.patch(f"{CACHES}/{cache_id}", json=changes).status_code == 201
    assert admin.get(f"{CACHES}/{cache_id}").json() == before | changes
    assert admin.patch(f"{CACHES}/{cache_id}", json={}).status_code == 201
    assert admin.get(f"{CACHES}/{cache_id}").json() == before | changes


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": None}, "name"),
        *(
            ({name: ...}, name)
            for name in (
                "name",
                "databaseId",
                "defaultSearchThreshold",
                "defaultTtlMillis",
                "attributes",
            )
        ),
        ({"name": ""}, "name"),
        ({"defaultSearchThreshold": 1.01}, "defaultSearchThreshold"),
        ({"defaultTtlMillis": -2}, "defaultTtlMillis"),
        ({"defaultTtlMillis": 1.5}, "defaultTtlMillis"),
        ({"attributes": ["a", "a"]}, "attributes"),
        ({"attributes": list("abcdef")}, "attributes"),
        ({"attributes": ["a b"]}, "attributes[0]"),
        ({"searchStrategies": []}, "searchStrategies"),
        ({"searchStrategies": ["fuzzy"]}, "searchStrategies[0]"),
        ({"cacheId": CONFIGURED}, "cacheId"),
    ],
)
def test_a_cache_must_hold_to_the_contract(admin, check_problem, body, field):
    members = {name: value for name, value in (CACHE | body).items() if value is not ...}
    problem = check_problem(admin.post(CACHES, json=members), 400)
    assert [each["field"] for each in problem["fields"]] == [field]


@pytest.mark.parametrize("body", [{"name": "other"}, {"attributes": []}, {"defaultTtlMillis": -5}])
def test_a_change_must_hold_to_the_contract(admin, check_problem, body):
    cache_id = created(admin)
    check_problem(admin.patch(f"{CACHES}/{cache_id}", json=body), 400)


def test_what_is_not_there_is_404(admin, check_problem):
    cache_id = created(admin)
    assert admin.delete(f"{CACHES}/{cache_id}").status_code == 200
    for path in (f"{CACHES}/{cache_id}", f"{CACHES}/nowhere", f"{CACHES}/%2A"):
        check_problem(admin.get(path), 404)
        check_problem(admin.patch(path, json={}), 404)
        check_problem(admin.delete(path), 404)
        check_problem(admin.delete(f"{path}/entries"), 404)


def test_a_flush_empties_one_cache(admin, user):
    one, two = created(admin), created(admin)
    for cache_id in (one, two):
        store(user, cache_id)
    assert admin.delete(f"{CACHES}/{one}/entries").status_code == 204
    assert (found(user, one), len(found(user, two))) == ([], 1)


def test_a_deleted_cache_is_gone_at_once_under_strict_rules(strict_server, check_problem):
    with client_of(strict_server, "admin") as admin, client_of(strict_server, "key") as user:
        cache_id = created(admin)
        store(user, cache_id)
        response = admin.delete(f"{CACHES}/{cache_id}")
        assert (response.status_code, response.json()) == (200, {"cacheId": cache_id})
        check_problem(store(user, cache_id), 404)
        assert all(each["cacheId"] != cache_id for each in admin.get(CACHES).json()["caches"])


@pytest.mark.parametrize(("query", "left"), [("", 1), ("?flush=false", 1), ("?flush=true", 0)])
def test_entries_of_a_deleted_cache_stay_unless_they_are_flushed(dev_server, query, left):
    with client_of(dev_server, "admin") as admin, client_of(dev_server, "key") as user:
        cache_id = created(admin)
        store(user, cache_id, ttlMillis=10**9)
        assert admin.delete(f"{CACHES}/{cache_id}{query}").status_code == 200
        # In development, the id is that of a cache without settings from now on.
        assert len(found(user, cache_id)) == left
        assert found(user, created(admin)) == []


@pytest.mark.parametrize("query", ["flush=1", "flush=", "flush=TRUE", "flush=true&flush=true"])
def test_another_word_for_true_deletes_nothing(admin, check_problem, query):
    cache_id = created(admin)
    problem = check_problem(admin.delete(f"{CACHES}/{cache_id}?{query}"), 400)
    assert problem["fields"][0]["field"] == "flush"
    assert admin.get(f"{CACHES}/{cache_id}").status_code == 200


def test_what_the_configuration_declares_can_be_seen_and_flushed_but_not_changed(
    strict_server, check_problem
):
    path = f"{CACHES}/{CONFIGURED}"
    with client_of(strict_server, "admin") as admin, client_of(strict_server, "key") as user:
        cache = admin.get(path).json()
        assert (cache["name"], cache["defaultTtlMillis"]) == ("fixed", -1)
        assert admin.get(CACHES).json()["caches"][0] == cache
        check_problem(admin.patch(path, json={"defaultTtlMillis": 5}), 403)
        check_problem(admin.delete(f"{path}?flush=true"), 403)
        assert admin.get(path).json() == cache
        store(user, CONFIGURED)
        assert admin.delete(f"{path}/entries").status_code == 204
        assert found(user, CONFIGURED) == []


def test_there_is_one_embedding_provider(admin, minilm):
    [provider] = admin.get("/control/v1/embedding-providers").json()["embeddingProviders"]
    assert provider == {
        "embeddingProvider": "local",
        "embeddingModel": minilm.model_id,
        "embeddingDimensions": 384,
    }


def test_the_contract_is_served(server):
    assert httpx.get(f"{server.url}/control/openapi.json").content == CONTROL_CONTRACT


def test_the_contract_is_valid():
    pytest.importorskip("openapi_spec_validator").validate(json.loads(CONTROL_CONTRACT))


control = schemathesis.openapi.from_dict(json.loads(CONTROL_CONTRACT))


@control.parametrize()
@seed(20261121)
@settings(
    max_examples=15,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_server_keeps_the_contract_of_the_control_plane(strict_server, case):
    case.call_and_validate(
        base_url=strict_server.url,
        headers={"authorization": "Bearer admin"},
        excluded_checks=[
            ignored_auth
        ],  # it takes a wrong token for none, and the test above has it
    )


def test_caches_are_there_again_after_a_restart(minilm, tmp_path):
    file = tmp_path / "cache.db"
    options = {"embedder": minilm, "strict": True, "admin_token": "admin"}

    @contextlib.contextmanager
    def running():
        with (
            contextlib.closing(SQLiteStorage(file)) as storage,
            MockServer(storage=storage, **options) as server,
            client_of(server, "admin") as admin,
        ):
            yield admin

    with running() as admin:
        cache_id = created(admin)
        before = admin.get(f"{CACHES}/{cache_id}").json()
    with running() as admin:
        assert admin.get(f"{CACHES}/{cache_id}").json() == before


def test_a_configured_cache_wins_over_one_of_the_same_id_that_was_created():
    storage = InMemoryStorage()
    made = CacheSettings(id=CONFIGURED, name="made", created_at="2025")
    Registry(storage).add_cache(made)
    assert Registry(storage).cache(CONFIGURED) == made
    fixed = CacheSettings(id=CONFIGURED, name="fixed", created_at="2026", configured=True)
    assert Registry(storage, [fixed]).caches() == [fixed]


class SharedStorage(StorageBackend):
    """A storage that other processes may change, for all that the server knows."""

    is_shared = True

    def __init__(self):
        self.entries_of = InMemoryStorage()
        self.reads = 0
        self.reading = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def records(self, collection):
        self.reads += 1
        self.reading.set()
        self.go_on.wait(5)
        return super().records(collection)

    def store(self, entry):
        self.entries_of.store(entry)

    def search(self, *args):
        return self.entries_of.search(*args)

    def delete(self, *args):
        return self.entries_of.delete(*args)

    def invalidate_namespace(self, namespace):
        return self.entries_of.invalidate_namespace(namespace)

    def clear(self):
        self.entries_of.clear()

    def namespace_size(self, namespace):
        return self.entries_of.namespace_size(namespace)

    def entries(self, namespace):
        return self.entries_of.entries(namespace)


def test_servers_with_one_storage_know_of_each_others_caches(minilm):
    options = {"embedder": minilm, "storage": SharedStorage(), "config": CONFIG}
    with (
        MockServer(**options) as one,
        MockServer(**options) as two,
        client_of(one, "admin") as admin,
        client_of(two, "admin") as other_admin,
        client_of(two, "key") as user,
    ):
        cache_id = created(admin)
        assert store(user, cache_id).status_code == 201  # at once, as it was unknown
        assert other_admin.patch(f"{CACHES}/{cache_id}", json={"defaultTtlMillis": 9}).is_success
        assert admin.get(f"{CACHES}/{cache_id}").json()["defaultTtlMillis"] == 9
        assert admin.delete(f"{CACHES}/{cache_id}").status_code == 200
        time.sleep(1.1)
        assert store(user, cache_id).status_code == 404  # a second later at most


def test_records_are_read_again_when_they_are_a_second_old_and_not_before():
    now = 100.0
    storage = SharedStorage()
    registry = Registry(storage, monotonic=lambda: now)
    assert registry.is_stale()  # it may be out of reach while the server starts
    registry.refresh()
    assert not registry.is_stale()
    now += 1.0
    assert not registry.is_stale()
    now += 0.1
    assert registry.is_stale()
    registry.refresh()
    assert not registry.is_stale()


def test_records_of_a_storage_of_ones_own_are_never_stale():
    now = 100.0
    registry = Registry(InMemoryStorage(), monotonic=lambda: now)
    now += 1e9
    assert not registry.is_stale()


def test_those_who_ask_at_the_same_time_share_one_reading():
    storage = SharedStorage()
    registry = Registry(storage)
    storage.reads = 0
    storage.reading.clear()
    storage.go_on.clear()
    first = threading.Thread(target=registry.refresh)
    first.start()
    assert storage.reading.wait(5)
    others = [threading.Thread(target=registry.refresh) for _ in range(8)]
    for thread in others:
        thread.start()
    time.sleep(0.1)  # by now they wait
    storage.go_on.set()
    for thread in (first, *others):
        thread.join(5)
    # The first reading began before they asked, so one more was needed: of the revision alone.
    assert storage.reads == (1 + len(COLLECTIONS)) + 1


def test_the_command_tells_the_admin_token_that_it_made_once_under_strict_rules():
    command = [sys.executable, "-W", "error", "-m", "langcache_mockserver", "--port", "0"]
    for arguments, told in ((["--strict"], 1), (["--strict", "--admin-token", "chosen"], 0)):
        process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            url = process.stdout.readline().split()[-1]
            if told:
                token = process.stderr.readline().removeprefix("langcache-mockserver admin token: ")
            else:
                token = "chosen"
            headers = {"authorization": f"Bearer {token.strip()}"}
            assert httpx.get(f"{url}{CACHES}", headers=headers).json() == {"caches": []}
            process.send_signal(signal.SIGTERM)
            stdout, stderr = process.communicate(timeout=10)
            assert (process.returncode, stdout, stderr) == (0, "", "")
        finally:
            process.kill()
            process.communicate()
