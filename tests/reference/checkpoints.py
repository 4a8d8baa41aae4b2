"""Checkpoints that onnxruntime-training 1.19.2 writes and reads, for tests/parity/checkpoints.rs.

    python checkpoints.py make [../parity/data/checkpoints]
    python checkpoints.py continue FOLDER CHECKPOINT LEARNING_RATE FIRST_STEP STEPS
    python checkpoints.py large FOLDER

Needs what pipelines/heads/make_heads.py needs.

`make` writes a head with two frozen parameters, one of them of i64, as artifacts with AdamW and with
SGD; trains each for 2 * HALF steps and saves the checkpoint at HALF. It stores the losses of all
steps, and the parameters at HALF as the package's own API gives them. Where the folder holds
`written.checkpoint`, which prefclean wrote from the one at HALF (the test `write_reference` does),
it also stores the losses of training that goes on from there.

`continue` trains on from any checkpoint of such artifacts and prints the losses as JSON. `large`
saves parameters beyond the size at which the package moves them to a file of their own.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from onnx import helper, numpy_helper, save

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "pipelines/heads"))
import make_heads  # noqa: E402  (also makes onnxruntime.training importable)
from onnxruntime.training import artifacts, onnxblock  # noqa: E402
from onnxruntime.training.api import CheckpointState, Module, Optimizer  # noqa: E402

HALF, PAIRS, WIDTH = 6, 8, make_heads.WIDTH
RATES = {"adamw": 0.01, "sgd": 0.5}
PROPERTIES = {"epoch": 3, "best loss": 0.625, "who": "prefclean \u00e9"}
FROZEN = {
    "feature.order": np.array([7, 0, 6, 1, 5, 2, 4, 3], np.int64),
    "feature.scale": np.array([1, 0.5, 2, 1, -1, 1, 0.25, 1], np.float32),
}


def forward():
    """The head `mlp` on features that frozen parameters reorder and scale."""
    model, names = make_heads.forward("Gelu", False)
    graph = model.graph
    before = []
    for side in ("chosen", "rejected"):
        for node in graph.node:
            node.input[:] = [f"{side}.scaled" if name == side else name for name in node.input]
        before.append(helper.make_node(
            "Gather", [side, "feature.order"], [f"{side}.ordered"], axis=1, name=f"{side}.order"))
        before.append(helper.make_node(
            "Mul", [f"{side}.ordered", "feature.scale"], [f"{side}.scaled"], name=f"{side}.scale"))
    nodes = before + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in FROZEN.items())
    return model, names


def batch(step, side):
    """Features of a side (0 chosen, 1 rejected), the same in any language: see heads_parity.py."""
    p, j = np.meshgrid(np.arange(PAIRS), np.arange(WIDTH), indexing="ij")
    mixed = (p + 1) * 7919 + (j + 1) * 104_729 + (p + 1) * (j + 3) * 613 + step * 15_485 + side * 3_331
    values = (mixed % 2003) / 2003.0 - 0.5
    return (2.0 * values + 0.5 * (1 - side) * (j % 3 == 0)).astype(np.float32)


def load(folder, checkpoint, rate):
    state = CheckpointState.load_checkpoint(str(checkpoint))
    module = Module(folder / "training_model.onnx", state, folder / "eval_model.onnx")
    optimizer = Optimizer(folder / "optimizer_model.onnx", module)
    optimizer.set_learning_rate(rate)
    module.train()
    return state, module, optimizer


def train(module, optimizer, first, steps):
    losses = []
    for step in range(first, first + steps):
        losses.append(float(module(batch(step, 0), batch(step, 1))))
        optimizer.step()
        module.lazy_reset_grad()
    return losses


def make_case(target, name):
    """Artifacts, the uninterrupted losses, and what 1.19.2 saved half way."""
    out = target / name
    out.mkdir(parents=True, exist_ok=True)
    optimizer_type = {"adamw": artifacts.OptimType.AdamW, "sgd": artifacts.OptimType.SGD}[name]
    model, trained = forward()
    save(model, target / "forward.onnx")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        artifacts.generate_artifacts(
            model, requires_grad=trained, frozen_params=list(FROZEN), loss=make_heads.bradley_terry(),
            optimizer=optimizer_type, artifact_directory=folder, nominal_checkpoint=True)
        for file in ("training_model.onnx", "eval_model.onnx", "optimizer_model.onnx", "checkpoint"):
            shutil.copyfile(folder / file, out / file)
        shutil.copyfile(folder / "nominal_checkpoint", target / "nominal_checkpoint")
        state, module, optimizer = load(folder, folder / "checkpoint", RATES[name])
        losses = train(module, optimizer, 0, HALF)
        for key, value in PROPERTIES.items():
            state.properties[key] = value
        CheckpointState.save_checkpoint(state, out / "half.checkpoint", include_optimizer_state=True)
        parameters = {key: parameter.data.ravel().tolist() for key, parameter in state.parameters}
        losses += train(module, optimizer, HALF, HALF)
    document = {
        "half": HALF,
        "learning_rate": RATES[name],
        "losses": losses,
        "parameters_at_half": parameters,
        "properties": PROPERTIES,
    }
    if (out / "written.checkpoint").exists():
        _, module, optimizer = load(out, out / "written.checkpoint", RATES[name])
        document["losses_from_written"] = train(module, optimizer, HALF, HALF)
    (out / "expected.json").write_text(json.dumps(document) + "\n")


def main():
    command, *arguments = sys.argv[1:] or ["make"]
    if command == "make":
        target = Path(arguments[0]) if arguments else ROOT / "tests/parity/data/checkpoints"
        for name in RATES:
            make_case(target, name)
    elif command == "continue":
        folder, checkpoint = Path(arguments[0]), Path(arguments[1])
        state, module, optimizer = load(folder, checkpoint, float(arguments[2]))
        losses = train(module, optimizer, int(arguments[3]), int(arguments[4]))
        properties = dict(state.properties)
        sys.stdout.write("\n" + json.dumps({"losses": losses, "properties": properties}) + "\n")
    elif command == "large":
        values = [numpy_helper.from_array(v, k) for k, v in (
            ("small", np.arange(5, dtype=np.float32)),
            ("first", np.arange(240_000_000, dtype=np.float32)),
            ("second", np.full(240_000_001, 2.5, np.float32)))]
        onnxblock.save_checkpoint(
            (values, [numpy_helper.from_array(np.arange(20), "frozen")]),
            str(Path(arguments[0]) / "checkpoint"))
    else:
        sys.exit(__doc__)


main()
