import contextlib
import hashlib
import re
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from langcache_mockserver import MockServer
from langcache_mockserver.domain.rate_limits import RateLimits, SharedRateLimits
from langcache_mockserver.domain.registry import Access, Key, RateLimit, Registry

from langcache.engine import InMemoryStorage
from langcache.engine.storage import SQLiteStorage

ONE, TWO = "1" * 32, "2" * 32
CONFIG = {
    "caches": [{"id": ONE}, {"id": TWO}],
    "keys": [{"token": "configured", "grants": []}],
    "admin_token": "admin",
}
KEYS = "/identity/v1/api-keys"
ENTRY = {"prompt": "p", "response": "r"}


@pytest.fixture(scope="module")
def storage():
    return InMemoryStorage()


@pytest.fixture(scope="module")
def server(minilm, storage):
    with MockServer(embedder=minilm, config=CONFIG, storage=storage) as server:
        yield server


@pytest.fixture(scope="module")
def admin(server):
    headers = {"authorization": "Bearer admin"}
    with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as client:
        yield client


def grant(cache_id, *actions):
    return {
        "product": "langcache",
        "resourceType": "lc-cache",
        "resourceId": cache_id,
        "actions": list(actions),
    }


def minted(admin, *grants, name="tests"):
    response = admin.post(KEYS, json={"name": name, "grants": list(grants)})
    assert response.status_code == 201, response.text
    return response.json()


def statuses(client, token, cache_id=ONE):
    """Return the statuses of reading, writing and flushing a cache."""
    path, headers = f"/v1/caches/{cache_id}", {"authorization": f"Bearer {token}"}
    return (
        client.post(f"{path}/entries/search", json={"prompt": "p"}, headers=headers).status_code,
        client.post(f"{path}/entries", json=ENTRY, headers=headers).status_code,
        client.post(f"{path}/flush", headers=headers).status_code,
    )


def test_a_minted_key_has_an_id_and_a_token_that_is_told_once(admin, storage):
    key = minted(admin, grant(ONE, "read", "write"), name="once")
    assert set(key) == {"keyId", "token", "createdAt"}
    assert re.fullmatch(r"[0-9a-f]{32}", key["keyId"])
    assert re.fullmatch(r"[\w-]{40,}", key["token"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", key["createdAt"])
    listed = admin.get(KEYS)
    [shown] = [each for each in listed.json()["apiKeys"] if each["keyId"] == key["keyId"]]
    assert shown == {
        "keyId": key["keyId"],
        "name": "once",
        "grants": [grant(ONE, "read", "write")],
        "createdAt": key["createdAt"],
    }
    kept = "".join(storage.records("server keys").values())
    digest = hashlib.sha256(key["token"].encode()).hexdigest()
    assert digest in kept
    assert digest not in listed.text
    assert key["token"] not in kept + listed.text


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        (["read"], (200, 403, 403)),
        (["write"], (200, 201, 403)),
        (["read", "write"], (200, 201, 403)),
        (["full"], (200, 201, 204)),
        (["full", "read"], (200, 201, 204)),
    ],
)
def test_a_key_may_do_what_its_actions_say_on_the_caches_they_name(admin, actions, expected):
    token = minted(admin, grant(ONE, *actions))["token"]
    assert statuses(admin, token, ONE) == expected
    assert statuses(admin, token, TWO) == (403, 403, 403)
    token = minted(admin, grant("*", *actions))["token"]
    assert statuses(admin, token, ONE) == statuses(admin, token, TWO) == expected


def test_grants_of_one_cache_add_up(admin):
    key = minted(admin, grant(ONE, "full"), grant(TWO, "read"), grant(ONE, "read"))
    assert statuses(admin, key["token"], ONE) == (200, 201, 204)
    assert statuses(admin, key["token"], TWO) == (200, 403, 403)


def test_a_key_without_grants_may_do_nothing(admin):
    assert statuses(admin, minted(admin)["token"]) == (403, 403, 403)


def test_a_rotated_key_has_another_token_at_once(admin):
    key, other = minted(admin, grant(ONE, "full")), minted(admin, grant(ONE, "full"))
    response = admin.post(f"{KEYS}/{key['keyId']}/rotate")
    assert response.status_code == 200
    rotated = response.json()
    assert (rotated["keyId"], rotated["createdAt"]) == (key["keyId"], key["createdAt"])
    assert rotated["token"] != key["token"]
    assert statuses(admin, key["token"]) == (401, 401, 401)
    assert statuses(admin, rotated["token"]) == (200, 201, 204)
    assert statuses(admin, other["token"]) == (200, 201, 204)


