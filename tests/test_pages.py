"""The commands and links on the pages work for this repository."""

from __future__ import annotations

import re
from importlib.metadata import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "*/README.md", "models/*/README.md", "examples/*.py")
    for page in ROOT.glob(pattern)
)
_INSTALLER = r"\b(?:pip3? install|pipx \w+|uvx|uv (?:tool \w+|add|pip install))\b([^&;`\n]*)"
_FROM_THE_INDEX = re.compile(r"langcache(-\w+)*(\[[\w,-]*\])?([=<>~!].*)?")


def installed_from_the_index(text):
    """Yield the langcache requirements that install commands take from the package index.

    On the index, `langcache` is the official package, which has no engine and no server.
    """
    for arguments in re.findall(_INSTALLER, text):
        words = [word.removeprefix("--from=").strip("\"'(),") for word in arguments.split()]
        for word, following in zip(words, [*words, ""][1:], strict=True):
            if _FROM_THE_INDEX.fullmatch(word) and following != "@":
                yield word


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pip install langcache", ["langcache"]),
        ('needs `pip install "langcache[engine]"`.', ["langcache[engine]"]),
        ("pip install -U langcache==0.15.0", ["langcache==0.15.0"]),
        ("uvx --from langcache-mockserver serve", ["langcache-mockserver"]),
        ("uvx --from=langcache serve", ["langcache"]),
        ("uv add langcache", ["langcache"]),
        ('pip install ./models/minilm ".[engine]" ./mockserver', []),
        ("pip install dist/langcache-0.15.0-py3-none-any.whl", []),
        ('pip install "langcache @ file:///wheels/langcache.whl"', []),
        ("langcache-mockserver --port 8080", []),
    ],
)
def test_an_install_command_that_takes_langcache_from_the_index_is_found(text, found):
    assert list(installed_from_the_index(text)) == found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_installs_this_project_from_a_clone_or_a_file(page):
    assert list(installed_from_the_index(page.read_text(encoding="utf-8"))) == []


def anchors(page):
    """Yield the anchors of a page's headings, as GitHub and most site generators make them."""
    for heading in re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.suffix == ".md"],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_a_link_leads_to_a_file_and_a_heading(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in set(anchors(target)), link


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("langcache", "."),
        ("langcache-mockserver", "mockserver"),
        ("langcache-minilm", "models/minilm"),
        ("langcache-minilm-pair", "models/minilm_pair"),
    ],
)
def test_a_package_index_shows_the_readme_without_links_to_files(name, folder):
    description = metadata(name)["Description"] or metadata(name).get_payload()
    assert re.findall(r"\]\((?!https?:)[^)]*\)", description) == []
    readme = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    code = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    assert code.findall(description) == code.findall(readme)
    assert re.findall("^#.*", description, re.MULTILINE) == re.findall("^#.*", readme, re.MULTILINE)
