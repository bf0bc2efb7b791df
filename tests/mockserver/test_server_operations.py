import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

QUESTION = "How does semantic caching work?"
ANSWER = "Semantic caching stores and retrieves data based on meaning."


def put(http, cache_path, prompt=QUESTION, response=ANSWER, **members):
    answer = http.post(
        f"{cache_path}/entries", json={"prompt": prompt, "response": response, **members}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["entryId"]


def find(http, cache_path, prompt=QUESTION, **members):
    answer = http.post(f"{cache_path}/entries/search", json={"prompt": prompt, **members})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_set_answers_201_with_the_md5_of_the_prompt_as_id(http, cache_path):
    response = http.post(f"{cache_path}/entries", json={"prompt": QUESTION, "response": ANSWER})
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"entryId": hashlib.md5(QUESTION.encode()).hexdigest()}


def test_a_search_finds_another_wording_and_returns_the_whole_entry(http, cache_path):
    entry_id = put(http, cache_path, attributes={"language": "en"}, ttlMillis=60_000)
    (found,) = find(http, cache_path, "How does a semantic cache work?")
    assert 0.9 <= found.pop("similarity") < 1
    assert found == {
        "id": entry_id,
        "prompt": QUESTION,
        "response": ANSWER,
        "attributes": {"language": "en"},
        "searchStrategy": "semantic",
    }


def test_a_search_that_finds_nothing_is_an_empty_list(http, cache_path):
    assert find(http, cache_path) == []
    put(http, cache_path)
    assert find(http, cache_path, "What is the boiling point of water?") == []


def test_any_text_comes_back_as_it_was_stored(http, cache_path):
    prompt, response = "naïve 🦊\x00\n\t\u2028 “quoted” \\ / 日本語", "ответ\r\n\x7f"
    attributes = {"a-b_1": "x%2C y/z?&=\u00e9🦊"}
    put(http, cache_path, prompt, response, attributes=attributes)
    (found,) = find(http, cache_path, prompt, attributes=attributes)
    assert (found["prompt"], found["response"]) == (prompt, response)
    assert found["attributes"] == attributes


def test_setting_the_same_prompt_and_attributes_replaces_the_entry(http, cache_path):
    first = put(http, cache_path, response="old", attributes={"a": "1", "b": "2"})
    second = put(http, cache_path, response="new", attributes={"b": "2", "a": "1"})
    assert first == second
    assert [entry["response"] for entry in find(http, cache_path, maxResults=9)] == ["new"]


def test_other_attributes_make_another_entry(http, cache_path):
    ids = {
        put(http, cache_path),
        put(http, cache_path, attributes={"a": "1"}),
        put(http, cache_path, attributes={"a": "2"}),
        put(http, cache_path, attributes={"a": "1", "b": "2"}),
        put(http, cache_path, attributes={"a": '1"]; ["b": "2'}),
        put(http, cache_path, attributes={"a1": "1"}),
    }
    assert len(ids) == 6
    assert len(find(http, cache_path, maxResults=9)) == 6


def test_empty_attributes_are_no_attributes(http, cache_path):
    assert put(http, cache_path) == put(http, cache_path, attributes={})


def test_only_entries_with_all_the_attributes_are_found(http, cache_path):
    put(http, cache_path, response="both", attributes={"a": "1", "b": "2"})
    put(http, cache_path, response="one", attributes={"a": "1"})

    def responses(attributes):
        found = find(http, cache_path, attributes=attributes, maxResults=9)
        return {entry["response"] for entry in found}

    assert responses({}) == {"both", "one"}
    assert responses({"a": "1"}) == {"both", "one"}
    assert responses({"a": "1", "b": "2"}) == {"both"}
    assert responses({"a": "2"}) == set()
    assert responses({"c": "1"}) == set()


def test_caches_know_nothing_of_each_other(http, cache_path):
    other = f"{cache_path}-other"
    put(http, cache_path)
    assert find(http, other) == []
    assert http.post(f"{other}/flush").status_code == 204
    assert len(find(http, cache_path)) == 1


def test_the_default_threshold_is_0_9_and_a_search_may_name_another(http, cache_path):
    put(http, cache_path, "What is the user's favorite color?")
    asked = "What color do they like?"  # a similarity of about 0.86
    assert find(http, cache_path, asked) == []
    (found,) = find(http, cache_path, asked, similarityThreshold=0.8)
    assert len(find(http, cache_path, asked, similarityThreshold=found["similarity"])) == 1
    assert find(http, cache_path, asked, similarityThreshold=found["similarity"] + 0.001) == []
    assert len(find(http, cache_path, asked, similarityThreshold=0)) == 1