def test_a_revoked_key_is_unknown_at_once(admin, check_problem):
    key, other = minted(admin, grant(ONE, "full")), minted(admin, grant(ONE, "full"))
    response = admin.delete(f"{KEYS}/{key['keyId']}")
    assert (response.status_code, response.content) == (204, b"")
    assert statuses(admin, key["token"]) == (401, 401, 401)
    assert statuses(admin, other["token"]) == (200, 201, 204)
    assert key["keyId"] not in admin.get(KEYS).text
    check_problem(admin.delete(f"{KEYS}/{key['keyId']}"), 404)
    check_problem(admin.post(f"{KEYS}/{key['keyId']}/rotate"), 404)


def test_keys_of_the_configuration_are_not_to_be_seen_or_changed_here(admin, check_problem):
    assert "configur" not in admin.get(KEYS).text
    for key_id in ("keys[0] of the configuration", "configured"):
        check_problem(admin.delete(f"{KEYS}/{key_id}"), 404)
        check_problem(admin.post(f"{KEYS}/{key_id}/rotate"), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"grants": []}, "name"),
        ({"name": "k"}, "grants"),
        ({"name": "", "grants": []}, "name"),
        ({"name": "k", "grants": {}}, "grants"),
        ({"name": "k", "grants": [], "token": "chosen"}, "token"),
        *(
            ({"name": "k", "grants": [grant(ONE, "read") | wrong]}, f"grants[0].{field}")
            for wrong, field in [
                ({"product": "other"}, "product"),
                ({"resourceType": "lc-key"}, "resourceType"),
                ({"resourceId": ""}, "resourceId"),
                ({"resourceId": None}, "resourceId"),
                ({"actions": []}, "actions"),
                ({"actions": ["READ"]}, "actions[0]"),
                ({"cache": ONE}, "cache"),
            ]
        ),
    ],
)
def test_a_key_must_hold_to_the_contract(admin, check_problem, body, field):
    problem = check_problem(admin.post(KEYS, json=body), 400)
    assert [each["field"] for each in problem["fields"]] == [field]


def test_a_body_with_thousands_of_mistakes_is_answered_with_the_first(admin, check_problem):
    grants = [grant(ONE, "x" * 9) for _ in range(900)]
    problem = check_problem(admin.post(KEYS, json={"name": "k", "grants": grants}), 400)
    assert [each["field"] for each in problem["fields"]] == ["grants[0].actions[0]"]


def test_tokens_are_never_the_same(admin):
    keys = [minted(admin) for _ in range(20)]
    assert len({key["token"] for key in keys}) == len({key["keyId"] for key in keys}) == 20


def test_identity_says_whether_it_is_ready_without_a_token(server):
    response = httpx.get(f"{server.url}/identity/v1/health/ready")
    assert (response.status_code, response.json()) == (200, {"ok": True})


def test_keys_are_known_again_after_a_restart(minilm, tmp_path):
    @contextlib.contextmanager
    def running():
        with (
            contextlib.closing(SQLiteStorage(tmp_path / "cache.db")) as storage,
            MockServer(embedder=minilm, storage=storage, config=CONFIG) as server,
            httpx.Client(
                base_url=server.url, headers={"authorization": "Bearer admin"}, trust_env=False
            ) as client,
        ):
            yield client

    with running() as client:
        key, revoked = minted(client, grant(ONE, "full")), minted(client, grant(ONE, "full"))
        client.delete(f"{KEYS}/{revoked['keyId']}")
    with running() as client:
        assert statuses(client, key["token"]) == (200, 201, 204)
        assert statuses(client, revoked["token"]) == (401, 401, 401)


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_key_whose_token_became_the_admin_token_is_not_accepted(minilm, caplog, is_shared):
    storage = SharedMemory() if is_shared else InMemoryStorage()

    @contextlib.contextmanager
    def running(admin_token):
        with (
            MockServer(embedder=minilm, storage=storage, config=CONFIG | admin_token) as server,
            httpx.Client(
                base_url=server.url,
                headers={"authorization": f"Bearer {server.admin_token}"},
                trust_env=False,
            ) as client,
        ):
            yield client

    with running({}) as client:
        key = minted(client, grant(ONE, "full"))
        assert statuses(client, key["token"]) == (200, 201, 204)
    with running({"admin_token": key["token"]}) as client:
        assert statuses(client, key["token"]) == (401, 401, 401)
        rotated = client.post(f"{KEYS}/{key['keyId']}/rotate")
        assert statuses(client, rotated.json()["token"]) == (200, 201, 204)
        assert statuses(client, key["token"]) == (401, 401, 401)
    assert caplog.messages == [
        f"the API key {key['keyId']} is not accepted: its token is the admin token"
    ]


