import json
import time

import pytest

SET, SEARCH, CONVERSE, DELETE = "set", "search", "converse", "delete"
VALID = {
    SET: {"prompt": "p", "response": "r"},
    SEARCH: {"prompt": "p"},
    CONVERSE: {"prompt": "p"},
    DELETE: {"attributes": {}},
}
SEARCHES = (SEARCH, CONVERSE)
JSON = {"content-type": "application/json"}


def send(client, cache_path, operation, content, headers=JSON):
    method, path = {
        SET: ("POST", "/entries"),
        SEARCH: ("POST", "/entries/search"),
        CONVERSE: ("POST", "/conversations/search"),
        DELETE: ("DELETE", "/entries"),
    }[operation]
    return client.request(method, f"{cache_path}{path}", content=content, headers=headers)


def cases():
    for operation in (SET, *SEARCHES):
        yield operation, {"prompt": ""}, "prompt", "minLength", "at least 1 characters, got 0"
        too_long = {"prompt": "secret" * 171}
        yield operation, too_long, "prompt", "maxLength", "at most 1024 characters, got 1026"
        yield operation, {"prompt": 5}, "prompt", "type", "of type string, got 5"
        yield operation, {"prompt": None}, "prompt", "type", "of type string, got null"
        yield operation, {"prompt": ...}, "prompt", "required", "is required"
    yield SET, {"response": ...}, "response", "required", "is required"
    yield SET, {"response": ["secret"]}, "response", "type", "of type string, got 1 items"
    yield SET, {"ttlMillis": 0}, "ttlMillis", "minimum", "at least 1, got 0"
    yield SET, {"ttlMillis": -1}, "ttlMillis", "minimum", "at least 1, got -1"
    yield SET, {"ttlMillis": 31_556_952_001}, "ttlMillis", "maximum", "at most 31556952000, got"
    yield SET, {"ttlMillis": 1e300}, "ttlMillis", "maximum", "got 1e+300"
    yield SET, {"ttlMillis": 10**308}, "ttlMillis", "maximum", "got a number of 309 characters"
    yield SET, {"ttlMillis": 1.5}, "ttlMillis", "type", "of type integer, got 1.5"
    yield SET, {"ttlMillis": "1"}, "ttlMillis", "type", "of type integer, got 1 characters"
    yield SET, {"ttlMillis": True}, "ttlMillis", "type", "of type integer, got a boolean"
    value = {"attributes": {"topic": "a,secret"}}
    yield SET, value, "attributes.topic", "pattern", "match ^[^,]*$, got 8 characters"
    value = {"attributes": {"topic": "x" * 501}}
    yield SET, value, "attributes.topic", "maxLength", "at most 500 characters, got 501"
    value = {"attributes": {"topic": ""}}
    yield SET, value, "attributes.topic", "minLength", "at least 1 characters, got 0"
    for operation in VALID:
        unknown = {"promt": "secret"}
        yield operation, unknown, "promt", "additionalProperties", "a name of 5 characters"
        unknown = {"secret secret": 1}
        yield operation, unknown, "*", "additionalProperties", "a name of 13 characters"
        yield operation, {"attributes": []}, "attributes", "type", "of type object, got 0 items"
        six = {"attributes": {f"name{n}": "v" for n in range(6)}}
        yield operation, six, "attributes", "maxProperties", "at most 5 members, got 6"
        for name in ("", "x" * 33, "secret name", "secret\n", "é", "secret.x"):
            message = f"must match ^[a-zA-Z0-9_-]{{1,32}}$, got {len(name)} characters"
            named = {"attributes": {name: "v"}}
            yield operation, named, "attributes", "propertyNames", message
        value = {"attributes": {"topic": 1}}
        yield operation, value, "attributes.topic", "type", "of type string, got 1"
    yield DELETE, {"attributes": ...}, "attributes", "required", "is required"
    for operation in SEARCHES:
        field = "similarityThreshold"
        yield operation, {field: -0.001}, field, "minimum", "at least 0, got -0.001"
        yield operation, {field: 1.001}, field, "maximum", "at most 1, got 1.001"
        yield operation, {field: "0.9"}, field, "type", "of type number, got 3 characters"
        field = "maxResults"
        yield operation, {field: 0}, field, "minimum", "at least 1, got 0"
        yield operation, {field: 2**31}, field, "maximum", "at most 2147483647, got 2147483648"
        yield operation, {field: 1.5}, field, "type", "of type integer, got 1.5"
        field = "searchStrategies"
        yield operation, {field: []}, field, "minItems", "at least 1 items, got 0"
        yield operation, {field: "exact"}, field, "type", "of type array, got 5 characters"
        value = {field: ["exact", "fuzzy"]}
        yield operation, value, f"{field}[1]", "enum", "one of exact, semantic, got 5 characters"
    yield CONVERSE, {"context": "secret"}, "context", "type", "of type array, got 6 characters"
    yield CONVERSE, {"context": [""]}, "context[0]", "minLength", "at least 1 characters, got 0"
    yield CONVERSE, {"context": ["c", {}]}, "context[1]", "type", "of type string, got 0 members"