def test_an_identical_prompt_reaches_the_threshold_1(http, cache_path):
    put(http, cache_path)
    (found,) = find(http, cache_path, similarityThreshold=1)
    assert found["similarity"] == pytest.approx(1, abs=1e-6)
    assert found["similarity"] <= 1


def test_results_come_best_first_and_one_by_default(http, cache_path):
    for prompt in (QUESTION, "How does semantic caching work in Redis?", "What is caching?"):
        put(http, cache_path, prompt)
    assert [entry["prompt"] for entry in find(http, cache_path)] == [QUESTION]
    found = find(http, cache_path, similarityThreshold=0, maxResults=2_147_483_647)
    similarities = [entry["similarity"] for entry in found]
    assert len(found) == 3
    assert similarities == sorted(similarities, reverse=True)
    assert len(find(http, cache_path, similarityThreshold=0, maxResults=2)) == 2


def test_whole_numbers_may_be_written_as_floats(http, cache_path):
    put(http, cache_path, ttlMillis=60_000.0)
    assert len(find(http, cache_path, maxResults=1.0)) == 1


def test_exact_finds_the_whole_prompt_whatever_its_case(http, cache_path):
    put(http, cache_path, "What is a Straße?")
    (found,) = find(http, cache_path, "WHAT IS A STRASSE?", searchStrategies=["exact"])
    assert found["similarity"] == 1
    assert found["searchStrategy"] == "exact"
    assert find(http, cache_path, "What is a Straße", searchStrategies=["exact"]) == []


def test_earlier_strategies_come_first_and_later_ones_fill_up(http, cache_path):
    upper = put(http, cache_path, QUESTION.upper())
    lower = put(http, cache_path, QUESTION)
    near = put(http, cache_path, "How does a semantic cache work?")

    def order(strategies, **members):
        found = find(http, cache_path, searchStrategies=strategies, **members)
        return [(entry["id"], entry["searchStrategy"]) for entry in found]

    both = order(["exact", "semantic"], maxResults=9)
    assert {entry_id for entry_id, _ in both[:2]} == {upper, lower}
    assert [strategy for _, strategy in both] == ["exact", "exact", "semantic"]
    assert both[2][0] == near
    assert len(order(["exact", "semantic"], maxResults=1)) == 1
    assert order(["exact", "semantic"], maxResults=2) == both[:2]
    assert {strategy for _, strategy in order(["semantic", "exact"], maxResults=9)} == {"semantic"}
    assert len(order(["exact", "exact"], maxResults=9)) == 2
    # what misses the threshold by meaning is still filled up by text
    assert order(["semantic", "exact"], maxResults=9, similarityThreshold=1)[0][1] == "semantic"


def test_exact_fills_up_what_semantic_leaves(http, cache_path):
    put(http, cache_path, "ﬁnd it")  # the ligature is another token, but folds to the same text
    found = find(
        http,
        cache_path,
        "FIND IT",
        searchStrategies=["semantic", "exact"],
        similarityThreshold=1,
        maxResults=2,
    )
    assert [entry["id"] for entry in found] == [hashlib.md5("ﬁnd it".encode()).hexdigest()]


def test_an_entry_lives_as_long_as_its_ttl(http, cache_path, mock_clock):
    put(http, cache_path, "Which entry goes first?", ttlMillis=1)
    short = put(http, cache_path, ttlMillis=1500)
    put(http, cache_path, "What never ends?")
    mock_clock.now += 1.25
    assert find(http, cache_path, "Which entry goes first?") == []
    assert [entry["id"] for entry in find(http, cache_path)] == [short]
    mock_clock.now += 0.25
    assert find(http, cache_path) == []
    assert find(http, cache_path, searchStrategies=["exact"]) == []
    assert http.delete(f"{cache_path}/entries/{short}").status_code == 404
    assert len(find(http, cache_path, "What never ends?")) == 1


def test_the_longest_ttl_is_kept(http, cache_path, mock_clock):
    put(http, cache_path, ttlMillis=31_556_952_000)
    mock_clock.now += 31_556_951
    assert len(find(http, cache_path)) == 1
    mock_clock.now += 1
    assert find(http, cache_path) == []


def test_setting_again_without_a_ttl_makes_an_entry_stay(http, cache_path, mock_clock):
    put(http, cache_path, ttlMillis=1000)
    put(http, cache_path)
    mock_clock.now += 3600
    assert len(find(http, cache_path)) == 1


