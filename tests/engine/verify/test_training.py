"""The training of the pair model runs; skipped without torch, which no extra brings."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import langcache_minilm_pair
import pytest

torch = pytest.importorskip("torch", reason="the training of the pair model needs torch")
safetensors = pytest.importorskip("safetensors", reason="the weights are a safetensors file")

TRAINING = Path(__file__).parents[3] / "models" / "minilm_pair" / "train"
CONFIG = {
    "vocab_size": 30522,
    "hidden_size": 24,
    "intermediate_size": 48,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "hidden_dropout_prob": 0.1,
}


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Trains a small model from a random start for a few seconds; returns weights and report."""
    monkeypatch.syspath_prepend(str(TRAINING))
    from model import PairModel
    from safetensors.torch import load_file, save_file

    base = tmp_path / "base"
    base.mkdir()
    torch.manual_seed(1)
    start = {
        name.removeprefix("bert."): value.contiguous()
        for name, value in PairModel(CONFIG).state_dict().items()
        if name.startswith("bert.")
    }
    save_file(start, base / "model.safetensors")
    (base / "config.json").write_text(json.dumps(CONFIG))
    shutil.copy(langcache_minilm_pair.tokenizer_path(), base / "tokenizer.json")
    small = tmp_path / "groups.jsonl.gz"
    with (
        gzip.open(TRAINING / "near-misses-train.jsonl.gz", "rt") as source,
        gzip.open(small, "wt") as target,
    ):
        target.writelines(next(source) for _ in range(20))

    def run(*options):
        out = tmp_path / "weights.safetensors"
        done = subprocess.run(
            [
                *(sys.executable, TRAINING / "train.py", base, out, "--groups", small),
                *("--development", small, "--epochs", "2", "--pairs", "100", "--batch", "16"),
                *options,
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        return load_file(out), done.stdout

    return run


def test_training_writes_the_weights_that_the_conversion_reads(train):
    weights, printed = train()
    name = "bert.encoder.layer.1.attention.self.query.weight"
    assert weights[f"{name}.q"].dtype == torch.int8
    assert int(weights[f"{name}.q"].abs().max()) <= 64
    assert weights[f"{name}.scale"].shape == (24, 1)
    assert weights["head.weight"].shape == (1, 24)
    assert not any("word_embeddings" in key for key in weights)
    assert "epoch 1: loss" in printed
    assert "average precision" in printed


def test_training_takes_a_folder_of_foreign_pairs(train, tmp_path):
    folder = tmp_path / "foreign"
    folder.mkdir()
    with gzip.open(folder / "paws-small.tsv.gz", "wt") as file:
        file.write("text1\ttext2\tlabel\nA beats B\tB beats A\t0\nA beats B\tB loses to A\t1\n")
    _, printed = train("--foreign", str(folder))
    assert "paws: 2 pairs" in printed
