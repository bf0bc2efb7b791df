import asyncio
import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import langcache_minilm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langcache.engine.embedders import MiniLMEmbedder
from langcache.engine.embedders.text_facts import DescribesTexts

PARAPHRASES = [
    ("How do I reset my password?", "I forgot my password, how can I get a new one?"),
    ("What is the capital of France?", "Which city is France's capital?"),
    ("How can I lose weight quickly?", "What is the fastest way to lose weight?"),
    ("Who wrote Hamlet?", "Who is the author of Hamlet?"),
]
TEXTS = [text for pair in PARAPHRASES for text in pair]
# Categories excluded by default are the surrogates.
any_text = st.text(st.characters(exclude_categories=()), max_size=200)


@pytest.fixture(scope="module")
def embedder():
    return MiniLMEmbedder()


def test_paraphrases_are_closer_than_anything_unrelated(embedder):
    cosines = embedder.embed(TEXTS) @ embedder.embed(TEXTS).T
    paraphrases = [cosines[i, i + 1] for i in range(0, len(TEXTS), 2)]
    unrelated = [
        cosines[i, j] for i, j in itertools.combinations(range(len(TEXTS)), 2) if i // 2 != j // 2
    ]
    assert min(paraphrases) > 0.7
    assert max(unrelated) < 0.4


@pytest.mark.parametrize(
    ("text", "cosine"),
    [
        ("That is a happy dog", 0.695),
        ("That is a very happy person", 0.943),
        ("Today is a sunny day", 0.257),
    ],
)
def test_cosines_are_near_those_of_the_float32_weights(embedder, text, cosine):
    one, other = embedder.embed(["That is a happy person", text])
    assert one @ other == pytest.approx(cosine, abs=0.015)


def test_says_what_it_is(embedder):
    assert embedder.model_id == "all-MiniLM-L6-v2-int8-static"
    assert embedder.model_id not in langcache_minilm.PREVIOUS_MODEL_IDS
    assert embedder.dimensions == 384


def test_gives_one_row_of_unit_length_for_each_text(embedder):
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("texts", [[], ()])
def test_no_texts_give_no_rows(embedder, texts):
    vectors = embedder.embed(texts)
    assert vectors.shape == (0, 384)
    assert vectors.dtype == np.float32


def test_another_instance_gives_the_same_vectors(embedder):
    np.testing.assert_array_equal(MiniLMEmbedder().embed(TEXTS), embedder.embed(TEXTS))


@pytest.mark.parametrize("options", [{"threads": 2}, {"processors": 1}, {"processors": 5}])
def test_more_threads_give_the_same_vectors(embedder, options):
    texts = [*TEXTS, " ".join(TEXTS * 3), *TEXTS]
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    np.testing.assert_array_equal(MiniLMEmbedder(**options).embed(texts), alone)


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(any_text | st.sampled_from(TEXTS), min_size=1, max_size=5))
def test_a_vector_depends_on_its_text_alone(embedder, texts):
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    np.testing.assert_array_equal(embedder.embed(texts), alone)


@pytest.mark.parametrize("words", [1, 2, 7, 20, 70])
def test_texts_of_one_length_have_the_vectors_they_have_alone(embedder, words):
    texts = [f"{'word ' * (words - 1)}{last}" for last in "abcdefghijklmnopqrstuvwxyz"]
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    np.testing.assert_array_equal(embedder.embed(texts), alone)


@settings(max_examples=100, deadline=None)
@given(text=any_text)
def test_any_text_has_a_vector_of_unit_length(embedder, text):
    assert np.linalg.norm(embedder.embed([text])[0]) == pytest.approx(1, abs=1e-6)


def test_threads_at_once_get_the_vectors_of_one_thread(embedder):
    texts = [f"{text} {number}" for text in TEXTS for number in range(10)]
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda text: embedder.embed([text])[0], texts))
    np.testing.assert_array_equal(np.stack(rows), embedder.embed(texts))


def test_aembed_gives_the_vectors_of_embed(embedder):
    np.testing.assert_array_equal(asyncio.run(embedder.aembed(TEXTS)), embedder.embed(TEXTS))


def test_aembed_does_not_block_the_event_loop(embedder):
    async def turns_of_the_loop_during_aembed():
        work = asyncio.create_task(embedder.aembed(TEXTS * 50))
        turns = 0
        while not work.done():
            await asyncio.sleep(0.001)
            turns += 1
        return turns

    assert asyncio.run(turns_of_the_loop_during_aembed()) > 10


def test_letter_case_accents_and_control_characters_do_not_count(embedder):
    plain, marked = embedder.embed(["a resume in my cafe", "A Résumé\x00 in my\ufffd CAFÉ"])
    np.testing.assert_array_equal(plain, marked)


def test_lone_surrogates_do_not_count(embedder):
    with_surrogates, without = embedder.embed(
        ["Who \ud800wrote\udfff Hamlet?", "Who wrote Hamlet?"]
    )
    np.testing.assert_array_equal(with_surrogates, without)


