"""Where a training step's time goes, by operator, on the stock runtime.

    python step_profile.py GRADIENT.onnx

GRADIENT.onnx is what `cargo bench --bench train -- --artifacts FOLDER --write GRADIENT.onnx` writes.
Needs a Python with the onnxruntime that prefclean uses (1.31.1) and onnx. Parameters are drawn at
random: times do not depend on them. Prints milliseconds per step and share for each
operator, and the rate of the matrix products by shape.
"""

import argparse
import collections
import json
import pathlib
import sys
import tempfile

import numpy as np
import onnxruntime
from model import batch

PRODUCTS = ("FusedMatMul", "MatMul", "Gemm")
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("graph")
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        settings.enable_mem_pattern = False
        settings.enable_profiling = True
        settings.profile_file_prefix = str(pathlib.Path(folder) / "profile")
        session = onnxruntime.InferenceSession(options.graph, settings,
                                               providers=["CPUExecutionProvider"])
        data = dict(zip(("input_ids", "attention_mask"),
                        batch(0, options.pairs, options.tokens)))
        rng = np.random.default_rng(0)
        feed = {}
        for value in session.get_inputs():
            shape = [size if isinstance(size, int) else 1 for size in value.shape]
            drawn = 0.02 * rng.standard_normal(shape)
            feed[value.name] = data.get(value.name, drawn.astype(TYPES[value.type]))
        for _ in range(1 + options.steps):
            session.run(None, feed)
        events = json.loads(pathlib.Path(session.end_profiling()).read_text())
    report(events, options.steps)


def report(events, steps):
    """Totals over the last `steps` runs."""
    runs = [event for event in events if event["name"] == "model_run"]
    first = runs[0]["ts"] + runs[0]["dur"]
    operators, products, work = (collections.Counter() for _ in range(3))
    for event in events:
        timed = event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
        if not timed or event["ts"] < first:
            continue
        detail = event["args"]
        operators[detail["op_name"]] += event["dur"]
        if detail["op_name"] in PRODUCTS:
            left, right = (shape_of(value) for value in detail["input_type_shape"][:2])
            out = shape_of(detail["output_type_shape"][0])
            name = f"{detail['op_name']} {left} x {right} -> {out}"
            products[name] += event["dur"]
            work[name] += operations(left, right, out)
    whole = sum(event["dur"] for event in runs[1:])
    sys.stdout.write(f"whole step {whole / steps / 1e3:.0f} ms\n\n"
                     "| operator | ms | share |\n| --- | --- | --- |\n")
    for name, duration in operators.most_common(16):
        sys.stdout.write(f"| {name} | {duration / steps / 1e3:.1f} | {duration / whole:.1%} |\n")
    sys.stdout.write("\n| product | ms | share | GFLOP/s |\n| --- | --- | --- | --- |\n")
    for name, duration in products.most_common(16):
        sys.stdout.write(f"| {name} | {duration / steps / 1e3:.1f} | {duration / whole:.1%} | "
                         f"{work[name] / duration / 1e3:.0f} |\n")


def shape_of(value):
    return next(iter(value.values()))


def operations(left, right, out):
    """Additions and multiplications of a product, whichever side is transposed."""
    size = [np.prod(shape, dtype=float) for shape in (left, right, out)]
    batches = np.prod(out[:-2], dtype=float) if len(right) > 2 else 1.0
    inner = (size[0] * size[1] / size[2] / batches) ** 0.5
    return 2 * size[2] * inner


main()
