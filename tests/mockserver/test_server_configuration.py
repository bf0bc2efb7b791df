import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langcache_mockserver import ConfigurationError, MockServer, Settings
from langcache_mockserver.cli import read_settings
from langcache_mockserver.configuration import CONFIGURATION_SCHEMA, configuration_of
from langcache_mockserver.http.documents import CONTRACT, CONTROL_CONTRACT
from langcache_mockserver.http.relaxed_limits import LIMITS

ROOT = Path(__file__).resolve().parents[2]
ID = "8fd0e5d9a7f94ab0b8b0d53fd4a6e8a1"
GOOD = f"""
caches:
  - id: {ID}
    name: faq
    attributes: [user_id]
    default_threshold: 0.95
    default_ttl_millis: -1
    search_strategies: [semantic]
keys:
  - token: plain
    name: tests
    grants:
      - cache: "*"
        actions: [full]
  - token_sha256: {hashlib.sha256(b"hashed").hexdigest()}
    grants: [{{cache: {ID}, actions: [read, write]}}]
    rate_limit: {{requests: 5, per_seconds: 0.5}}
admin_token: the-admin
limits:
  comma: relaxed
  prompt_length: published
"""


@pytest.fixture
def problems_of(tmp_path):
    """Return what is wrong with a configuration file, line by line."""
    file = tmp_path / "server.yaml"

    def problems(text):
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ConfigurationError) as caught:
            configuration_of(Settings(config=str(file)))
        assert str(caught.value) == "\n".join(caught.value.problems)
        return [problem.removeprefix(str(file)) for problem in caught.value.problems]

    return problems


