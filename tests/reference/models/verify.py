"""Runs artifacts that prefclean made in onnxruntime-training 1.19.2 and compares the losses.

    python verify.py FOLDER

FOLDER/NAME/ holds the four files for the model NAME; `cargo test --test parity -- --ignored
writes_artifacts` makes such a folder and prints it. Needs what pipelines/heads/make_heads.py needs.
Each is trained for 50 steps on the batches of recipe.py and held to the losses in
tests/parity/data/models/NAME/reference.json, relative difference 1e-5.
"""

import json
import subprocess
import sys
from pathlib import Path

from generate import ROOT  # first: makes onnxruntime.training importable
from recipe import RATE, batch
from onnxruntime.training.api import CheckpointState, Module, Optimizer

LIMIT = 1e-5


def losses_of(folder, steps):
    state = CheckpointState.load_checkpoint(folder / "checkpoint")
    module = Module(folder / "training_model.onnx", state, folder / "eval_model.onnx")
    optimizer = Optimizer(folder / "optimizer_model.onnx", module)
    optimizer.set_learning_rate(RATE)
    module.train()
    inputs = [n for n in module.input_names() if n in ("input_ids", "attention_mask")]
    for step in range(steps):
        data = dict(zip(("input_ids", "attention_mask"), batch(step)))
        yield float(module(*(data[name] for name in inputs)))
        optimizer.step()
        module.lazy_reset_grad()


def one(folder):
    reference = ROOT / "tests/parity/data/models" / folder.name / "reference.json"
    expected = json.loads(reference.read_text())["losses"]
    found = losses_of(folder, len(expected))
    worst = max(abs(a - b) / abs(b) for a, b in zip(found, expected))
    sys.stdout.write(f"{folder.name}: largest relative difference of losses {worst:.1e}\n")
    return worst < LIMIT


def main():
    target = Path(sys.argv[1])
    if (target / "training_model.onnx").exists():
        sys.exit(0 if one(target) else 1)
    # a process each: a wrong graph may write where it should not
    failed = 0
    for folder in sorted(path.parent for path in target.glob("*/training_model.onnx")):
        done = subprocess.run([sys.executable, __file__, str(folder)], capture_output=True,
                              text=True, check=False)
        # the runtime logs every fusion on stderr
        sys.stdout.write(done.stdout or f"{folder.name}: {done.stderr.strip().splitlines()[-1]}\n")
        failed += done.returncode != 0
    sys.exit(1 if failed else 0)


main()
