"""The command `langcache`: its subcommands, and those that other distributions add."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
from typer.testing import CliRunner

import langcache
from langcache.cli import app as app_module
from langcache.cli import main
from langcache.cli.app import create_app

PLUGIN = """
def command(arguments):
    "Print the arguments."
    print(arguments)
    return 3

def silent(arguments):
    pass
"""


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(create_app(), arguments, prog_name="langcache")


@pytest.fixture
def entry_points(tmp_path, monkeypatch):
    """Replace the installed entry points by those of a module."""
    (tmp_path / "langcache_test_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)

    def entry_points(**values):
        found = [
            EntryPoint(name, f"langcache_test_plugin:{value}", "langcache.commands")
            for name, value in values.items()
        ]
        monkeypatch.setattr(app_module, "entry_points", lambda group: found)

    return entry_points


def test_help_lists_the_subcommands(run):
    result = run("--help")
    assert result.exit_code == 0
    assert "doctor" in result.output
    assert "serve" in result.output


def test_the_version(run):
    result = run("--version")
    assert (result.exit_code, result.output) == (0, f"langcache {langcache.__version__}\n")


def test_an_unknown_subcommand_is_refused(run):
    result = run("nothing")
    assert result.exit_code == 2
    assert "nothing" in result.stderr


def test_an_entry_point_gets_its_arguments_unchanged(run, entry_points):
    entry_points(greet="command")
    arguments = ["--port=1", "-x", "value", "--help", "-abc", ""]
    result = run("greet", *arguments)
    assert result.output == f"{arguments}\n"


def test_an_entry_point_returns_the_exit_status(run, entry_points):
    entry_points(greet="command", silent="silent")
    assert run("greet").exit_code == 3
    assert run("silent").exit_code == 0
    assert "greet" in run("--help").output


def test_an_entry_point_does_not_replace_a_subcommand_of_langcache(run, entry_points):
    entry_points(doctor="command")
    assert "Exit status" in run("doctor", "--help").output


def test_serve_without_the_server_says_what_to_install(run, entry_points):
    entry_points()
    for arguments in ([], ["--port", "0"], ["--help"]):
        result = run("serve", *arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == (
            'langcache: serve needs the package langcache-mockserver; see "Install" in the README\n'
        )


def test_serve_takes_the_options_of_the_server():
    def serve(*arguments):
        program = "from langcache.cli import main; main()"
        command = [sys.executable, "-W", "error", "-c", program, "serve", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    help_ = serve("--help")
    assert help_.returncode == 0
    assert "--embedding-cache" in help_.stdout
    wrong = serve("--port=-1", "--storage", "memory")
    assert wrong.returncode == 2
    assert "--port: must be from 0 to 65535" in wrong.stderr


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_the_extra_one_line_says_what_to_install(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit) as exit_:
        main()
    assert isinstance(exit_.value.code, str)  # printed to standard error, with exit status 1
    assert exit_.value.code.endswith('needs the extra cli; see "Install" in the README')
    assert "\n" not in exit_.value.code
