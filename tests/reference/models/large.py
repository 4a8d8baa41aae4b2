"""A reference of MiniLM's size: 50 steps of 22.6 million parameters in onnxruntime-training 1.19.2.

    python large.py FORWARD.onnx OUTPUT_FOLDER

FORWARD.onnx is what benches/peers/train/export.py writes; needs what `train.py` needs. Writes what a
folder of tests/parity/data/models has. Then:

    PREFCLEAN_PARITY_MODEL=OUTPUT_FOLDER cargo test --test parity -- --ignored --nocapture of_a_large_model
"""

import shutil
import sys
from pathlib import Path

from generate import generate
from train import train

forward, out = sys.argv[1], Path(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)
if not (out / "forward.onnx").exists():
    shutil.copyfile(forward, out / "forward.onnx")
generate(forward, out)
losses, noise = train(out, out, out.name, rate=1e-5, pairs=8, tokens=30, vocabulary=2000)
elements = sum(end - first for found in noise.values() for first, end in found)
sys.stdout.write(f"{losses[0]:.6f} -> {losses[-1]:.6f}; {elements} elements are noise\n")
