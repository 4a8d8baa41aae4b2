"""Training artifacts of the tiny models and 50 steps with them in onnxruntime-training 1.19.2.

    python train.py [OUTPUT_FOLDER [NAME ...]]

Needs what pipelines/heads/make_heads.py needs; NAME/forward.onnx come from `export.py` and
`build.py` beside it. For each model with `logits` it writes, next to forward.onnx, the four files of
the generator, `final.checkpoint` (the parameters after the last step) and `reference.json`: the
losses, the recipe, and `noise`, the elements whose gradient is rounding and nothing else, as ranges
[first, end) per parameter. The batches are `batch` of recipe.py, which the tests compute again.
Gradients are held to finite differences first: the generator gets some broadcasts wrong.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

from generate import FILES, ROOT, generate  # first: makes onnxruntime.training importable
from recipe import PAIRS, RATE, STEPS, TOKENS, VOCABULARY, batch, inputs
import onnxruntime
from onnxruntime.training.api import CheckpointState, Module, Optimizer

OPTIMIZER = {"weight_decay", "clip", "sgd"}

# name -> the forward model's folder and what differs from AdamW as the generator sets it
CASES = {
    name: (name, {}) for name in (
        "bert", "bert-opset14", "bert-opset20", "bert-shared", "roberta", "distilbert",
        "deberta-v3", "modernbert", "mpnet", "gpt2", "llama", "qwen2",
        "built-opset13", "built-opset17", "built-opset18", "built-opset19", "built-opset20",
        "built-opset21", "built-opset22")
} | {
    "built-decay-clip": ("built-opset17", {"weight_decay": 0.01, "clip": 0.5}),
    "built-sgd": ("built-opset17", {"sgd": True}),
    "built-last": ("built-opset17", {"frozen": ("words", "positions", "embeddings.", "layer.0.")}),
    # what the generator makes of an export as it is: wrong gradients of the embeddings, so no run
    "bert-wrong": ("bert", {"known_lengths": False}),
}


def module_of(folder):
    state = CheckpointState.load_checkpoint(folder / "checkpoint")
    module = Module(folder / "training_model.onnx", state, folder / "eval_model.onnx")
    module.train()
    return state, module


def gradients_of(state):
    return {name: parameter.grad.copy() for name, parameter in state.parameters
            if parameter.requires_grad}


def check(folder, trained):
    """Holds the generated gradients to differences of the evaluation model's loss."""
    state, module = module_of(folder)
    order = [n for n in module.input_names() if n in ("input_ids", "attention_mask")]
    module(*inputs(batch(0), order))
    gradients = gradients_of(state)
    values = {name: parameter.data.copy() for name, parameter in state.parameters}
    session = onnxruntime.InferenceSession(folder / "eval_model.onnx",
                                           providers=["CPUExecutionProvider"])
    data = dict(zip(order, inputs(batch(0), order)))
    random = np.random.default_rng(0)
    largest = max(np.linalg.norm(g) for g in gradients.values())
    for name in trained:
        gradient = gradients[name]
        direction = random.standard_normal(gradient.shape).astype(np.float32)
        direction += gradient / max(np.abs(gradient).max(), 1e-12)
        step = 2e-3 / np.abs(direction).max()
        ends = [float(session.run(None, data | values | {name: values[name] + s * direction})[0])
                for s in (step, -step)]
        found = (ends[0] - ends[1]) / (2 * step)
        expected = float((gradient * direction).sum())
        if abs(found - expected) > 0.02 * abs(expected) + 2e-3 * largest:
            return f"`{name}`: {expected:.5f} by the graph, {found:.5f} by differences"
    return None


def ranges(mask):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.ravel().astype(np.int8), [0]])))
    return edges.reshape(-1, 2).tolist()


def train(folder, out, forward, rate=RATE, **sizes):
    """50 steps; writes the reference and gives the losses and the noise."""
    state, module = module_of(folder)
    order = [n for n in module.input_names() if n in ("input_ids", "attention_mask")]
    optimizer = Optimizer(folder / "optimizer_model.onnx", module)
    optimizer.set_learning_rate(rate)
    losses, largest, peak = [], {}, 0.0
    for step in range(STEPS):
        losses.append(float(module(*inputs(batch(step, **sizes), order))))
        for name, gradient in gradients_of(state).items():
            size = np.abs(gradient)
            peak = max(peak, float(size.max()))
            largest[name] = np.maximum(largest.get(name, 0.0), size)
        optimizer.step()
        module.lazy_reset_grad()
    CheckpointState.save_checkpoint(state, out / "final.checkpoint", include_optimizer_state=False)
    noise = {name: ranges((size > 0) & (size < 1e-6 * peak)) for name, size in sorted(largest.items())}
    sizes = {"pairs": PAIRS, "tokens": TOKENS, "vocabulary": VOCABULARY} | sizes
    document = sizes | {
        "forward": forward, "learning_rate": rate, "losses": losses,
        "noise": {name: found for name, found in noise.items() if found}}
    (out / "reference.json").write_text(json.dumps(document) + "\n")
    return losses, document["noise"]


def one(target, name):
    model, settings = CASES[name]
    out = target / name
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        generate(target / model / "forward.onnx", folder, **settings)
        training = onnx.load(folder / "training_model.onnx")
        trained = [n.input[0].removesuffix("_grad.accumulation.buffer")
                   for n in training.graph.node if n.op_type == "InPlaceAccumulatorV2"]
        wrong = check(folder, trained)
        if wrong:
            sys.stdout.write(f"{name}: wrong gradient of {wrong}\n")
            if settings.get("known_lengths", True):
                sys.exit(1)
        for file in FILES:
            # another optimizer: the rest is that of the model's own folder
            if settings.keys() & OPTIMIZER and file != "optimizer_model.onnx":
                continue
            (out / file).write_bytes((folder / file).read_bytes())
        if wrong:
            return
        losses, noise = train(folder, out, model)
    own = sorted({n.op_type for n in training.graph.node if n.domain == "com.microsoft"})
    sys.stdout.write(f"{name}: {losses[0]:.6f} -> {losses[-1]:.6f}; {', '.join(own)}\n"
                     f"  noise: {', '.join(noise)}\n")


def main():
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/parity/data/models"
    names = sys.argv[2:]
    if len(names) == 1:
        return one(target, names[0])
    # a process each: a wrong gradient may write where it should not
    for name in names or CASES:
        done = subprocess.run([sys.executable, __file__, str(target), name], check=False)
        if done.returncode:
            sys.stdout.write(f"{name}: no reference\n")


if __name__ == "__main__":
    main()
