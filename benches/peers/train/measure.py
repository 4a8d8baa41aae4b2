"""Seconds per training step and peak memory of prefclean and its peers, in interleaved rounds.

    python3 measure.py WORK --program BENCH --model MINILM --torch-python T --training-python O

WORK keeps the exported model and the artifacts between calls. BENCH is what
`cargo bench --bench train --no-run` names. T is a Python with torch 2.6 and transformers 4.49, O one
with onnxruntime-training 1.19.2 (and NumPy and SciPy). Each measurement is a process of its own; a
round runs every peer once. Prints Markdown tables: the median over rounds of a process's median
step, the fastest and slowest round, and the highest peak of resident memory. Nothing else should run.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--program", required=True)
    parser.add_argument("--model", required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--torch-python", required=True)
    parser.add_argument("--training-python", required=True)
    parser.add_argument("--train", default="all,last:2,head,features")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f} at the start\n")
    for train in options.train.split(","):
        peers = features(options) if train == "features" else models(options, train)
        table(train, rounds(options, peers))


def models(options, train):
    """Command of each peer for the whole model."""
    here = options.work / train.replace(":", "-")
    prepare(options, here, train)
    size = ["--pairs", options.pairs, "--tokens", options.tokens, "--threads", options.threads]
    size += ["--warmup", options.warmup, "--steps", options.steps]
    torch = [options.torch_python, HERE / "pytorch.py", options.model, "--train", train, *size]
    peers = {
        "onnxruntime-training 1.19.2":
            [options.training_python, HERE / "onnxruntime_training.py", here, *size],
        "PyTorch eager": [*torch, "--attention", "eager"],
        "PyTorch sdpa": [*torch, "--attention", "sdpa"],
        "prefclean, 1.19.2's artifacts": [options.program, "--artifacts", here, *size],
        "prefclean, own artifacts":
            [options.program, "--forward", options.work / "forward.onnx", "--train", train, *size],
    }
    if train.startswith("last:"):
        peers["prefclean, frozen part cached"] = [*peers["prefclean, own artifacts"], "--cache"]
    return peers


def features(options):
    """Command of each peer for an MLP on fixed features, one thread."""
    size = ["--pairs", 256, "--warmup", 50, "--steps", 500]
    return {
        "NumPy": [options.training_python, HERE / "numpy_head.py", *size],
        "PyTorch": [options.torch_python, HERE / "pytorch.py", "-", "--features", "--threads", 1,
                    *size],
        "prefclean": [options.program, "--features", "--threads", 1, *size],
    }


def prepare(options, folder, train):
    forward = options.work / "forward.onnx"
    if not forward.exists():
        quiet([options.torch_python, HERE / "export.py", options.model, forward])
    if not (folder / "checkpoint").exists():
        quiet([options.training_python, HERE / "artifacts.py", forward, folder, train])


def quiet(command):
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


def rounds(options, peers):
    """Documents of every peer's processes, in the order of rounds."""
    found = {name: [] for name in peers}
    for _ in range(options.rounds):
        for name, command in peers.items():
            one_thread = "--features" in command or "numpy" in str(command[1])
            threads = "1" if one_thread else str(options.threads)
            environment = os.environ | dict.fromkeys(
                ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
            done = subprocess.run(list(map(str, command)), env=environment, text=True,
                                  capture_output=True, check=False)
            if done.returncode:
                sys.exit(f"{name}: {done.stderr.strip().splitlines()[-1]}")
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def table(train, found):
    sys.stdout.write(f"\n{train}\n\n| what | ms per step | rounds | peak MiB | first, last loss |\n"
                     "| --- | --- | --- | --- | --- |\n")
    for name, documents in found.items():
        medians = [1e3 * document["median_s"] for document in documents]
        losses = documents[0]["losses"]
        sys.stdout.write(
            f"| {name} | {statistics.median(medians):.4g} | {min(medians):.4g} to "
            f"{max(medians):.4g} | {max(d['peak_mib'] for d in documents)} | "
            f"{losses[0]:.5f}, {losses[-1]:.5f} |\n")
    sys.stdout.flush()


main()
