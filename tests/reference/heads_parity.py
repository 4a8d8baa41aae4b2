"""Reference trajectories of the reward heads: 50 AdamW steps in onnxruntime-training 1.19.2.

    python heads_parity.py [../parity/data/heads]

Needs what pipelines/heads/make_heads.py needs. A case is a head's artifacts at their own or at a
bigger size, with the generator's or other optimizer settings. For each it stores the loss of every
step, the checkpoint at the end with the optimizer's moments, and what differs from the committed
artifacts: the checkpoint at the start, the optimizer model. The batches are `batch` below, which the
test computes again.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "pipelines/heads"))
import make_heads  # noqa: E402  (also makes onnxruntime.training importable)
from onnxruntime.training import onnxblock  # noqa: E402
from onnxruntime.training.api import CheckpointState, Module, Optimizer  # noqa: E402

STEPS, PAIRS = 50, 24


def batch(step, side, width):
    """Features of a side (0 chosen, 1 rejected), the same in any language: 53-bit integers only."""
    p, j = np.meshgrid(np.arange(PAIRS), np.arange(width), indexing="ij")
    mixed = (p + 1) * 7919 + (j + 1) * 104_729 + (p + 1) * (j + 3) * 613 + step * 15_485 + side * 3_331
    values = (mixed % 2003) / 2003.0 - 0.5
    # what is preferred has more of every third feature, so that there is something to learn
    return (2.0 * values + 0.5 * (1 - side) * (j % 3 == 0)).astype(np.float32)


def train(folder, final, learning_rate):
    state = CheckpointState.load_checkpoint(folder / "checkpoint")
    module = Module(folder / "training_model.onnx", state, folder / "eval_model.onnx")
    optimizer = Optimizer(folder / "optimizer_model.onnx", module)
    optimizer.set_learning_rate(learning_rate)
    module.train()
    losses = []
    width = onnx.load(folder / "eval_model.onnx").graph.input[0].type.tensor_type.shape.dim[1].dim_value
    for step in range(STEPS):
        losses.append(float(module(batch(step, 0, width), batch(step, 1, width))))
        optimizer.step()
        module.lazy_reset_grad()
    CheckpointState.save_checkpoint(state, final, include_optimizer_state=True)
    return width, losses


def change(path, **attributes):
    model = onnx.load(path)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name in attributes:
                value = attributes[attribute.name]
                attribute.CopyFrom(onnx.helper.make_attribute(attribute.name, value))
    onnx.save(model, path)


def main():
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/parity/data/heads"
    shutil.rmtree(target, ignore_errors=True)
    cases = {}
    for head in make_heads.HEADS:
        cases[head] = (head, {}, {})
        cases[f"{head}-wide"] = (head, {"width": 96, "hidden": 24, "seed": 1}, {})
    cases["mlp-decay"] = ("mlp", {}, {"weight_decay": 0.1})
    cases["mlp-decay-torch"] = ("mlp", {}, {"weight_decay": 0.1, "adam_mode": 0, "epsilon": 1e-8})
    cases["mlp-uncorrected"] = ("mlp", {}, {"correct_bias": 0, "alpha": 0.8, "beta": 0.99})
    cases["mlp-clip"] = ("mlp", {}, {"clip": 0.05})
    for name, (head, sizes, optimizer) in cases.items():
        out = target / name
        out.mkdir(parents=True)
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            if sizes:
                make_heads.make(folder, *make_heads.HEADS[head], **sizes)
                shutil.copyfile(folder / "checkpoint", out / "checkpoint")
            else:
                shutil.copytree(ROOT / "pipelines/heads" / head, folder, dirs_exist_ok=True)
            if "clip" in optimizer:
                block = onnxblock.optim.AdamW(
                    clip_grad=onnxblock.optim.ClipGradNorm(optimizer["clip"]))
                make_heads.make(folder, *make_heads.HEADS[head], optimizer=block)
            elif optimizer:
                change(folder / "optimizer_model.onnx", **optimizer)
            if optimizer:
                shutil.copyfile(folder / "optimizer_model.onnx", out / "optimizer_model.onnx")
            # wider heads learn faster: with the larger rate the loss would vanish
            rate = 0.001 if sizes else 0.01
            width, losses = train(folder, out / "final.checkpoint", rate)
        document = {"head": head, "width": width, "hidden": sizes.get("hidden", make_heads.HIDDEN),
                    "pairs": PAIRS, "learning_rate": rate, "losses": losses}
        (out / "losses.json").write_text(json.dumps(document) + "\n")
        sys.stdout.write(f"{name}: {losses[0]:.4f} -> {losses[-1]:.4f}\n")


main()