def test_a_file_says_which_caches_keys_and_limits_a_server_has(tmp_path, minilm):
    file = tmp_path / "server.yaml"
    file.write_text(GOOD)
    entry = {"prompt": "p", "response": "r", "attributes": {"user_id": "a,b"}}
    with MockServer(embedder=minilm, config=file) as server:
        path = f"{server.url}/v1/caches/{ID}/entries"
        for token, status in (("plain", 201), ("hashed", 201), ("other", 401)):
            headers = {"authorization": f"Bearer {token}"}
            assert httpx.post(path, json=entry, headers=headers).status_code == status
        too_long = entry | {"prompt": "p" * 1025}
        headers = {"authorization": "Bearer plain"}
        assert httpx.post(path, json=too_long, headers=headers).status_code == 400
        assert server.admin_token == "the-admin"


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "caches: []\nkeys: []\n"])
def test_an_empty_file_is_the_strict_rules_without_caches(tmp_path, text):
    file = tmp_path / "server.yaml"
    file.write_text(text)
    configuration = configuration_of(Settings(config=str(file)))
    assert configuration.strict
    assert configuration.caches == configuration.keys == ()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (f"id: {ID}", "id: FAQ", ":3: caches[0].id: must match ^[0-9a-f]{32}$, got 3 characters"),
        (
            f"id: {ID}",
            "id: 12",
            ":3: caches[0].id: must be of type string, got a number: put it in quotes",
        ),
        (f"id: {ID}\n    name", "name", ":3: caches[0].id: is required"),
        ("name: faq", "name: ''", ":4: caches[0].name: must have at least 1 characters, got 0 ch"),
        ("name: faq", "nam: faq", ":4: caches[0].nam: unknown field"),
        ("[user_id]", "[a, b c]", ":5: caches[0].attributes[1]: must match ^[a-zA-Z0-9_-]{1,32}$"),
        ("[user_id]", "[a, a]", ":5: caches[0].attributes: must not have the same item twice"),
        ("[user_id]", "[a, b, c, d, e, f]", ":5: caches[0].attributes: must have at most 5 items"),
        ("[user_id]", "\n    - a\n    - no", ":7: caches[0].attributes[1]: must be of type string"),
        ("0.95", "1.5", ":6: caches[0].default_threshold: must be at most 1, got 1.5"),
        ("0.95", ".nan", ":6: caches[0].default_threshold: must be"),
        ("0.95", "high", ":6: caches[0].default_threshold: must be of type number, got 4 char"),
        ("-1", "-2", ":7: caches[0].default_ttl_millis: must be at least -1, got -2"),
        ("-1", "1.5", ":7: caches[0].default_ttl_millis: must be of type integer, got 1.5"),
        ("[semantic]", "[fuzzy]", ":8: caches[0].search_strategies[0]: must be one of exact, sem"),
        ("[semantic]", "[]", ":8: caches[0].search_strategies: must have at least 1 items"),
        ("token: plain", "token: ''", ":10: keys[0].token: must match ^[!-~]+$, got 0 characters"),
        (
            "token: plain",
            "token: 5",
            ":10: keys[0].token: must be of type string, got a number: put it in",
        ),
        ("- token: plain\n    name", "- name", ":10: keys[0].token: is required"),
        ("token_sha256:", "token: a\n    token_sha256:", ":15: keys[1].token: must not be given"),
        ("token_sha256: ", "token_sha256: x", ":15: keys[1].token_sha256: must match"),
        ("[full]", "[all]", ":14: keys[0].grants[0].actions[0]: must be one of read, write, full"),
        ('cache: "*"', "cache: faq", ":13: keys[0].grants[0].cache: must be the id of a declared"),
        ("requests: 5", "requests: 0", ":17: keys[1].rate_limit.requests: must be at least 1, got"),
        ("0.5}", "0}", ":17: keys[1].rate_limit.per_seconds: must be more than 0, got 0"),
        (", per_seconds: 0.5", "", ":17: keys[1].rate_limit.per_seconds: is required"),
        ("the-admin", "the admin", ":18: admin_token: must match ^[!-~]+$, got 9 characters"),
        ("comma: relaxed", "comma: yes", ":20: limits.comma: must be one of published, relaxed"),
        ("comma:", "commas:", ":20: limits.commas: unknown field"),
        ("keys:", "key:", ":9: key: unknown field"),
        ("name: faq", "name: faq\n    name: faq", ":5: must be plain YAML: a name is given twice"),
        ("name: faq", "1: faq", ":4: must be plain YAML: a name must be text"),
        ("name: faq", "<<: {name: faq}", ":4: must be plain YAML: a name must be text"),
        (
            "name: faq",
            "name: !!binary aGk=",
            ":4: must be plain YAML: !!binary is not possible her",
        ),
        ("name: faq", "name: !!int x", ":4: must be plain YAML: !!int is not possible here"),
        ("name: faq", "name: !!python/name:os.system ''", ":4: must be plain YAML: !!python/name:"),
        ("name: faq", "name: [", ":6: must be plain YAML: "),
        ("name: faq", "name: *a", ":4: must be plain YAML: found undefined alias"),
        ("name: faq", "\tname: faq", ":4: must be plain YAML: "),
    ],
)
def test_a_mistake_is_told_by_line_field_and_rule(problems_of, old, new, problem):
    assert old in GOOD
    [found] = problems_of(GOOD.replace(old, new, 1))
    assert found.startswith(problem)


def test_all_mistakes_are_told_at_once_without_giving_away_what_was_written(problems_of):
    found = problems_of(
        GOOD.replace(ID, "secret1", 1)
        .replace("token: plain", "token: 'secret 2'")
        .replace("the-admin", "secret 3")
    )
    assert sorted(line.split(": ")[1] for line in found) == [
        "admin_token",
        "caches[0].id",
        "keys[0].token",
    ]
    assert "secret" not in "\n".join(found)


def test_caches_and_tokens_must_differ(problems_of):
    twice = f"caches:\n- id: {ID}\n- id: {ID}\n"
    assert problems_of(twice) == [":3: caches[1].id: must differ from the ids of earlier caches"]
    token = hashlib.sha256(b"t").hexdigest()
    twice = f"keys:\n- {{token: t, grants: []}}\n- {{token_sha256: {token}, grants: []}}\n"
    assert problems_of(twice) == [":3: keys[1]: must have another token than earlier keys"]


@pytest.mark.parametrize("place", ["token: {}", "- {}", "token_sha256: {}", "name: {}", "{}: x"])
@pytest.mark.parametrize(
    "secret",
    [
        *("8675309", "-8675309", "86.75309", "8675309e5", "0x8675309", "8675309:1"),
        *("*s8675309", "&s8675309", "!s8675309", "!s8675309!x", "!!s8675309", "%s8675309"),
        *("@s8675309", "[8675309]", "{s: 8675309}", "'s8675309", '"s\\8675309"', "|s8675309"),
        "tag:s8675309: x",
    ],
)
def test_a_secret_that_is_not_in_quotes_is_not_shown(problems_of, place, secret):
    place = place.format(secret)
    texts = [
        f"keys:\n- {place}\n  grants: []\n",
        f"keys:\n{place}\n",
        f"admin_{place}\n",
        f"admin_token:\n  {place}\n",
        f"keys: {secret}\n",
    ]
    for text in texts:
        try:
            found = problems_of(text)
        except pytest.fail.Exception:  # it is a good file
            continue
        # The name of an unknown field is shown: without it, nobody would find it.
        assert not [line for line in found if "8675309" in line and "unknown field" not in line]


