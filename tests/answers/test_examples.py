"""The examples of the doors run offline and show what they promise."""

import runpy
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def output_of(name, capsys):
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out.splitlines()


def sources(lines):
    return [line.partition("|")[0].split()[0] for line in lines if "|" in line]


def test_the_example_of_a_cached_function(capsys):
    lines = output_of("cached_function.py", capsys)
    assert sources(lines) == ["called", "cached", "called", "called", "called", "cached"]
    assert any(line.startswith("explain: rejected") for line in lines)
    assert "invalidated: 3" in lines


def test_the_example_of_openai(capsys):
    lines = output_of("openai_app.py", capsys)
    assert sources(lines) == [
        *("model", "similar", "model", "model", "exact", "similar", "model", "model")
    ]
    assert lines[-1].startswith("5 requests reached the model")


def test_the_example_of_anthropic(capsys):
    lines = output_of("anthropic_app.py", capsys)
    assert sources(lines) == ["model", "similar", "model", "replay", "replay", "model"]
    assert lines[-1].startswith("3 requests reached the model")


def test_the_example_of_the_proxy(capsys):
    lines = output_of("proxy_app.py", capsys)
    assert sources(lines) == ["miss", "hit", "rejected", "miss"]
    assert lines[-1].startswith("3 requests reached the provider")
