"""The command lines, requests and configuration files on the pages are ones that work."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import httpx
import pytest
import typer
from langcache_mockserver import Settings
from langcache_mockserver.cli import main, read_settings
from langcache_mockserver.configuration import configuration_of
from langcache_mockserver.contract.__main__ import _parser
from page_examples import examples
from proxies import proxy_of

from langcache.cli.app import create_app

ROOT = Path(__file__).parents[1]
PAGES = [
    page
    for pattern in ("*.md", "docs/*.md", "docs/integrations/*.md", "mockserver/README.md")
    for page in sorted(ROOT.glob(pattern))
]
_PROGRAMS = ("langcache", "langcache-mockserver")
_COMMAND = typer.main.get_command(create_app())
_UsageError = typer.BadParameter.__base__  # of click, or of typer's copy of it
ADDRESS = "http://127.0.0.1:8080"


def lines_of(text):
    """Yield the words of each of our command lines in a block of a shell."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.strip().removeprefix("$ "), comments=True)
        if "langcache_mockserver.contract" in words:
            yield ["langcache_mockserver.contract", *words[3:]]
        elif words[:1] == ["uvx"]:  # of wheels of this project
            yield words[words.index("langcache") :]
        elif words and words[0] in _PROGRAMS and words[1] != "ready":  # what the server prints
            yield words


def command_lines():
    """Yield where each of our command lines stands, and its words."""
    for page in PAGES:
        for language in ("console", "sh", "shell"):
            for example in examples(page, language):
                for words in lines_of(example.code):
                    yield f"{page.relative_to(ROOT)}: {' '.join(words)[:60]}", words
    for name, command in _COMMAND.commands.items():
        for line in re.findall(r"^\s*(langcache \w.*)$", command.help or "", re.MULTILINE):
            for words in lines_of(re.sub(r" [|<] .*", "", line)):
                yield f"langcache {name} --help: {line[:60]}", words


def check(program, *arguments):
    """Raise an error if a program of this project does not take the arguments."""
    if program == "langcache_mockserver.contract":
        _parser().parse_args(arguments)
    elif program == "langcache-mockserver":
        read_settings(arguments, {})
    elif arguments[:1] == ("serve",):
        read_settings(arguments[1:], {})
    else:
        command = _COMMAND.commands[arguments[0]]
        command.make_context(arguments[0], list(arguments[1:]))


COMMAND_LINES = dict(command_lines())


@pytest.mark.parametrize("words", COMMAND_LINES.values(), ids=COMMAND_LINES)
def test_a_command_line_is_accepted(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for word in words:
        if re.fullmatch(r"[\w/]+\.(csv|jsonl)", word):  # the reader's file
            (tmp_path / word).parent.mkdir(exist_ok=True)
            (tmp_path / word).touch()
    check(*words)


@pytest.mark.parametrize(
    "line",
    ["langcache search X --treshold 0.9", "langcache find X", "langcache-mockserver --prot 1"],
)
def test_a_command_line_with_a_wrong_name_is_not(line, capsys):
    with pytest.raises((_UsageError, KeyError, SystemExit)):
        check(*line.split())


def test_an_option_in_a_text_is_one_of_ours(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    known = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out + _parser().format_help()))
    for command in _COMMAND.commands.values():
        known.update(each for parameter in command.params for each in parameter.opts)
    known.update({"--langcache-url", "--langcache-storage", "--langcache-strict"})  # of pytest
    for script in (ROOT / "benchmarks").glob("*.py"):
        known.update(re.findall(r"--[a-z][a-z-]+", script.read_text(encoding="utf-8")))
    for page in PAGES:
        named = re.findall(r"`(--[a-z][a-z-]+)[^`]*`", page.read_text(encoding="utf-8"))
        assert set(named) <= known, page


@pytest.mark.parametrize("page", ["mockserver/README.md", "docs/integrations/proxy.md"])
def test_a_configuration_file_is_valid(page, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")
    (file,) = examples(ROOT / page, "yaml")
    path = tmp_path / "server.yaml"
    path.write_text(file.code)
    assert configuration_of(Settings(config=str(path))).caches


def requests_with_curl():
    for page in PAGES:
        for example in examples(page, "console"):
            for line in example.code.replace("\\\n", " ").split("\n"):
                if line.startswith("$ curl"):
                    yield shlex.split(line.removeprefix("$ "))


def test_every_request_with_curl_succeeds(upstream):
    found = list(requests_with_curl())
    assert len(found) == 3
    with proxy_of(upstream) as server_url:
        for words in found:
            headers = dict(
                words[number + 1].split(": ") for number, word in enumerate(words) if word == "-H"
            )
            (url,) = [word for word in words if word.startswith(ADDRESS)]
            response = httpx.post(
                url.replace(ADDRESS, server_url),
                content=words[words.index("-d") + 1],
                headers=headers,
            )
            assert response.is_success, response.text