def test_one_token_is_not_both_a_key_and_the_admin_token(problems_of, tmp_path):
    token = hashlib.sha256(b"t").hexdigest()
    for key in ("token: t", f"token_sha256: {token}"):
        text = f"keys:\n- {{{key}, grants: []}}\nadmin_token: t\n"
        assert problems_of(text) == [":2: keys[0]: must have another token than admin_token"]
    (tmp_path / "c.yaml").write_text("keys: [{token: t, grants: []}]\nadmin_token: other\n")
    with pytest.raises(ConfigurationError, match=r"^admin_token: must differ from the tokens"):
        configuration_of(Settings(config=str(tmp_path / "c.yaml"), admin_token="t"))


@pytest.mark.parametrize(
    ("options", "content"),
    [
        ({"record": "r.jsonl", "upstream": "https://a.example", "upstream_key": "t"}, {}),
        ({}, {"key": "t"}),
        ({}, {"key_env": "UPSTREAM_KEY_OF_THE_TEST"}),
    ],
)
def test_the_admin_token_is_not_sent_to_upstreams_as_their_key(monkeypatch, options, content):
    monkeypatch.setenv("UPSTREAM_KEY_OF_THE_TEST", "t")
    given = {"caches": [{"id": "a" * 32}], "admin_token": "t"}
    if content:
        upstream = {"api": "openai", "url": "https://a.example", **content}
        given["proxy"] = {"upstreams": [upstream], "cache": "a" * 32}
    with pytest.raises(ConfigurationError, match=r"^admin_token: must differ from the keys for up"):
        configuration_of(Settings(**options), given)
    given["admin_token"] = "other"
    assert configuration_of(Settings(**options), given).admin_token == "other"


def test_a_file_of_many_aliases_is_refused_before_they_are_followed(problems_of):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    [problem] = problems_of("\n".join(lines))
    assert problem == ": must have at most 100000 values"
    maps = [f"a{n}: &a{n} {{b: *a{n - 1}, c: *a{n - 1}}}" for n in range(1, 40)]
    [problem] = problems_of("\n".join(["a0: &a0 {}", *maps]))
    assert problem == ": must have at most 100000 values"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("just text", ":1: must be of type object, got 9 characters"),
        ("- a", ":1: must be of type object, got 1 items"),
        ("--- {}\n--- {}", ":2: must be plain YAML: but found another document"),
        (b"caches: \xff", ": must be YAML, got something that is not text"),
        (b"a: \x01", ": must be YAML, got something that is not text"),
        ("[" * 5000, ": must not be nested so deeply"),
        ("keys: &a [*a]", ": must not be nested so deeply"),
    ],
)
def test_a_file_that_is_something_else_is_refused(problems_of, text, problem):
    assert problems_of(text) == [problem]


