"""Marked lines that a type checker must reject. This file is never run."""

from langcache import LangCache

with LangCache("https://example.com", api_key="k", cache_id="c") as cache:
    cache.search("p")  # wrong: keyword arguments only
    cache.search(prompt=1)  # wrong: a str
    cache.serch(prompt="p")  # wrong: no such method
    cache.set(prompt="p")  # wrong: the response is missing
    cache.search(prompt="p").data[0].similarty  # wrong: no such field
    cache.set(prompt="p", response="r", attributes={"a": 1})  # wrong: a str
    cache.with_raw_response.search(prompt="p").data  # wrong: that is .parsed.data
    cache.search(prompt="p", retries=3)  # wrong: a RetryConfig
