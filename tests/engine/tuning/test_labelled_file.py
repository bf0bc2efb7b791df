"""Files of labelled prompts and lookups, good rows and bad ones."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langcache.engine.tuning import BadRow, CacheRow, LabelledPair, read_labelled

PAIRS = [
    LabelledPair("How do I pay, please?", "how to pay", same=True),
    LabelledPair("Enable dark mode", "Disable dark mode", same=False),
]


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a.csv",
            'prompt1,prompt2,same\n"How do I pay, please?",how to pay,1\n'
            "Enable dark mode,Disable dark mode,0\n",
        ),
        (
            "headless.csv",
            '"How do I pay, please?",how to pay,true\nEnable dark mode,Disable dark mode,false\n',
        ),
        (
            "twice.CSV",
            '\ufeffprompt,prompt,same\r\n"How do I pay, please?",how to pay,yes\r\n'
            "Enable dark mode,Disable dark mode,no\r\n",
        ),
        (
            "a.tsv",
            "text1\ttext2\tlabel\nHow do I pay, please?\thow to pay\t1\n"
            "Enable dark mode\tDisable dark mode\t0\n",
        ),
        (
            "a.jsonl",
            '{"prompt1": "How do I pay, please?", "prompt2": "how to pay", "same": true}\n\n'
            '{"prompt1": "Enable dark mode", "prompt2": "Disable dark mode", "same": 0}\n',
        ),
        (
            "other-names.ndjson",
            '{"prompt": "How do I pay, please?", "candidate": "how to pay", "label": "right"}\n'
            '{"prompt": "Enable dark mode", "candidate": "Disable dark mode", "label": "wrong"}\n',
        ),
    ],
)
def test_pairs_are_read_from_every_form(tmp_path, name, text):
    read = read_labelled(write(tmp_path, name, text))
    assert read.content == "pairs"
    assert read.pairs == PAIRS
    assert read.bad_row_count == 0
    zipped = write(tmp_path, f"{name}.gz", gzip.compress(text.encode()))
    assert read_labelled(zipped).pairs == PAIRS


def test_pairs_have_kinds_and_scopes(tmp_path):
    path = write(tmp_path, "a.csv", "scope,kind,prompt1,prompt2,same\nshop,negation,a,b,0\n")
    assert read_labelled(path).pairs == [
        LabelledPair("a", "b", same=False, kind="negation", scope="shop")
    ]


def test_a_group_of_near_misses_is_read_as_pairs(tmp_path):
    path = write(
        tmp_path,
        "a.jsonl",
        '{"prompt": "a", "same": ["b", "c"], "different": [{"text": "d", "kind": "number"}, "e"]}',
    )
    assert read_labelled(path).pairs == [
        LabelledPair("a", "b", same=True, kind="same"),
        LabelledPair("a", "c", same=True, kind="same"),
        LabelledPair("a", "d", same=False, kind="number"),
        LabelledPair("a", "e", same=False, kind="different"),
    ]


def test_a_quote_in_a_tsv_file_is_a_letter(tmp_path):
    path = write(tmp_path, "a.tsv", 'prompt1\tprompt2\tsame\n"a" is\twhat is "a"\t1\n')
    assert read_labelled(path).pairs[0].prompt == '"a" is'


@pytest.mark.parametrize("name", ["a.tsv", "a.jsonl"])
def test_a_cache_is_read(tmp_path, name):
    text = {
        "a.tsv": "kind\tgroup\ttext\ncache\tg0\tHow to pay\n"
        "paraphrase\tg0\tpaying\nunrelated\t\tx\n",
        "a.jsonl": '{"kind": "cache", "group": "g0", "text": "How to pay"}\n'
        '{"kind": "paraphrase", "group": "g0", "text": "paying"}\n'
        '{"kind": "unrelated", "group": null, "text": "x"}\n',
    }[name]
    read = read_labelled(write(tmp_path, name, text))
    assert read.content == "cache"
    assert read.rows == [
        CacheRow("cache", "g0", "How to pay"),
        CacheRow("paraphrase", "g0", "paying"),
        CacheRow("unrelated", "", "x"),
    ]


def test_recorded_lookups_are_read_from_csv_too(tmp_path):
    path = write(
        tmp_path,
        "a.csv",
        "similarity,accepted,label,scope,probability,more\n0.9,1,right,a,,x\n0.8,false,,b,0.2,\n",
    )
    first, second = read_labelled(path).lookups
    assert (first.similarity, first.accepted, first.label, first.scope) == (0.9, True, "right", "a")
    assert (second.accepted, second.label, second.probability) == (False, None, 0.2)


def test_bad_rows_are_reported_with_their_line_and_left_out(tmp_path):
    path = write(
        tmp_path,
        "a.csv",
        b"prompt1,prompt2,same\n"
        b"a,b,maybe\n"
        b",b,1\n"
        b"a,b\n"
        b"\xff,b,1\n"
        b'"two\nlines",b,1\n'
        b"a,b,1\n"
        b'"a"b,c,0\n',
    )
    read = read_labelled(path)
    assert read.pairs == [LabelledPair("two\nlines", "b", same=True), LabelledPair("a", "b", True)]
    assert read.bad_rows[:4] == [
        BadRow(2, "same: must be 1 or 0 (right or wrong), got 'maybe'"),
        BadRow(3, "prompt1: must not be empty"),
        BadRow(4, "must have 3 fields, got 2"),
        BadRow(5, "must be UTF-8"),
    ]
    assert read.bad_rows[4].line == 9
    assert read.bad_rows[4].problem.startswith("must be CSV: ")
    assert read.bad_row_count == 5


def test_bad_json_lines_are_reported(tmp_path):
    path = write(
        tmp_path,
        "a.jsonl",
        b"{\n"
        b'["a", "b", 1]\n'
        b'{"prompt1": "a", "same": 1}\n'
        b'{"prompt1": "a", "prompt2": 5, "same": 1}\n'
        b'{"prompt1": "a", "prompt2": "b", "same": 2}\n'
        b'{"prompt1": "\xff", "prompt2": "b", "same": 1}\n'
        + b'{"prompt1": ' * 2000
        + b"\n"
        + b'{"prompt1": "a", "prompt2": "b", "same": 1}\n',
    )
    read = read_labelled(path)
    assert len(read.pairs) == 1
    assert [(row.line, row.problem) for row in read.bad_rows] == [
        (1, "must be a JSON object"),
        (2, "must be a JSON object, got list"),
        (3, "prompt2: is required"),
        (4, "prompt2: must be a str, got int"),
        (5, "same: must be 1 or 0 (right or wrong), got 2"),
        (6, "must be UTF-8"),
        (7, "must be a JSON object"),
    ]


def test_a_hundred_bad_rows_are_kept_and_all_are_counted(tmp_path):
    path = write(tmp_path, "a.csv", "prompt1,prompt2,same\na,b,1\n" + "a,b,?\n" * 150)
    read = read_labelled(path)
    assert (len(read.bad_rows), read.bad_row_count) == (100, 150)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "x", "file: must end in .csv, .tsv, .jsonl or .ndjson, got 'a.txt'"),
        ("gz", "x", "file: must end in .csv, .tsv, .jsonl or .ndjson, got 'gz'"),
        ("a.csv", "", "file: has no usable row (it is empty)"),
        ("a.csv", "a,b\nc,d\n", "columns: must be prompt1, prompt2, same; or kind, group, text; "),
        ("a.jsonl", '{"a": 1}\n', "file: has no usable row (line 1: columns: must be "),
        ("a.jsonl", '{"similarity": 2}', "file: has no usable row (line 1: similarity: must be "),
    ],
)
def test_a_file_of_nothing_usable_is_refused(tmp_path, name, text, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        read_labelled(write(tmp_path, name, text))
    assert str(caught.value).startswith(message)


def test_what_a_file_holds_can_be_said(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"similarity": 0.9, "prompt": "a", "candidate": "b"}\n')
    assert read_labelled(path).content == "lookups"
    with pytest.raises(ValueError, match="same: is required"):
        read_labelled(path, "pairs")
    with pytest.raises(ValueError, match=r'^content: must be "auto", "pairs"'):
        read_labelled(path, "prompts")


def test_a_compressed_file_that_is_cut_off_is_an_error(tmp_path):
    whole = gzip.compress(b"prompt1,prompt2,same\n" + b"a,b,1\n" * 100)
    with pytest.raises(EOFError):
        read_labelled(write(tmp_path, "a.csv.gz", whole[:-12]))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=400)
    | st.text('{}[]":,\t\n\r01 abpromtsetxlkingu', max_size=200).map(str.encode),
    suffix=st.sampled_from(["csv", "tsv", "jsonl"]),
)
def test_no_content_raises_anything_but_a_value_error(tmp_path, content, suffix):
    path = write(tmp_path, f"a.{suffix}", content)
    problem, rows = "", 0
    try:
        rows = len(read_labelled(path))
    except ValueError as error:
        problem = str(error)
    assert rows or problem.startswith(("file: ", "columns: "))
