"""Thresholds from labelled lookups, and measures of how good the hits are."""

from langcache.engine.tuning.evaluation import (
    CalibrationBin,
    CurvePoint,
    Evaluation,
    KindMeasures,
    evaluate,
)
from langcache.engine.tuning.labelled_file import (
    BadRow,
    CacheRow,
    LabelledFile,
    LabelledPair,
    read_labelled,
)
from langcache.engine.tuning.lookups import Label, LookupLog, RecordedLookup
from langcache.engine.tuning.report import Report
from langcache.engine.tuning.similarities import lookups_of, lookups_of_cache, lookups_of_pairs
from langcache.engine.tuning.thresholds import ThresholdTest, TunedThreshold, Tuning, tune

__all__ = [
    "BadRow",
    "CacheRow",
    "CalibrationBin",
    "CurvePoint",
    "Evaluation",
    "KindMeasures",
    "Label",
    "LabelledFile",
    "LabelledPair",
    "LookupLog",
    "RecordedLookup",
    "Report",
    "ThresholdTest",
    "TunedThreshold",
    "Tuning",
    "evaluate",
    "lookups_of",
    "lookups_of_cache",
    "lookups_of_pairs",
    "read_labelled",
    "tune",
]
