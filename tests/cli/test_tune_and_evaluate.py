"""`langcache tune` and `langcache evaluate`: files in, reports and exit statuses out."""

import json

import pytest
from typer.testing import CliRunner

from langcache.cli.app import create_app


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(create_app(), [str(each) for each in arguments])


@pytest.fixture
def lookups(tmp_path):
    """A file of recorded lookups: the upper 600 are right, the others are wrong."""
    path = tmp_path / "lookups.jsonl"
    rows = [
        {"similarity": 0.6 + 0.39 * i / 1000, "label": "right" if i >= 400 else "wrong"}
        for i in range(1000)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(
        "prompt1,prompt2,same,kind\n"
        "What is the capital of France?,Capital of France?,1,paraphrase\n"
        "How do I bake bread?,How does a jet engine work?,0,unrelated\n"
        "What is a llama?,What is a llama?,perhaps,broken\n"
    )
    return path


@pytest.mark.parametrize("name", ["off", "none"])
def test_no_verifier_is_the_default(run, pairs, name):
    result = run("evaluate", pairs, "--verifier", name)
    assert result.exit_code == 0
    assert result.stdout == run("evaluate", pairs).stdout


def test_tune_prints_the_threshold(run, lookups):
    result = run("tune", lookups)
    assert result.exit_code == 0
    assert "lookups.jsonl\n" in result.output
    assert "Threshold     0.75" in result.output
    assert "the lowest threshold that the labels support" in result.output
    assert "Evaluated at  0.75" in result.output


def test_tune_takes_the_budget_and_prints_json(run, lookups):
    strict = json.loads(run("tune", lookups, "--max-wrong", "0.01", "--json").stdout)
    loose = json.loads(run("tune", lookups, "--max-wrong", "0.3", "--json").stdout)
    assert strict["tuning"]["max_wrong"] == strict["max_wrong"] == 0.01
    assert strict["tuning"]["whole"]["threshold"] > loose["tuning"]["whole"]["threshold"]
    assert strict["evaluation"]["threshold"] == strict["tuning"]["whole"]["threshold"]


def test_tune_exits_with_1_when_the_labels_support_no_threshold(run, tmp_path):
    path = tmp_path / "few.csv"
    path.write_text("similarity,label\n0.95,right\n0.9,wrong\n")
    result = run("tune", path)
    assert result.exit_code == 1
    assert "Threshold      none" in result.output
    assert "Labels needed  at least about " in result.output


def test_evaluate_exits_with_1_when_more_hits_are_wrong_than_allowed(run, lookups):
    assert run("evaluate", lookups, "--threshold", "0.8").exit_code == 0
    assert run("evaluate", lookups, "--threshold", "0.8", "--max-wrong", "0.02").exit_code == 0
    assert run("evaluate", lookups, "--threshold", "0.6").exit_code == 0
    exceeded = run("evaluate", lookups, "--threshold", "0.6", "--max-wrong", "0.02")
    assert exceeded.exit_code == 1
    assert "above the budget of 2 %" in exceeded.output


def test_pairs_are_compared_by_the_embedder(run, pairs):
    result = run("evaluate", pairs, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["bad_row_count"] == 1
    assert document["bad_rows"][0]["line"] == 4
    evaluation = document["evaluation"]
    assert (evaluation["labels"], evaluation["hits"], evaluation["wrong_hits"]) == (2, 1, 0)
    assert {each["kind"] for each in evaluation["kinds"]} == {"paraphrase", "unrelated"}


def test_a_verifier_can_turn_candidates_down(run, tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("prompt1,prompt2,same\nWhere is order 12345?,Where is order 12346?,0\n")
    without = json.loads(run("evaluate", path, "--json").stdout)["evaluation"]
    verified = json.loads(run("evaluate", path, "--verifier", "rules", "--json").stdout)
    assert (without["wrong_hits"], without["rejected"]) == (1, 0)
    assert (verified["evaluation"]["wrong_hits"], verified["evaluation"]["rejected"]) == (0, 1)


@pytest.mark.parametrize("command", ["tune", "evaluate"])
def test_the_report_is_written_as_a_page(run, lookups, tmp_path, command):
    run(command, lookups, "--html", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<h1>lookups.jsonl</h1>" in page
    assert page.count("<svg") == 2


@pytest.mark.parametrize("command", ["tune", "evaluate"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.jsonl"], "No such file or directory"),
        (["lookups.txt"], "must end in .csv, .tsv, .jsonl or .ndjson"),
        (["empty.csv"], "has no usable row"),
        (["broken.csv.gz"], "Not a gzipped file"),
        (["lookups.jsonl", "--max-wrong", "2"], "--max-wrong"),
        (["lookups.jsonl", "--max-wrong", "nan"], "--max-wrong"),
        (["lookups.jsonl", "--html", "missing/report.html"], "No such file or directory"),
        (["lookups.jsonl", "--format", "pairs"], "prompt1: is required"),
        (["pairs.csv", "--embedder", "nothing"], "embedder: must be "),
        (["no-cache.csv"], "rows: must have a row of kind cache"),
    ],
)
def test_what_cannot_be_used_exits_with_2(
    run, lookups, pairs, tmp_path, monkeypatch, command, arguments, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "broken.csv.gz").write_text("prompt1,prompt2,same\na,b,1\n")
    (tmp_path / "no-cache.csv").write_text("kind,group,text\nunrelated,,a\n")
    result = run(command, *arguments)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())


def test_an_embedder_that_fails_exits_with_2(run, pairs, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    result = run("evaluate", pairs, "--embedder", "openai:text-embedding-3-small")
    assert result.exit_code == 2
    assert "langcache: " in result.output
    assert "capital" not in result.output


@pytest.mark.parametrize("command", ["tune", "evaluate"])
def test_help_explains_the_exit_statuses_and_gives_examples(run, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    output = run(command, "--help").output
    assert "Exit status: 0 if " in output
    assert f"langcache {command} pairs.csv" in output