class SharedMemory(InMemoryStorage):
    """A storage that other processes may use, as the server is told."""

    is_shared = True


def test_the_console_of_another_server_knows_of_new_caches_and_revoked_keys(minilm):
    options = {"embedder": minilm, "storage": SharedMemory(), "config": CONFIG}
    with (
        MockServer(**options) as one,
        MockServer(**options) as two,
        httpx.Client(trust_env=False, headers={"authorization": "Bearer admin"}) as admin,
    ):

        def caches(token):
            headers = {"authorization": f"Bearer {token}"}
            response = admin.get(f"{two.url}/console/v1/caches", headers=headers)
            return response.status_code, {
                cache["cacheId"] for cache in response.json().get("caches", ())
            }

        key = admin.post(
            one.url + KEYS, json={"name": "k", "grants": [grant(ONE, "console")]}
        ).json()
        assert caches(key["token"]) == (200, {ONE})
        declared = {
            "name": "new",
            "databaseId": "default",
            "defaultSearchThreshold": 0.9,
            "defaultTtlMillis": -1,
            "attributes": [],
        }
        made = admin.post(f"{one.url}/control/v1/caches", json=declared).json()["cacheId"]
        assert caches("admin") == (200, {ONE, TWO, made})
        assert admin.delete(f"{one.url}{KEYS}/{key['keyId']}").status_code == 204
        time.sleep(1.1)
        assert caches(key["token"]) == (401, set())  # a second later at most
        headers = {"authorization": f"Bearer {key['token']}"}
        for path in ("server", "savings"):
            response = admin.get(f"{two.url}/console/v1/{path}", headers=headers)
            assert response.status_code == 401


def test_a_key_that_is_revoked_while_it_is_rotated_stays_revoked():
    registry = Registry(InMemoryStorage())
    key = Key(id="k", name="", digest="0" * 64, grants={"*": Access.FULL}, created_at="2026")
    registry.add_key(key)
    assert registry.change_key("k", lambda _key: None) == key
    assert registry.change_key("k", lambda key: key) is None
    assert registry.minted_keys() == []


def test_a_bucket_gives_what_it_holds_at_once_and_then_as_time_goes_by():
    now = 0.0
    limits, limit = RateLimits(lambda: now), RateLimit(4, 2.0)
    assert [limits.take("a", limit) for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert limits.take("b", limit) == 0
    now = 0.25
    assert limits.take("a", limit) == 0.25  # what was refused didn't count
    now = 0.5
    assert [limits.take("a", limit) for _ in range(2)] == [0, 0.5]
    now = 1e9
    assert [limits.take("a", limit) for _ in range(5)] == [0, 0, 0, 0, 0.5]


def test_a_shared_bucket_gives_the_same():
    now = 1.0
    limits, limit = SharedRateLimits(["a"], lambda: now), RateLimit(4, 2.0)
    assert [limits.take("a", limit) for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert limits.take("of a key that came later", limit) == 0
    now = 1.5
    assert [limits.take("a", limit) for _ in range(2)] == [0, 0.5]


def test_a_process_that_died_with_the_lock_stops_nobody():
    limits = SharedRateLimits(["a"])
    assert limits._shared.get_lock().acquire()
    with ThreadPoolExecutor(1) as other:
        assert other.submit(limits.take, "a", RateLimit(1, 1000.0)).result() == 0
        assert other.submit(limits.take, "a", RateLimit(1, 1000.0)).result() > 0
    assert limits._shared.get_lock().acquire(block=False)  # only the first of them had to wait


@pytest.mark.parametrize(("requests", "seconds"), [(1, 0.001), (10, 1.0), (3, 3600.0)])
def test_over_a_long_time_a_bucket_gives_its_rate(requests, seconds):
    now, step = 0.0, seconds / requests / 7
    limits, limit = RateLimits(lambda: now), RateLimit(requests, seconds)
    taken = 0
    for tick in range(7000):
        now = tick * step
        taken += limits.take("a", limit) == 0
    assert abs(taken - requests - 1000) <= 1