@pytest.mark.parametrize(
    ("operation", "change", "field", "rule", "message"),
    [pytest.param(*case, id=f"{case[0]}-{case[2]}-{case[3]}") for case in cases()],
)
def test_a_broken_rule_of_the_contract_is_named(
    http, cache_path, check_problem, operation, change, field, rule, message
):
    members = {**VALID[operation], **change}
    body = {name: value for name, value in members.items() if value is not ...}
    response = send(http, cache_path, operation, json.dumps(body))
    problem = check_problem(response, 400)
    assert [(each["field"], each["rule"]) for each in problem["fields"]] == [(field, rule)]
    assert message in problem["fields"][0]["message"]
    assert problem["detail"] == f"{field}: {problem['fields'][0]['message']}"
    assert "secret" not in response.text


def test_the_limits_themselves_are_allowed(http, cache_path):
    attributes = {f"Name-_{n}".ljust(32, "x"): "é" * 500 for n in range(5)}
    for ttl in (1, 31_556_952_000):
        body = {"prompt": "🦊" * 1024, "response": "", "attributes": attributes, "ttlMillis": ttl}
        assert send(http, cache_path, SET, json.dumps(body)).status_code == 201
    body = {
        "prompt": "🦊" * 1024,
        "similarityThreshold": 1,
        "maxResults": 2**31 - 1,
        "searchStrategies": ["exact", "semantic", "exact"],
        "attributes": attributes,
    }
    assert len(send(http, cache_path, SEARCH, json.dumps(body)).json()["data"]) == 1
    body["context"] = []
    assert len(send(http, cache_path, CONVERSE, json.dumps(body)).json()["data"]) == 1


def test_a_filter_value_may_be_empty_long_or_have_a_comma(http, cache_path):
    for value in ("", "a,b", "x" * 600):
        body = json.dumps({"prompt": "p", "attributes": {"a": value}})
        assert send(http, cache_path, SEARCH, body).status_code == 200


def test_every_broken_rule_is_listed(http, cache_path, check_problem):
    body = {"prompt": "", "ttlMillis": 0, "attributes": {"a": "", "b c": 1}, "x": 1, "y": 2}
    problem = check_problem(send(http, cache_path, SET, json.dumps(body)), 400)
    assert {(each["field"], each["rule"]) for each in problem["fields"]} == {
        ("prompt", "minLength"),
        ("response", "required"),
        ("ttlMillis", "minimum"),
        ("attributes.a", "minLength"),
        ("attributes.*", "type"),
        ("attributes", "propertyNames"),
        ("x", "additionalProperties"),
        ("y", "additionalProperties"),
    }


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "p", "context": [""] * 100},
        {"prompt": "p", **{f"x{n}": 1 for n in range(100)}},
        {"prompt": "p", "context": ["\ud800"] * 1000},
    ],
)
def test_no_more_than_20_broken_rules_are_listed(http, cache_path, check_problem, body):
    problem = check_problem(send(http, cache_path, CONVERSE, json.dumps(body)), 400)
    assert len(problem["fields"]) == 20


@pytest.mark.parametrize(
    "body",
    [
        b'{"prompt":"","context":[' + b"1," * 500_000 + b"1]}",
        b'{"prompt":"","attributes":{' + b",".join(b'"a b%d":1' % n for n in range(70_000)) + b"}}",
        b'{"prompt":"",' + b",".join(b'"%d":1' % n for n in range(90_000)) + b"}",
        b'{"prompt":"","context":["\\u0041"' + b",[]" * 300_000 + b"]}",
    ],
)
def test_a_large_body_with_many_broken_rules_is_refused_at_once(
    http, cache_path, check_problem, body
):
    start = time.monotonic()
    problem = check_problem(send(http, cache_path, CONVERSE, body), 400)
    assert time.monotonic() - start < 20
    assert [(each["field"], each["rule"]) for each in problem["fields"]] == [
        ("prompt", "minLength")
    ]


