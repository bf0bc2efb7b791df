"""The record of a lookup, and the file it is written to."""

from __future__ import annotations

import json
import stat
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langcache.engine import SemanticCache
from langcache.engine.tuning import LookupLog, RecordedLookup, read_labelled

SHADOW = RecordedLookup(
    similarity=0.93,
    scope="shop",
    accepted=False,
    probability=0.12,
    reason="the numbers differ",
    prompt="Where is order 12345?",
    cached_prompt="Where is order 12346?",
    cached_response="It is on its way.",
    response="It was delivered.",
    recorded_at=1_700_000_000.0,
)


def test_texts_are_not_in_the_repr():
    assert "order" not in repr(SHADOW)
    assert "way" not in repr(SHADOW)
    assert "0.93" in repr(SHADOW)


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "shadow.jsonl"
    labelled = RecordedLookup(similarity=1, label="wrong", answerable=True, kind="negation")
    with LookupLog(path) as log:
        log.write(SHADOW)
        log.write(labelled)
    assert read_labelled(path).lookups == [SHADOW, labelled]


def test_a_line_has_a_place_for_the_label(tmp_path):
    with LookupLog(tmp_path / "shadow.jsonl") as log:
        log.write(SHADOW)
    row = json.loads((tmp_path / "shadow.jsonl").read_text())
    assert row["label"] is None
    assert row["response"] == "It was delivered."
    assert "kind" not in row


def test_a_cache_in_shadow_mode_writes_to_a_log(tmp_path):
    path = tmp_path / "shadow.jsonl"
    with LookupLog(path) as log:
        cache = SemanticCache(
            distance_threshold=0.4, shadow=True, on_shadow=log.write, clock=lambda: 5.0
        )
        cache.store("What is the capital of France?", "Paris")
        assert cache.check("the capital city of France?") == []
        cache.store("the capital city of France?", "It is Paris.")
        cache.disconnect()
    (lookup,) = read_labelled(path).lookups
    assert lookup.label is None
    assert lookup.accepted
    assert lookup.similarity > 0.8
    assert (lookup.prompt, lookup.cached_prompt) == (
        "the capital city of France?",
        "What is the capital of France?",
    )
    assert (lookup.cached_response, lookup.response) == ("Paris", "It is Paris.")
    assert lookup.recorded_at == 5.0


def test_a_full_file_drops_lookups_and_counts_them(tmp_path):
    path = tmp_path / "shadow.jsonl"
    line = len(json.dumps(SHADOW.to_row(), separators=(",", ":"))) + 1
    with LookupLog(path, max_bytes=2 * line + 5) as log:
        for _ in range(4):
            log.write(SHADOW)
        assert log.dropped == 2
    assert path.stat().st_size == 2 * line
    with LookupLog(path, max_bytes=2 * line + 5) as log:
        log.write(SHADOW)
        assert log.dropped == 1
    assert len(read_labelled(path).lookups) == 2


def test_a_log_goes_on_after_a_line_that_was_cut_off(tmp_path):
    path = tmp_path / "shadow.jsonl"
    path.write_text('{"similarity": 0.9}\n{"similarity": 0.')
    with LookupLog(path) as log:
        log.write(SHADOW)
    read = read_labelled(path)
    assert [each.similarity for each in read.lookups] == [0.9, 0.93]
    assert [row.line for row in read.bad_rows] == [2]


def test_threads_write_whole_lines(tmp_path):
    path = tmp_path / "shadow.jsonl"
    with LookupLog(path) as log:
        threads = [
            threading.Thread(target=lambda: [log.write(SHADOW) for _ in range(50)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert read_labelled(path).lookups == [SHADOW] * 200


def test_what_is_written_after_closing_is_dropped(tmp_path):
    log = LookupLog(tmp_path / "shadow.jsonl")
    log.close()
    log.write(SHADOW)
    log.close()
    assert log.dropped == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions")
def test_only_the_owner_may_read_the_file(tmp_path):
    with LookupLog(tmp_path / "shadow.jsonl"):
        pass
    mode = (tmp_path / "shadow.jsonl").stat().st_mode
    assert stat.S_IMODE(mode) & 0o077 == 0


def test_a_file_without_room_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^max_bytes: must be at least 1, got 0$"):
        LookupLog(tmp_path / "shadow.jsonl", max_bytes=0)
    with pytest.raises(TypeError, match=r"^max_bytes: must be an int, got float$"):
        LookupLog(tmp_path / "shadow.jsonl", max_bytes=1e6)
    assert not (tmp_path / "shadow.jsonl").exists()


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"similarity": 1.2}, ValueError, "similarity: must be in [0, 1], got 1.2"),
        ({"similarity": float("nan")}, ValueError, "similarity: must be finite, got nan"),
        ({"similarity": "0.9"}, TypeError, "similarity: must be a number, got str"),
        ({"similarity": True}, TypeError, "similarity: must be a number, got bool"),
        ({"label": "good"}, ValueError, 'label: must be "right", "wrong" or None, got \'good\''),
        ({"accepted": None}, TypeError, "accepted: must be a bool, got NoneType"),
        ({"answerable": 1}, TypeError, "answerable: must be a bool, got int"),
        ({"probability": -0.1}, ValueError, "probability: must be in [0, 1], got -0.1"),
        ({"scope": None}, TypeError, "scope: must be a str, got NoneType"),
        ({"prompt": b"x"}, TypeError, "prompt: must be a str, got bytes"),
    ],
)
def test_a_wrong_value_is_refused_by_name(values, error, message):
    with pytest.raises(error) as caught:
        RecordedLookup(**{"similarity": 0.5, **values})
    assert str(caught.value) == message


def test_the_answer_is_known_by_the_label_unless_it_is_said():
    assert RecordedLookup(similarity=0.5, label="right").has_answer
    assert not RecordedLookup(similarity=0.5, label="wrong").has_answer
    assert not RecordedLookup(similarity=0.5).has_answer
    assert RecordedLookup(similarity=0.5, label="wrong", answerable=True).has_answer


texts = st.text(min_size=1)


@settings(max_examples=50, deadline=None)
@given(
    st.builds(
        RecordedLookup,
        similarity=st.floats(0, 1),
        label=st.sampled_from(["right", "wrong", None]),
        accepted=st.booleans(),
        scope=st.text(),
        kind=st.text(),
        probability=st.none() | st.floats(0, 1),
        reason=st.text(),
        answerable=st.none() | st.booleans(),
        prompt=st.none() | texts,
        cached_prompt=st.none() | texts,
        cached_response=st.none() | texts,
        response=st.none() | texts,
        recorded_at=st.none() | st.floats(0, 1e12),
    )
)
def test_every_lookup_survives_json(lookup):
    assert RecordedLookup.from_row(json.loads(json.dumps(lookup.to_row()))) == lookup
