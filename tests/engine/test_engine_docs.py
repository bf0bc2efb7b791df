"""What docs/engine.md says about Redis and about names is so."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from page_examples import examples

import langcache.engine

PAGE = Path(__file__).parents[2] / "docs/engine.md"


def test_the_example_of_redis_prints_what_the_page_says(redis_url):
    example = next(examples(PAGE, "py"))
    code = example.code.replace("redis://localhost:6379", redis_url)
    printed = io.StringIO()
    names = {"SemanticCache": langcache.engine.SemanticCache}
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(PAGE), "exec"), names)
    finally:
        with langcache.engine.SemanticCache(name="shared", redis_url=redis_url) as cache:
            cache.delete()
    assert printed.getvalue() == example.output


def test_the_example_for_users_of_redisvl_keeps_entries_in_redis(redis_url):
    example = next(examples(PAGE.with_name("migrating-from-redisvl.md"), "py"))
    names = {}
    code = example.code.replace("redis://localhost:6379", redis_url)
    exec(compile(code, str(PAGE), "exec"), names)
    with names["cache"] as cache:
        try:
            assert cache.store("What is Redis?", "A database.").startswith("_langcache:e:")
            assert cache.check("What is Redis?")[0]["response"] == "A database."
        finally:
            cache.delete()


def test_the_page_names_nothing_that_is_not_there():
    imported = re.findall(
        r"^from langcache\.engine import (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    names = {name for line in imported for name in line.split(", ")}
    assert all(hasattr(langcache.engine, name) for name in names.union(langcache.engine.__all__))
