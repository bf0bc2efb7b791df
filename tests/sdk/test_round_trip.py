"""Any text is returned exactly as it was sent, or is rejected before it is sent."""

import re
import string

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from langcache import LangCache, errors

texts = st.text(st.characters(), min_size=1, max_size=60)  # surrogates included
bounded = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def is_unicode(*values):
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        return False
    return True


@given(prompt=texts, response=texts, value=texts.filter(lambda v: "," not in v))
@example(prompt="\0", response="%2F\r\n\u2028", value="👩‍👩‍👧\x7f")
@example(prompt="\ud800", response="r", value="v")
@bounded
def test_prompts_responses_and_attributes(cache, prompt, response, value):
    def store():
        return cache.set(prompt=prompt, response=response, attributes={"tag": value})

    if not is_unicode(prompt, response, value):
        with pytest.raises(ValueError, match="surrogate"):
            store()
        return
    stored = store()
    found = cache.search(
        prompt=prompt, attributes={"tag": value}, search_strategies=["exact"], max_results=9
    )
    (entry,) = [e for e in found.data if e.id == stored.entry_id]
    assert (entry.prompt, entry.response, entry.attributes) == (prompt, response, {"tag": value})
    cache.delete_by_id(entry_id=stored.entry_id)


def test_a_response_of_a_megabyte(cache):
    response = "é\0%," * 250_000
    with pytest.raises(errors.PayloadTooLargeErrorResponseContent):
        cache.set(prompt="p", response=response)
    response = response[:400_000]
    cache.set(prompt="p", response=response)
    assert cache.search(prompt="p").data[0].response == response


@given(cache_id=texts, entry_id=texts)
@example(cache_id="..", entry_id="e")
@example(cache_id="a/../b", entry_id="..%2f")
@example(cache_id="\0", entry_id="?#;")
@bounded
def test_ids_name_one_cache_and_one_entry(server, cache_id, entry_id):
    with LangCache(server_url=server.url, cache_id="other", api_key="key") as other:
        kept = other.set(prompt="kept", response="r").entry_id

        if {cache_id, entry_id} & {".", ".."} or not is_unicode(cache_id, entry_id):
            with pytest.raises(ValueError, match="_id: "):
                LangCache(server_url=server.url, cache_id=cache_id, api_key="key").delete_by_id(
                    entry_id=entry_id
                )
            return
        with LangCache(server_url=server.url, cache_id=cache_id, api_key="key") as cache:
            with pytest.raises(errors.NotFoundErrorResponseContent):
                cache.delete_by_id(entry_id=entry_id)
            stored = cache.set(prompt="mine", response=cache_id)
            assert cache.search(prompt="mine").data[0].response == cache_id
            cache.delete_by_id(entry_id=stored.entry_id)
        assert [e.id for e in other.search(prompt="kept").data] == [kept]


@given(
    name=st.text(max_size=10) | st.text(string.ascii_letters + "-", min_size=1, max_size=10),
    value=st.text(max_size=20) | st.text(string.printable, max_size=20),
)
@bounded
def test_headers_are_sent_as_they_are_or_refused(cache, name, value):
    sent = []
    hook = cache.hooks.before_request
    cache.hooks.before_request_hooks.clear()
    hook(lambda context, request: sent.append(dict(request.headers)))
    header = f"x-{name}"
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", header) or not re.fullmatch(
        r"([!-~]([ \t!-~]*[!-~])?)?", value
    ):
        with pytest.raises(ValueError, match=r"^http_headers"):
            cache.health(http_headers={header: value})
        assert sent == []
        return
    cache.health(http_headers={header: value})
    assert sent[0][header.lower()] == value
