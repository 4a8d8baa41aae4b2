"""Seconds per training step in onnxruntime-training 1.19.2, from a folder of artifacts.

    python onnxruntime_training.py ARTIFACTS
"""

import argparse
import sys
import types
from pathlib import Path

from model import batch, measure

# the package's `optim` needs PyTorch, which a training session does not
for unused in ("amp", "optim"):
    name = f"onnxruntime.training.{unused}"
    sys.modules[name] = types.ModuleType(name)
import onnxruntime  # noqa: E402
from onnxruntime.training.api import CheckpointState, Module, Optimizer  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifacts", type=Path)
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    folder = options.artifacts
    state = CheckpointState.load_checkpoint(folder / "checkpoint")
    module = Module(folder / "training_model.onnx", state, session_options=settings)
    optimizer = Optimizer(folder / "optimizer_model.onnx", module)
    optimizer.set_learning_rate(2e-5)
    module.train()
    names = [n for n in module.input_names() if n in ("input_ids", "attention_mask")]

    def step(number):
        data = dict(zip(("input_ids", "attention_mask"),
                        batch(number, options.pairs, options.tokens)))
        loss = module(*(data[name] for name in names))
        optimizer.step()
        module.lazy_reset_grad()
        return loss
    measure(step, options.warmup, options.steps)


main()