def test_delete_by_id_answers_204_once_and_404_after(http, cache_path, check_problem):
    entry_id = put(http, cache_path)
    stays = put(http, cache_path, "Does this entry stay?")
    response = http.delete(f"{cache_path}/entries/{entry_id}")
    assert response.status_code == 204
    assert response.content == b""
    check_problem(http.delete(f"{cache_path}/entries/{entry_id}"), 404)
    assert find(http, cache_path) == []
    assert [entry["id"] for entry in find(http, cache_path, "Does this entry stay?")] == [stays]


@pytest.mark.parametrize(
    "entry_id", ["%73earch", "x%2Fy", "..%2F..", "%00", "%F0%9F%A6%8A", "a" * 5000]
)
def test_an_id_that_no_entry_has_is_404(http, cache_path, check_problem, entry_id):
    put(http, cache_path)
    check_problem(http.delete(f"{cache_path}/entries/{entry_id}"), 404)
    assert len(find(http, cache_path)) == 1


def delete(http, cache_path, attributes):
    response = http.request("DELETE", f"{cache_path}/entries", json={"attributes": attributes})
    assert response.status_code == 200, response.text
    return response.json()


def test_delete_by_attributes_says_how_many_it_deleted(http, cache_path):
    put(http, cache_path, attributes={"a": "1", "b": "2"})
    put(http, cache_path, attributes={"a": "1"})
    put(http, cache_path, attributes={"a": "2"})
    put(http, cache_path)
    assert delete(http, cache_path, {"a": "1", "b": "3"}) == {"deletedEntriesCount": 0}
    assert delete(http, cache_path, {"a": "1"}) == {"deletedEntriesCount": 2}
    assert delete(http, cache_path, {"a": "1"}) == {"deletedEntriesCount": 0}
    assert len(find(http, cache_path, maxResults=9)) == 2


def test_delete_without_any_attribute_deletes_all(http, cache_path):
    put(http, cache_path, attributes={"a": "1"})
    put(http, cache_path)
    assert delete(http, cache_path, {}) == {"deletedEntriesCount": 2}
    assert find(http, cache_path) == []


def test_flush_empties_the_cache(http, cache_path):
    put(http, cache_path)
    for _ in range(2):
        response = http.post(f"{cache_path}/flush")
        assert response.status_code == 204
        assert response.content == b""
    assert find(http, cache_path) == []


def test_cache_health_needs_a_key_and_service_health_does_not(
    http, anonymous, cache_path, check_problem
):
    assert http.get(f"{cache_path}/health").json() == {"ok": True}
    check_problem(anonymous.get(f"{cache_path}/health"), 401)
    for path in ("/health", "/health/liveness", "/health/readiness"):
        response = anonymous.get(path)
        assert response.status_code == 200
        assert response.json() == {"ok": True}


def test_the_contract_is_served(anonymous):
    response = anonymous.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json()["paths"]["/v1/caches/{cacheId}/entries"]["post"]["operationId"] == "set"


def test_many_callers_at_once_each_get_their_own_answers(http, cache_path):
    def work(worker):
        path = f"{cache_path}-{worker % 4}"
        for turn in range(5):
            prompt = f"What is item {worker} of list {turn}?"
            put(http, path, prompt, f"{worker}/{turn}")
            (found,) = find(http, path, prompt, searchStrategies=["exact"])
            assert found["response"] == f"{worker}/{turn}"
            (found,) = find(http, path, prompt)
            assert found["response"] == f"{worker}/{turn}"

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    sizes = [
        len(find(http, f"{cache_path}-{n}", similarityThreshold=0, maxResults=99)) for n in range(4)
    ]
    assert sizes == [20, 20, 20, 20]


def test_a_prompt_that_looks_like_another_one_with_attributes_has_an_id_of_its_own(
    http, cache_path
):
    ids = [put(http, cache_path, attributes={"language": "en"})]
    looks_alike = json.dumps([QUESTION, [["language", "en"]]])
    ids.append(put(http, cache_path, looks_alike, "Another."))
    ids.append(put(http, cache_path, json.dumps([looks_alike, []]), "A third."))
    assert len(set(ids)) == 3
    (found,) = find(http, cache_path, attributes={"language": "en"})
    assert found["response"] == ANSWER


def test_a_prompt_that_begins_like_an_array_keeps_the_md5_as_id(http, cache_path):
    prompt = '["a", "b"] is how I write a list; how do you?'
    assert put(http, cache_path, prompt) == hashlib.md5(prompt.encode()).hexdigest()