def test_a_surrogate_pair_is_the_character_it_stands_for(embedder):
    pair, character = embedder.embed(["\ud842\udfb7 field", "\U00020bb7 field"])
    np.testing.assert_array_equal(pair, character)


def test_only_the_first_512_tokens_count(embedder):
    first = "word " * 510
    whole, longer, shorter = embedder.embed([first, first + "and more", "word " * 509])
    np.testing.assert_array_equal(whole, longer)
    assert not np.array_equal(whole, shorter)


def test_only_the_first_32768_characters_count(embedder):
    inside, outside, empty = embedder.embed([" " * 32_764 + "word", " " * 32_768 + "word", ""])
    np.testing.assert_array_equal(outside, empty)
    assert not np.array_equal(inside, empty)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["secret", 3], r"texts\[1\]: must be a str, got int"),
        ([b"secret"], r"texts\[0\]: must be a str, got bytes"),
        (["secret", "secret", None], r"texts\[2\]: must be a str, got NoneType"),
        ("secret", "texts: must be a sequence of str, got a single str"),
    ],
)
def test_refuses_what_is_not_a_sequence_of_str(embedder, texts, message):
    with pytest.raises(TypeError, match=f"^{message}$"):
        embedder.embed(texts)
    with pytest.raises(TypeError, match=f"^{message}$"):
        asyncio.run(embedder.aembed(texts))


def test_describes_texts(embedder):
    assert isinstance(embedder, DescribesTexts)


def test_texts_that_differ_in_letter_case_and_white_space_have_the_same_token_ids(embedder):
    one, other = embedder.describe("Who wrote Hamlet?"), embedder.describe(" who  WROTE\nhamlet ?")
    assert one == other
    assert len(one.token_ids) == 4
    assert embedder.describe("Who read Hamlet?").token_ids != one.token_ids


def test_an_empty_text_has_no_tokens(embedder):
    facts = embedder.describe("")
    assert (facts.token_ids, facts.unknown, facts.was_cut) == ((), (), False)


def test_the_parts_without_a_token_are_told_in_order(embedder):
    word = "x" * 101
    facts = embedder.describe(f"I like \U0001f355 and\ud800 {word} \u2615\u2615!")
    assert facts.unknown == ("\U0001f355", word, "\u2615\u2615")
    assert embedder.describe("I like pizza and coffee!").unknown == ()


@pytest.mark.parametrize(
    ("text", "was_cut"),
    [
        ("word " * (langcache_minilm.MAX_TOKENS - 2), False),
        ("word " * (langcache_minilm.MAX_TOKENS - 1), True),
        (" " * 32_764 + "word", False),
        (" " * 32_764 + "words", True),
    ],
)
def test_tells_whether_a_text_was_cut(embedder, text, was_cut):
    facts = embedder.describe(text)
    assert facts.was_cut is was_cut
    assert len(facts.token_ids) <= langcache_minilm.MAX_TOKENS - 2


@settings(max_examples=50, deadline=None)
@given(text=any_text)
def test_describes_any_text(embedder, text):
    assert len(embedder.describe(text).token_ids) >= len(embedder.describe(text).unknown)


def test_refuses_to_describe_what_is_not_a_str(embedder):
    with pytest.raises(TypeError, match=r"^text: must be a str, got bytes$"):
        embedder.describe(b"secret")


@pytest.mark.parametrize("option", ["threads", "processors"])
@pytest.mark.parametrize("count", [0, -1])
def test_refuses_less_than_one_thread(option, count):
    with pytest.raises(ValueError, match=f"^{option}: must be at least 1, got {count}$"):
        MiniLMEmbedder(**{option: count})


def test_importing_the_engine_does_not_import_onnxruntime():
    code = "import sys, langcache.engine; print(*{'onnxruntime', 'tokenizers'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == ""


def test_model_files_are_those_the_package_declares():
    paths = [langcache_minilm.model_path(), langcache_minilm.tokenizer_path()]
    assert sorted(langcache_minilm.SHA256) == sorted(path.name for path in paths)
    langcache_minilm.verify()


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_verify_finds_a_changed_model_file(tmp_path, name):
    copy = tmp_path / "changed_minilm"
    shutil.copytree(Path(langcache_minilm.__file__).parent, copy)
    with (copy / name).open("ab") as file:
        file.write(b" ")
    spec = importlib.util.spec_from_file_location("changed_minilm", copy / "__init__.py")
    changed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(changed)
    with pytest.raises(ValueError, match=f"^{name}: SHA-256 is"):
        changed.verify()


def test_onnxruntime_writes_nothing_and_calls_nobody(tmp_path):
    code = "from langcache.engine import MiniLMEmbedder; MiniLMEmbedder().embed(['a'])"
    home = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "USERPROFILE", "LOCALAPPDATA"), str(tmp_path))
    environment = os.environ | home
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    process = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
    # Its telemetry begins with files of its own.
    assert list(tmp_path.rglob("*")) == []
