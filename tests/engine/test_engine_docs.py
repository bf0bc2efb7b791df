"""The examples in docs/engine.md work as shown."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import langcache.engine

PAGE = Path(__file__).parents[2] / "docs/engine.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_example_prints_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    blocks = [
        (match[1], match[2], text.count("\n", 0, match.start())) for match in _BLOCK.finditer(text)
    ]
    names = {"__name__": "page"}
    ran = 0
    for (language, code, line), (following, expected, _) in zip(
        blocks, [*blocks[1:], ("", "", 0)], strict=True
    ):
        if language != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            # The line numbers in a traceback are those of the page.
            exec(compile("\n" * (line + 1) + code, str(PAGE), "exec"), names)
        assert printed.getvalue() == (expected if following == "text" else ""), f"line {line}"
        ran += 1
    assert ran >= 10


def test_the_example_of_redis_prints_what_the_page_says(redis_url):
    text = PAGE.read_text(encoding="utf-8").replace("redis://localhost:6379", redis_url)
    (code, expected) = re.findall(
        r"^```py\n(.*?)^```\n\n```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    )[0]
    printed = io.StringIO()
    names = {"SemanticCache": langcache.engine.SemanticCache}
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(PAGE), "exec"), names)
    finally:
        with langcache.engine.SemanticCache(name="shared", redis_url=redis_url) as cache:
            cache.delete()
    assert printed.getvalue() == expected


def test_the_page_names_nothing_that_is_not_there():
    imported = re.findall(
        r"^from langcache\.engine import (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    names = {name for line in imported for name in line.split(", ")}
    assert all(hasattr(langcache.engine, name) for name in names.union(langcache.engine.__all__))
