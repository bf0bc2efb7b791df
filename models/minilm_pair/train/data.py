"""Labelled pairs for training: groups of near misses, and the files of a folder.

A foreign file is a TSV, gzip'd or not, with the columns `text1, text2, label` (1: equal). Its name
up to the first "-" or "." is its source; `WEIGHTS` says how often a source is drawn from.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import math
from typing import TYPE_CHECKING, NamedTuple

import augment

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

GROUPS = "groups"
WEIGHTS = {GROUPS: 4.0, "paws": 3.0, "cannot": 1.0, "qqp": 1.0}
QUESTIONS = (GROUPS, "qqp")
"""Sources whose texts are prompts; the others have statements."""


class Example(NamedTuple):
    """Two prompts, and whether one answer serves both."""

    one: str
    other: str
    equal: bool


def read_groups(path: Path) -> list[Example]:
    """Return all pairs of which the groups of near misses tell whether they are equal."""
    examples: list[Example] = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            group = json.loads(line)
            same = [group["prompt"], *group["same"]]
            examples += (Example(a, b, True) for a, b in itertools.combinations(same, 2))
            examples += (
                Example(text, different["text"], False)
                for text in same
                for different in group["different"]
            )
    return examples


def read_folder(folder: Path) -> dict[str, list[Example]]:
    """Return the pairs of a folder's TSV files by their source."""
    sources: dict[str, list[Example]] = {}
    for path in sorted([*folder.glob("*.tsv"), *folder.glob("*.tsv.gz")]):
        source = path.name.split("-")[0].split(".")[0]
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                example = Example(row["text1"], row["text2"], row["label"] == "1")
                sources.setdefault(source, []).append(example)
    return sources


class Drawer:
    """Draws labelled pairs: from each source by its weight, as they are or edited by rule."""

    def __init__(self, sources: dict[str, list[Example]]) -> None:
        self._equal = {
            source: [example for example in examples if example.equal]
            for source, examples in sources.items()
        }
        self._different = {
            source: [example for example in examples if not example.equal]
            for source, examples in sources.items()
        }
        self._sources = list(sources)
        self._weights = [
            WEIGHTS.get(source, 1.0) * math.sqrt(len(sources[source])) for source in sources
        ]
        # Near misses come first: they are the questions that this is about.
        self._questions = [source for source in (GROUPS, GROUPS, "qqp") if self._equal.get(source)]
        texts = {
            text: None
            for source in QUESTIONS
            for example in sources.get(source, ())
            for text in example[:2]
        }
        self._texts = list(texts)
        self._names = augment.names(self._texts)[:8000]

    def draw(self, count: int, random: Random) -> list[Example]:
        """Return about this many pairs; an edit that does not apply gives none."""
        drawn = (self._one(random) for _ in range(count))
        return [
            Example(example.other, example.one, example.equal) if random.random() < 0.5 else example
            for example in drawn
            if example is not None
        ]

    def _one(self, random: Random) -> Example | None:
        kind = random.random()
        if kind < 0.66:
            return self._labelled(random)
        if kind < 0.80:
            return self._with_shared_part(random)
        if kind < 0.86:
            text = random.choice(self._texts)
            return Example(text, augment.keep(text, random), True)
        if kind < 0.95:
            return self._changed(random)
        one, other = random.choice(self._texts), random.choice(self._texts)
        return None if one == other else Example(one, other, False)

    def _labelled(self, random: Random) -> Example:
        source = random.choices(self._sources, self._weights)[0]
        equal, different = self._equal[source], self._different[source]
        take_equal = bool(equal) and (not different or random.random() < 0.45)
        one, other, label = random.choice(equal if take_equal else different)
        if random.random() < 0.25:
            one = augment.keep(one, random)
        if random.random() < 0.25:
            other = augment.keep(other, random)
        return Example(one, other, label)

    def _with_shared_part(self, random: Random) -> Example | None:
        one, other, _ = random.choice(self._equal[random.choice(self._questions)])
        edited = None
        if random.random() < 0.5:
            edited = augment.replace_shared(one, other, random, self._names)
        edited = edited or augment.add_circumstance(one, other, random)
        return Example(*edited) if edited else None

    def _changed(self, random: Random) -> Example | None:
        one = base = random.choice(self._texts)
        if random.random() < 0.5:
            one, base, _ = random.choice(self._equal[random.choice(self._questions)])
        other = augment.change(one, random, self._names)
        if other is None:
            return None
        return Example(augment.keep(base, random) if random.random() < 0.2 else base, other, False)
