"""The pair model for training, with the arithmetic that 8-bit inference will use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from pathlib import Path

LEVELS = 64
"""Weights are integers from -64 to 64, so that no processor's 8-bit products overflow."""


class QuantisedLinear(nn.Linear):
    """A linear layer as int8 inference computes it; gradients pass straight through the rounding.

    Weights have a scale for each output, the input has a scale and an offset for each pair of
    prompts. `kept`, the mask of the batch, keeps padding out of these.
    """

    kept: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the product with quantised weights and input."""
        with torch.no_grad():
            scale = (self.weight.abs().amax(1, keepdim=True) / LEVELS).clamp_min(1e-8)
            weight_error = (self.weight / scale).round() * scale - self.weight
            read = x * QuantisedLinear.kept[..., None]
            low = read.amin((1, 2), keepdim=True).clamp_max(0)
            high = read.amax((1, 2), keepdim=True).clamp_min(0)
            step = ((high - low) / 255).clamp_min(1e-8)
            zero = (-low / step).round()
            codes = ((x / step).round() + zero).clamp(0, 255)
            input_error = (codes - zero) * step - x
        return functional.linear(x + input_error, self.weight + weight_error, self.bias)


class Attention(nn.Module):
    """Self-attention, its output and the first normalisation, named as in BERT's files."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.self = nn.ModuleDict(
            {name: QuantisedLinear(width, width) for name in ("query", "key", "value")}
        )
        self.output = nn.ModuleDict(
            {
                "dense": QuantisedLinear(width, width),
                "LayerNorm": nn.LayerNorm(width, eps=1e-12),
            }
        )

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Return the normalised sum of the input and what each token reads of the others."""
        batch, tokens, width = x.shape

        def split(name: str) -> torch.Tensor:
            return self.self[name](x).view(batch, tokens, self.heads, -1).transpose(1, 2)

        mixed = functional.scaled_dot_product_attention(
            split("query"),
            split("key"),
            split("value"),
            attn_mask=bias,
            dropout_p=self.dropout if self.training else 0.0,
        )
        mixed = self.output["dense"](mixed.transpose(1, 2).reshape(batch, tokens, width))
        mixed = functional.dropout(mixed, self.dropout, self.training)
        return self.output["LayerNorm"](mixed + x)


class Layer(nn.Module):
    """Attention, and two linear layers for each token."""

    def __init__(self, width: int, inner: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.attention = Attention(width, heads, dropout)
        self.intermediate = nn.ModuleDict({"dense": QuantisedLinear(width, inner)})
        self.output = nn.ModuleDict(
            {
                "dense": QuantisedLinear(inner, width),
                "LayerNorm": nn.LayerNorm(width, eps=1e-12),
            }
        )

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Return the tokens after this layer."""
        x = self.attention(x, bias)
        wide = functional.gelu(self.intermediate["dense"](x))
        narrow = functional.dropout(self.output["dense"](wide), self.dropout, self.training)
        return self.output["LayerNorm"](narrow + x)


class Encoder(nn.Module):
    """BERT without its pooler; parameters are named as in its files."""

    def __init__(self, config: dict[str, int | float]) -> None:
        super().__init__()
        width = int(config["hidden_size"])
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(int(config["vocab_size"]), width),
                "position_embeddings": nn.Embedding(int(config["max_position_embeddings"]), width),
                "token_type_embeddings": nn.Embedding(int(config["type_vocab_size"]), width),
                "LayerNorm": nn.LayerNorm(width, eps=1e-12),
            }
        )
        self.dropout = float(config["hidden_dropout_prob"])
        layer = nn.ModuleList(
            Layer(
                width,
                int(config["intermediate_size"]),
                int(config["num_attention_heads"]),
                self.dropout,
            )
            for _ in range(int(config["num_hidden_layers"]))
        )
        self.encoder = nn.ModuleDict({"layer": layer})

    def forward(self, ids: torch.Tensor, kept: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """Return the tokens after the last layer."""
        QuantisedLinear.kept = kept
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = (
            self.embeddings["word_embeddings"](ids)
            + self.embeddings["position_embeddings"](positions)
            + self.embeddings["token_type_embeddings"](types)
        )
        x = functional.dropout(self.embeddings["LayerNorm"](x), self.dropout, self.training)
        bias = ((1 - kept) * torch.finfo(x.dtype).min)[:, None, None, :]
        for layer in self.encoder["layer"]:
            x = layer(x, bias)
        return x


class PairModel(nn.Module):
    """Two prompts in, the logit of "one answer serves both" out."""

    def __init__(self, config: dict[str, int | float]) -> None:
        super().__init__()
        width = int(config["hidden_size"])
        self.bert = Encoder(config)
        self.dense = nn.Linear(width, width)
        self.head = nn.Linear(width, 1)

    def forward(self, ids: torch.Tensor, kept: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch of pairs."""
        tokens = self.bert(ids, kept, types)
        pooled = (tokens * kept[..., None]).sum(1) / kept.sum(1, keepdim=True)
        pooled = functional.dropout(pooled, 0.1, self.training)
        hidden = functional.dropout(torch.tanh(self.dense(pooled)), 0.1, self.training)
        return self.head(hidden).squeeze(-1)


def start_from(base: Path) -> PairModel:
    """Return a model that starts from a BERT's `config.json` and `model.safetensors`.

    The embedding tables are put on the 8-bit grid of the ONNX model and stay as they are.
    """
    model = PairModel(json.loads((base / "config.json").read_text()))
    weights = {name: value.float() for name, value in load_file(base / "model.safetensors").items()}
    missing = model.bert.load_state_dict(weights, strict=False).missing_keys
    if missing:
        raise ValueError(f"{base}: lacks {', '.join(missing[:3])}")
    for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
        table = model.bert.embeddings[name].weight
        table.requires_grad_(False)
        low, high = min(0.0, float(table.min())), max(0.0, float(table.max()))
        step = (high - low) / 255
        zero = round(-low / step)
        table.copy_((((table / step).round() + zero).clamp(0, 255) - zero) * step)
    return model


def save(model: PairModel, path: Path) -> None:
    """Write all that was trained: matrices as int8 `NAME.q` times `NAME.scale`."""
    stored: dict[str, torch.Tensor] = {}
    for name, value in model.state_dict().items():
        if "word_embeddings" in name:
            continue
        weight = value.detach().cpu().float()
        if "encoder.layer" in name and name.endswith(".weight") and weight.ndim == 2:
            scale = (weight.abs().amax(1, keepdim=True) / LEVELS).clamp_min(1e-8)
            stored[f"{name}.q"] = (weight / scale).round().to(torch.int8).contiguous()
            stored[f"{name}.scale"] = scale.contiguous()
        else:
            stored[name] = weight.contiguous()
    save_file(stored, path)