def test_a_file_that_is_not_there_is_told_by_name(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: cannot be read: "):
        MockServer(config=tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigurationError, match="cannot be read: "):
        MockServer(config=tmp_path)


@given(st.binary(max_size=60) | st.text(alphabet="a:- \n[]{}&*!?|>'\"#%,1~<", max_size=60))
def test_any_file_is_read_or_refused(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        configuration = configuration_of(Settings(config=str(file)))
    except ConfigurationError as error:
        problems = error.problems
    else:
        problems = [] if configuration.strict and not configuration.caches else None
    assert problems is not None
    assert all(problem.startswith(str(file)) for problem in problems)


def test_a_mapping_will_do_in_place_of_a_file():
    with pytest.raises(
        ConfigurationError, match=r"^the configuration: caches\[0\]\.id: must match"
    ):
        MockServer(config={"caches": [{"id": "faq"}]})


def test_what_is_asked_for_by_option_wins_over_the_file():
    given = {"limits": "relaxed", "admin_token": "file"}
    assert configuration_of(Settings(), given).relaxed == set(LIMITS)
    assert configuration_of(Settings(limits="published"), given).relaxed == set()
    assert configuration_of(Settings(limits="comma"), given).relaxed == {"comma"}
    assert configuration_of(Settings(admin_token="option"), given).admin_token == "option"
    assert configuration_of(Settings(), given).admin_token == "file"


def test_declared_attributes_may_be_what_lifted_limits_let_in():
    cache = {"id": ID, "attributes": ["a name, with spaces", *"bcdef"]}
    assert configuration_of(Settings(limits="relaxed"), {"caches": [cache]}).caches
    for limits in ("attribute_name", "attribute_count", "comma"):
        with pytest.raises(ConfigurationError, match=r"caches\[0\]\.attributes"):
            configuration_of(Settings(limits=limits), {"caches": [cache]})


def test_secrets_are_neither_kept_as_they_are_nor_shown():
    given = {"keys": [{"token": "secret-key", "grants": []}], "admin_token": "secret-admin"}
    configuration = configuration_of(Settings(), given)
    assert "secret" not in repr(configuration)
    assert "secret" not in repr(Settings(admin_token="secret"))
    [key] = configuration.keys
    assert key.digest == hashlib.sha256(b"secret-key").hexdigest()


def test_without_a_token_for_the_admin_each_server_makes_its_own():
    made = {configuration_of(Settings()).admin_token for _ in range(3)}
    assert len(made) == 3
    assert all(len(token) >= 32 for token in made)


def test_the_schemas_of_configuration_and_control_plane_agree_with_the_contract():
    attributes = json.loads(CONTRACT)["components"]["schemas"]["SetRequest"]["properties"]
    schema = json.loads(CONFIGURATION_SCHEMA.read_bytes())
    control = json.loads(CONTROL_CONTRACT)["components"]["schemas"]
    for declared in (
        schema["$defs"]["Cache"]["properties"]["attributes"],
        control["CreateCacheRequest"]["properties"]["attributes"],
        control["Cache"]["properties"]["attributes"],
    ):
        assert declared["maxItems"] == attributes["attributes"]["maxProperties"]
        pattern = attributes["attributes"]["propertyNames"]["pattern"]
        assert declared["items"]["pattern"] == pattern
    for ttl in (
        schema["$defs"]["Cache"]["properties"]["default_ttl_millis"],
        control["CreateCacheRequest"]["properties"]["defaultTtlMillis"],
    ):
        assert ttl["maximum"] == attributes["ttlMillis"]["maximum"]
    assert set(schema["properties"]["limits"]["then"]["properties"]) == set(LIMITS)


def test_the_example_of_the_readme_is_a_configuration(tmp_path):
    readme = (ROOT / "mockserver" / "README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```yaml\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    file = tmp_path / "server.yaml"
    file.write_text(example)
    configuration = configuration_of(Settings(config=str(file)))
    assert [cache.name for cache in configuration.caches] == ["faq"]
    assert len(configuration.keys) == 2
    assert configuration.relaxed == {"comma"}


def test_the_command_tells_every_mistake_and_ends_with_status_2(tmp_path):
    file = tmp_path / "server.yaml"
    file.write_text("caches:\n- id: faq\n  name: ''\n")
    done = command("--config", str(file))
    prefix = f"langcache-mockserver: error: {file}"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"{prefix}:2: caches[0].id: must match ^[0-9a-f]{{32}}$, got 3 characters",
        f"{prefix}:3: caches[0].name: must have at least 1 characters, got 0 characters",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limits", "some"], "--limits: must be published, relaxed, or some of prompt_length, "),
        (["--admin-token", "sec ret"], "--admin-token: must be visible ASCII characters"),
        (["--strict", "maybe"], "--strict: must be on or off, got 'maybe'"),
    ],
)
def test_a_bad_option_is_one_line_and_status_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        read_settings(arguments, {})
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (2, "")
    assert printed.err.startswith(f"langcache-mockserver: error: {message}")
    assert printed.err.count("\n") == 1
    assert "sec ret" not in printed.err


def test_the_command_prints_the_schema():
    done = command("--print-config-schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == json.loads(CONFIGURATION_SCHEMA.read_bytes())


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "langcache_mockserver", "--port", "0", *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=20,
    )