@pytest.mark.parametrize(
    ("content", "field", "rule", "message"),
    [
        (b"", "body", "json", "must be JSON, got an error at line 1 column 1"),
        (b"{", "body", "json", "must be JSON, got an error at line 1 column 2"),
        (b'{"prompt":\n"secret" "x"}', "body", "json", "got an error at line 2 column 10"),
        (b"{'prompt': 'secret'}", "body", "json", "got an error at line 1 column 2"),
        (b'{"prompt": "secret"}{}', "body", "json", "got an error at line 1 column 21"),
        (b'\xef\xbb\xbf{"prompt": "p"}', "body", "json", "got an error at line 1 column 1"),
        (b'{"prompt": "a\nb"}', "body", "json", "got an error at line 1 column 14"),
        (b'{"similarityThreshold": NaN}', "body", "json", "must be JSON, got NaN"),
        (b'{"x": -Infinity}', "body", "json", "must be JSON, got -Infinity"),
        (b'{"maxResults": 1e999}', "body", "range", "one of 5 characters"),
        (b'{"maxResults": ' + b"9" * 310 + b"}", "body", "range", "one of 310 characters"),
        (b'{"maxResults": ' + b"9" * 9999 + b"}", "body", "range", "one of 9999 characters"),
        (
            b'{"prompt": "\xff"}',
            "body",
            "encoding",
            "must be UTF-8, got an invalid byte at position 12",
        ),
        ('{"prompt": "p"}'.encode("utf-16"), "body", "encoding", "must be UTF-8"),
        (
            b'{"prompt": "\xed\xa0\x80"}',
            "body",
            "encoding",
            "must be UTF-8, got an invalid byte at position 12",
        ),
        (b'{"prompt": "secret", "prompt": "p"}', "prompt", "duplicate", "given once"),
        (b'{"prompt": "p", "attributes": {"a": "1", "a": "1"}}', "a", "duplicate", "given once"),
        (b'{"secret x": 1, "secret x": 1}', "*", "duplicate", "given once"),
        (b'{"prompt": "secret\\ud800"}', "prompt", "unicode", "lone surrogate, got 7 characters"),
        (b'{"prompt": "\\udc00\\ud800"}', "prompt", "unicode", "got 2 characters"),
        (b'{"prompt": "p", "attributes": {"a": "\\uDFFF"}}', "attributes.a", "unicode", "lone"),
        (b'{"prompt": "p", "attributes": {"\\ud800": "v"}}', "attributes", "unicode", "a name"),
        (b'{"prompt": "p", "\\ud800": "v"}', "body", "unicode", "a name with a lone surrogate"),
        (b"[" * 100_000, "body", "depth", "nested"),
        (b'{"prompt": ' + b"[" * 400 + b"]" * 400 + b"}", "body", "depth", "nested"),
        (b"[]", "body", "type", "must be of type object, got 0 items"),
        (b"null", "body", "type", "must be of type object, got null"),
        (b'"secret"', "body", "type", "must be of type object, got 6 characters"),
        (b"-0", "body", "type", "must be of type object, got 0"),
    ],
)
def test_a_body_that_is_not_plain_json_is_refused(
    http, cache_path, check_problem, content, field, rule, message
):
    response = send(http, cache_path, SEARCH, content)
    problem = check_problem(response, 400)
    first = problem["fields"][0]
    assert (first["field"], first["rule"]) == (field, rule)
    assert message in first["message"]
    assert "secret" not in response.text


def test_nothing_of_a_refused_set_is_stored(http, cache_path):
    body = json.dumps({"prompt": "p", "response": "r", "attributes": {"a": "1,2"}})
    assert send(http, cache_path, SET, body).status_code == 400
    body = b'{"prompt": "p", "response": "\\ud800"}'
    assert send(http, cache_path, SET, body).status_code == 400
    assert send(http, cache_path, SEARCH, b'{"prompt": "p"}').json() == {"data": []}


def test_a_refused_delete_deletes_nothing(http, cache_path):
    assert send(http, cache_path, SET, json.dumps(VALID[SET])).status_code == 201
    for content in (b"{}", b'{"attributes": null}', b'{"attributes": {"a b": "c"}}', b""):
        assert send(http, cache_path, DELETE, content).status_code == 400
    assert len(send(http, cache_path, SEARCH, b'{"prompt": "p"}').json()["data"]) == 1


def test_a_surrogate_pair_is_one_character(http, cache_path):
    body = b'{"prompt": "\\ud83e\\udd8a", "response": "r"}'
    assert send(http, cache_path, SET, body).status_code == 201
    (found,) = send(http, cache_path, SEARCH, '{"prompt": "🦊"}'.encode()).json()["data"]
    assert found["prompt"] == "🦊"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        'Application/JSON;Charset="UTF-8"',
        "application/json ;charset=UTF8",
        "application/json; version=1",
    ],
)
def test_json_by_its_media_type_is_accepted(http, cache_path, content_type):
    headers = {"content-type": content_type}
    assert send(http, cache_path, SEARCH, b'{"prompt": "p"}', headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": ""},
        {"content-type": "text/plain"},
        {"content-type": "application/jsonp"},
        {"content-type": "application/problem+json"},
        {"content-type": "application/json, text/plain"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/json; charset=latin-1"},
        [("content-type", "application/json"), ("content-type", "text/plain")],
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
@pytest.mark.parametrize("operation", VALID)
def test_a_body_that_is_not_declared_as_json_is_415(
    http, cache_path, check_problem, operation, headers
):
    content = json.dumps(VALID[operation])
    check_problem(send(http, cache_path, operation, content, headers), 415)
