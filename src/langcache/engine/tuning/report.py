"""What was tuned and measured, as text, as JSON and as one HTML page."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from langcache.engine.tuning.plots import Series, line_plot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from langcache.engine.tuning.evaluation import Evaluation
    from langcache.engine.tuning.labelled_file import BadRow
    from langcache.engine.tuning.lookups import RecordedLookup
    from langcache.engine.tuning.thresholds import TunedThreshold, Tuning

__all__ = ["Report"]

_NONE = "-"
_TEXT_WIDTH = 60
_BAD_ROWS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Report:
    """A tuning, an evaluation, or both, to be read by people or programs.

    The JSON and HTML forms hold the prompts of the ten worst hits and misses, if the lookups have
    prompts; the text form does, too.

    Attributes:
        evaluation: What `evaluate` returned, or None.
        tuning: What `tune` returned, or None.
        title: What the report is about: the name of the file, say.
        bad_rows: Rows that were left out.
        bad_row_count: How many rows were left out in all.
        max_wrong: The error budget that the evaluation is held against; None for the tuning's, if
            there is one.
    """

    evaluation: Evaluation | None = None
    tuning: Tuning | None = None
    title: str = ""
    bad_rows: Sequence[BadRow] = ()
    bad_row_count: int = 0
    max_wrong: float | None = None

    def text(self) -> str:
        """Return the report as plain text, with a newline at the end."""
        blocks = [_cut(self.title)] if self.title else []
        if self.bad_row_count:
            blocks.append(
                "\n".join([self._left_out(), *(
                    f"  line {row.line}: {row.problem}"
                    for row in self.bad_rows[:_BAD_ROWS_SHOWN]
                )])
            )  # fmt: skip
        if self.tuning is not None:
            blocks.append(_aligned(_tuning_facts(self.tuning)))
            if self.tuning.scopes:
                blocks.append("By scope\n" + _table(_SCOPE_HEAD, _scope_rows(self.tuning)))
        if self.evaluation is not None:
            blocks.append(_aligned(_evaluation_facts(self.evaluation, self._budget)))
            if len(self.evaluation.kinds) > 1:
                blocks.append("By kind\n" + _table(_KIND_HEAD, _kind_rows(self.evaluation)))
            if self.evaluation.calibration:
                blocks.append("Calibration\n" + _table(_BIN_HEAD, _bin_rows(self.evaluation)))
            for name, worst in _worst(self.evaluation):
                if worst:
                    blocks.append(f"{name}\n" + _table(_LOOKUP_HEAD, _lookup_rows(worst)))
        return _encodable("\n\n".join(blocks) + "\n")

    def json(self) -> str:
        """Return the report as a JSON object, with a newline at the end.

        Its members are `title`, `max_wrong`, `tuning`, `evaluation`, `bad_rows` and
        `bad_row_count`; `tuning` and `evaluation` are null or have the attributes of `Tuning` and
        `Evaluation` as members.
        """
        document: dict[str, Any] = {
            "title": self.title,
            "max_wrong": self._budget,
            "tuning": None if self.tuning is None else _tuning_document(self.tuning),
            "evaluation": None if self.evaluation is None else dataclasses.asdict(self.evaluation),
            "bad_rows": [dataclasses.asdict(row) for row in self.bad_rows],
            "bad_row_count": self.bad_row_count,
        }
        return json.dumps(document, indent=2) + "\n"

    def html(self) -> str:
        """Return the report as one HTML page that loads nothing from elsewhere."""
        parts: list[str] = []
        if self.bad_row_count:
            listed = "".join(
                f"<li>line {row.line}: {escape(row.problem)}</li>" for row in self.bad_rows
            )
            parts.append(
                f"<details><summary>{escape(self._left_out())}</summary><ul>{listed}</ul></details>"
            )
        if self.tuning is not None:
            parts.append("<h2>Threshold</h2>" + _html_facts(_tuning_facts(self.tuning)))
            if self.tuning.scopes:
                parts.append(
                    "<h3>By scope</h3>" + _html_table(_SCOPE_HEAD, _scope_rows(self.tuning))
                )
        if self.evaluation is not None:
            parts.append(_html_evaluation(self.evaluation, self._budget))
        title = escape(self.title) or "Hit quality"
        return _encodable(_PAGE.format(title=title, style=_STYLE, body="\n".join(parts)))

    @property
    def _budget(self) -> float | None:
        if self.max_wrong is None and self.tuning is not None:
            return self.tuning.max_wrong
        return self.max_wrong

    def _left_out(self) -> str:
        return f"{self.bad_row_count} row{'s were' if self.bad_row_count > 1 else ' was'} left out"


def _tuning_document(tuning: Tuning) -> dict[str, Any]:
    document = dataclasses.asdict(tuning)
    for into, threshold in (
        (document["whole"], tuning.whole),
        *((document["scopes"][name], each) for name, each in tuning.scopes.items()),
    ):
        into["distance"] = threshold.distance
    return document


def _tuning_facts(tuning: Tuning) -> list[tuple[str, str]]:
    whole = tuning.whole
    facts = [
        ("Error budget", f"at most {_share(tuning.max_wrong)} of the hits may be wrong"),
        ("Threshold", _threshold(whole)),
        ("", whole.reason),
        ("Lookups", _lookups(whole.lookups, whole.labels)),
    ]
    if whole.threshold is not None:
        facts += [
            ("Hit ratio", _share(whole.hit_ratio)),
            ("Wrong hits", _wrong_hits(whole.wrong, whole.hits)),
            ("Upper bound", f"{_share(whole.upper_bound)} at {_share(tuning.confidence)}"),
        ]
    if whole.labels_needed is not None:
        facts.append(("Labels needed", f"at least about {whole.labels_needed:,} more"))
    return facts


def _evaluation_facts(evaluation: Evaluation, max_wrong: float | None) -> list[tuple[str, str]]:
    distance = round(2 * (1 - evaluation.threshold), 10)
    facts = [
        ("Evaluated at", f"{evaluation.threshold:.4g} (distance {distance:.4g})"),
        ("Lookups", _lookups(evaluation.lookups, evaluation.labels)),
        ("Hit ratio", _share(evaluation.hit_ratio)),
        ("Wrong hits", _wrong_hits(evaluation.wrong_hits, evaluation.hits)),
        ("Wrong rate", _wrong_rate(evaluation, max_wrong)),
        ("Precision", _share(evaluation.precision)),
        ("Recall", _share(evaluation.recall)),
        ("Rejected", f"{evaluation.rejected:,} by the verifier"),
        ("Area (P-CHR)", _number(evaluation.area)),
    ]
    if evaluation.calibration_error is not None:
        facts.append(("Calibration", f"mean error {_number(evaluation.calibration_error)}"))
    return facts


def _wrong_rate(evaluation: Evaluation, max_wrong: float | None) -> str:
    if evaluation.wrong_rate is None:
        return f"{_NONE} (no hits)"
    text = f"{_share(evaluation.wrong_rate)}, true rate at most {_share(evaluation.upper_bound)}"
    if max_wrong is None:
        return text
    verdict = "above" if evaluation.exceeds(max_wrong) else "within"
    return f"{text}; {verdict} the budget of {_share(max_wrong)}"


def _threshold(tuned: TunedThreshold) -> str:
    if tuned.threshold is None:
        return "none"
    return f"{tuned.threshold:.4f} (distance {tuned.distance:.4f})"


def _lookups(lookups: int, labels: int) -> str:
    return f"{lookups:,}, {labels:,} of them labelled"


def _wrong_hits(wrong: int, hits: int) -> str:
    return f"{wrong:,} of {hits:,} labelled hits"


def _share(value: float | None) -> str:
    return _NONE if value is None else f"{100 * value:.4g} %"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"


_SCOPE_HEAD = ("scope", "threshold", "guaranteed", "labels", "hits", "wrong", "reason")
_KIND_HEAD = ("kind", "lookups", "hits", "wrong hits", "missed")
_BIN_HEAD = ("probability", "lookups", "mean", "right")
_LOOKUP_HEAD = ("similarity", "kind", "prompt", "cached prompt", "verifier")


def _scope_rows(tuning: Tuning) -> list[list[str]]:
    return [
        [
            name or "(none)",
            "none" if each.threshold is None else f"{each.threshold:.4f}",
            "yes" if each.guaranteed else "no",
            f"{each.labels:,}",
            f"{each.hits:,}",
            f"{each.wrong:,}",
            each.reason,
        ]
        for name, each in tuning.scopes.items()
    ]


def _kind_rows(evaluation: Evaluation) -> list[list[str]]:
    return [
        [
            each.kind or "(none)",
            f"{each.lookups:,}",
            f"{each.hits:,}",
            f"{each.wrong_hits:,}",
            f"{each.missed:,}",
        ]
        for each in evaluation.kinds
    ]


def _bin_rows(evaluation: Evaluation) -> list[list[str]]:
    return [
        [
            f"{each.low:.1f} to {each.high:.1f}",
            f"{each.lookups:,}",
            _number(each.mean_probability),
            _number(each.right),
        ]
        for each in evaluation.calibration
    ]


def _worst(evaluation: Evaluation) -> list[tuple[str, Sequence[RecordedLookup]]]:
    return [
        ("Worst wrong hits", evaluation.false_hits),
        ("Worst misses of a right answer", evaluation.false_misses),
    ]


def _lookup_rows(lookups: Iterable[RecordedLookup]) -> list[list[str]]:
    return [
        [
            f"{each.similarity:.4f}",
            each.kind,
            each.prompt or "",
            each.cached_prompt or "",
            _verdict(each),
        ]
        for each in lookups
    ]


def _verdict(lookup: RecordedLookup) -> str:
    words = [] if lookup.accepted else ["rejected"]
    if lookup.probability is not None:
        words.append(f"p = {lookup.probability:.3f}")
    if lookup.reason:
        words.append(lookup.reason)
    return ", ".join(words)


def _cut(text: str) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= _TEXT_WIDTH else text[: _TEXT_WIDTH - 3] + "..."


def _aligned(facts: Sequence[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in facts)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in facts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rows = [[_cut(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    )


def _html_evaluation(evaluation: Evaluation, max_wrong: float | None) -> str:
    parts = [
        "<h2>Hits</h2>",
        _html_facts(_evaluation_facts(evaluation, max_wrong)),
        f'<div class="plots">{_plots(evaluation, max_wrong)}</div>',
        "<h2>By kind</h2>",
        _html_table(_KIND_HEAD, _kind_rows(evaluation)),
    ]
    if evaluation.calibration:
        parts += ["<h2>Calibration</h2>", _html_table(_BIN_HEAD, _bin_rows(evaluation))]
    for name, worst in _worst(evaluation):
        parts.append(f"<h2>{escape(name)}</h2>")
        parts.append(_html_table(_LOOKUP_HEAD, _lookup_rows(worst)) if worst else "<p>None.</p>")
    return "\n".join(parts)


def _plots(evaluation: Evaluation, max_wrong: float | None) -> str:
    curve = evaluation.curve
    plots: list[str] = []
    if curve:
        plots.append(
            line_plot(
                "Precision over hit ratio",
                "hit ratio",
                "precision",
                [Series("precision", [(each.hit_ratio, each.precision) for each in curve])],
                x_mark=evaluation.hit_ratio,
            )
        )
        wrong = [(each.threshold, 1 - each.precision) for each in curve]
        bounds = [(each.threshold, each.upper_bound) for each in curve]
        top = max(0.05, min(1.0, 4 * max_wrong if max_wrong else 1.0, max(y for _, y in bounds)))
        low = min(0.9, curve[-1].threshold, evaluation.threshold)
        plots.append(
            line_plot(
                "Wrong rate over threshold",
                "threshold (similarity)",
                "wrong rate",
                [Series("wrong rate", wrong), Series("upper bound, 95 %", bounds, style=2)],
                x_range=(low, 1.0),
                y_range=(0.0, top),
                x_mark=evaluation.threshold,
                y_mark=max_wrong,
            )
        )
    if evaluation.calibration:
        bins = [(each.mean_probability, each.right) for each in evaluation.calibration]
        plots.append(
            line_plot(
                "Calibration of the verifier",
                "probability",
                "share of right ones",
                [Series("verifier", bins, dots=True), Series("ideal", [(0, 0), (1, 1)], style=3)],
            )
        )
    return "".join(f"<figure>{plot}</figure>" for plot in plots)


def _html_facts(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts
    )
    return f'<table class="facts">{rows}</table>'


def _html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def _encodable(text: str) -> str:
    """Replace lone surrogates, which no file in UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


_STYLE = """
:root { color-scheme: light dark; --text: #1b1b1b; --soft: #777; --grid: #ddd; --page: #fff;
  --one: #0b62c4; --two: #c2570c; --three: #888; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8e8; --soft: #999; --grid: #3a3a3a;
  --page: #161616; --one: #6db1ff; --two: #ff9c57; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0;
  border-bottom: 1px solid var(--grid); }
.facts th { font-weight: normal; color: var(--soft); white-space: nowrap; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; flex: 1 1 22rem; max-width: 30rem; }
svg { width: 100%; } svg text { font-size: 11px; fill: var(--soft); }
.grid { stroke: var(--grid); } .mark { stroke: var(--soft); stroke-dasharray: 4 3; }
.line { fill: none; stroke-width: 2; }
.line.s1 { stroke: var(--one); } .line.s2 { stroke: var(--two); } .line.s3 { stroke: var(--three); }
.dot.s1 { fill: var(--one); }
.legend span { margin-right: 1rem; font-size: 12px; } .legend .s1 { color: var(--one); }
.legend .s2 { color: var(--two); } .legend .s3 { color: var(--three); }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""
