"""The report as text, JSON and HTML."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from langcache.engine.tuning import BadRow, RecordedLookup, Report, evaluate, tune

NASTY = "<script>alert(1)</script>&\"'"


def sample(scopes=("a", "b")):
    return [
        RecordedLookup(
            similarity=0.6 + 0.39 * i / 1000,
            label="right" if i > 600 else "wrong",
            accepted=i % 50 != 0,
            scope=scopes[i % len(scopes)],
            kind=("question", "order")[i % 3 == 0],
            probability=i / 1000,
            reason="numbers differ",
            prompt=f"prompt {i}",
            cached_prompt=f"cached {i}",
        )
        for i in range(1000)
    ]


def report(lookups=None, **more):
    lookups = sample() if lookups is None else lookups
    return Report(
        evaluation=evaluate(lookups, 0.8),
        tuning=tune(lookups, max_wrong=0.05),
        title="orders.csv",
        **more,
    )


class Page(HTMLParser):
    """Checks that the elements are closed in order, and notes what they are."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_text_says_what_was_decided_and_measured():
    text = report(bad_rows=[BadRow(7, "same: must be 1 or 0")], bad_row_count=1).text()
    for words in (
        "orders.csv\n",
        "1 row was left out\n  line 7: same: must be 1 or 0",
        "at most 5 % of the hits may be wrong",
        "Threshold ",
        "By scope\n",
        "Evaluated at  0.8 (distance 0.4)",
        "above the budget of 5 %",
        "By kind\n",
        "Calibration\n",
        "Worst wrong hits\n",
        "Worst misses of a right answer\n",
        "rejected, p = 0.950, numbers differ",
    ):
        assert words in text
    assert text.endswith("\n")


def test_the_text_without_a_threshold_says_what_is_missing():
    lookups = [RecordedLookup(similarity=0.9, label="right")] * 10
    text = Report(tuning=tune(lookups)).text()
    assert "Threshold      none\n" in text
    assert "there are too few labels" in text
    assert "at least about" in text


def test_a_long_prompt_is_cut_in_the_text_and_kept_on_one_line():
    lookups = [RecordedLookup(similarity=0.9, label="wrong", prompt="a\nb\x1b[31m" + "c" * 500)]
    text = Report(evaluation=evaluate(lookups, 0.8)).text()
    assert "\x1b" not in text
    assert "a b [31mccc" in text
    assert max(map(len, text.splitlines())) < 200


def test_the_json_holds_every_measure():
    made = report(bad_rows=[BadRow(7, "x")], bad_row_count=1, max_wrong=0.03)
    document = json.loads(made.json())
    assert set(document) == {
        "title", "max_wrong", "tuning", "evaluation", "bad_rows", "bad_row_count"
    }  # fmt: skip
    assert document["max_wrong"] == 0.03
    assert document["tuning"]["whole"]["threshold"] == made.tuning.whole.threshold
    assert document["tuning"]["whole"]["distance"] == made.tuning.whole.distance
    assert set(document["tuning"]["scopes"]) == {"a", "b"}
    assert document["evaluation"]["wrong_hits"] == made.evaluation.wrong_hits
    assert document["evaluation"]["false_hits"][0]["prompt"].startswith("prompt ")
    assert document["bad_rows"] == [{"line": 7, "problem": "x"}]


def test_the_page_is_one_file_that_loads_nothing():
    page = Page(report().html())
    assert "script" not in page.tags
    assert not {"link", "img", "iframe"}.intersection(page.tags)
    assert not {"src", "href", "xlink:href"}.intersection(name for name, _ in page.attributes)
    assert page.tags.count("svg") == 3
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert "url(" not in report().html()
    assert "Worst wrong hits" in page.words


def test_everything_on_the_page_is_escaped():
    lookups = [
        RecordedLookup(
            similarity=0.9, label=label, scope=scope, kind=NASTY + label, reason=NASTY,
            prompt=NASTY, cached_prompt=NASTY, probability=0.5,
        )
        for label in ("right", "wrong") for scope in (NASTY, "b")
    ]  # fmt: skip
    html = Report(
        evaluation=evaluate(lookups, 0.8),
        tuning=tune(lookups),
        title=NASTY,
        bad_rows=[BadRow(1, NASTY)],
        bad_row_count=1,
    ).html()
    page = Page(html)
    assert "script" not in page.tags
    assert page.words.count(NASTY) >= 5
    assert "<script" not in html


def test_the_plots_show_the_curve():
    lookups = [
        RecordedLookup(similarity=1.0, label="right"),
        RecordedLookup(similarity=0.5, label="wrong"),
    ]
    html = Report(evaluation=evaluate(lookups, 0.8)).html()
    first = re.findall(r'<polyline class="line s1" points="([^"]+)"', html)[0]
    # From (1/2, 1) at the top to (1, 1/2) at the right edge.
    assert first == "228.0,12.0 408.0,124.0"


def test_a_report_of_nothing_is_still_a_page():
    for made in (Report(), Report(evaluation=evaluate([], 0.9), tuning=tune([]))):
        Page(made.html())
        json.loads(made.json())
        assert made.text().endswith("\n")


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.builds(
            RecordedLookup,
            similarity=st.floats(0, 1),
            label=st.sampled_from(["right", "wrong", None]),
            accepted=st.booleans(),
            scope=st.text(max_size=3),
            kind=st.text(max_size=3),
            probability=st.none() | st.floats(0, 1),
            prompt=st.none() | st.text(st.characters(), max_size=5),
        ),
        max_size=20,
    ),
    st.floats(0, 1),
)
def test_every_report_can_be_written_to_a_file(lookups, threshold):
    made = Report(evaluation=evaluate(lookups, threshold), tuning=tune(lookups, max_wrong=0.3))
    for text in (made.text(), made.json(), made.html()):
        text.encode("utf-8")
    Page(made.html())
    json.loads(made.json())


def test_a_lone_surrogate_does_not_stop_the_report():
    lookups = [RecordedLookup(similarity=0.9, label="wrong", prompt="\ud800")]
    made = Report(evaluation=evaluate(lookups, 0.8))
    for text in (made.text(), made.json(), made.html()):
        text.encode("utf-8")
    (worst,) = json.loads(made.json())["evaluation"]["false_hits"]
    assert worst["prompt"] == "\ud800"
