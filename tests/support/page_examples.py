"""The examples on a page: blocks of Python, and the output that a page shows after them."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
from typing import TYPE_CHECKING, NamedTuple

from langcache import LangCache

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    """A block of code: where it starts, and the block of text that follows, or ''."""

    code: str
    output: str
    line: int


def examples(page: Path, language: str = "python") -> Iterator[Example]:
    """Yield the blocks of a language on a page."""
    text = page.read_text(encoding="utf-8")
    found = [(match, text.count("\n", 0, match.start())) for match in _BLOCK.finditer(text)]
    for number, (match, line) in enumerate(found):
        if match[1] == language:
            following = found[number + 1][0] if number + 1 < len(found) else None
            shown = following is not None and following[1] == "text"
            yield Example(match[2], following[2] if shown else "", line)


def run_examples(
    page: Path,
    replaced: Mapping[str, str] | None = None,
    prepare: Callable[[], object] | None = None,
    skipped: Collection[str] = (),
    stand_ins: Mapping[str, object] | None = None,
) -> int:
    """Run the examples of a page one after the other, as one program.

    A block may use `await`. A test function in a block is not called.

    Args:
        page: The page.
        replaced: Texts of the code and what stands in for them.
        prepare: Called before each example.
        skipped: Texts; an example that contains one of them is not run.
        stand_ins: What the page takes from the reader's own program, by name.

    Returns:
        How many there are.

    Raises:
        AssertionError: An example prints something else than the text after it. On a page that
            shows no output at all, it does not matter what is printed.
    """
    shows_output = any(example.output for example in examples(page))
    names: dict[str, object] = {"__name__": "page", **(stand_ins or {})}
    ran = 0
    for example, output, line in examples(page):
        if any(text in example for text in skipped):
            continue
        ran += 1
        if prepare is not None:
            prepare()
        code = example
        for old, new in (replaced or {}).items():
            code = code.replace(old, new)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            # The line numbers in a traceback are those of the page.
            compiled = compile(
                "\n" * (line + 1) + code,
                str(page),
                "exec",
                flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
                dont_inherit=True,
            )
            result = eval(compiled, names)
            if inspect.iscoroutine(result):
                asyncio.run(result)
        assert not shows_output or printed.getvalue() == output, f"{page.name}, line {line}"
        for value in names.values():
            if isinstance(value, LangCache):
                value.__exit__(None, None, None)  # it may have been used after its `with` block
    for value in names.values():
        if not isinstance(value, type) and callable(close := getattr(value, "close", None)):
            closed = close()
            if inspect.iscoroutine(closed):
                asyncio.run(closed)
    return ran
