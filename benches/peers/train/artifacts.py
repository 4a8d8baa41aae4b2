"""Makes training artifacts of the measured model with onnxruntime-training 1.19.2.

    python artifacts.py FORWARD.onnx OUTPUT_FOLDER [all|last:K|head]

Needs what pipelines/heads/make_heads.py needs.
"""

import sys
from pathlib import Path

from model import frozen_prefixes

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests/reference/models"))
from generate import generate  # noqa: E402

forward, out, train = sys.argv[1], Path(sys.argv[2]), (sys.argv[3:] or ["all"])[0]
out.mkdir(parents=True, exist_ok=True)
generate(forward, out, frozen=frozen_prefixes(train))
