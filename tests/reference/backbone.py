"""Reference features of an encoder, in numpy float64 straight from its weights.

    python backbone.py MODEL_FOLDER ../parity/data/NAME.json

Needs numpy and safetensors. Written from the papers and the published configuration, with its own
padding, attention and pooling, one text at a time, so that it shares nothing with the graph under test.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

# token ids of three short texts, framed by the two ids that stand for start and end;
# the response is the given slice of a text's tokens
TEXTS = [
    ([2129, 2079, 1045, 4521, 1037, 15642, 1029, 2224, 1037, 10510, 2795, 1012], (8, 13)),
    ([7592, 2088], (1, 3)),
    ([2054, 2003, 1996, 3007, 1997, 2605, 1029, 3000, 1010, 2182, 2003, 1037, 2862, 1997, 5653,
      1012, 2009, 2003, 2146, 2438, 2000, 2191, 2060, 3793, 2015, 11687, 4667, 1012], (8, 29)),
]


def linear(w, name, x):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def norm(w, name, x, eps):
    x = x - x.mean(axis=-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
    return x * w[name + ".weight"] + w[name + ".bias"]


def gelu(x):
    return 0.5 * x * (1.0 + np.vectorize(math.erf)(x / math.sqrt(2.0)))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def mpnet_bias(w, n, buckets):
    half = buckets // 2
    exact = half // 2
    out = np.zeros((w.shape[1], n, n))
    for i in range(n):
        for j in range(n):
            distance = abs(i - j)
            if distance < exact:
                bucket = distance
            else:
                ratio = np.float32(np.log(np.float32(distance) / np.float32(exact)))
                ratio = np.float32(ratio / np.float32(math.log(128 / exact)))
                bucket = min(exact + int(np.float32(ratio * np.float32(half - exact))), half - 1)
            out[:, i, j] = w[bucket + (half if j > i else 0)]
    return out


def encode(w, config, ids):
    mpnet = config["model_type"] == "mpnet"
    n, hidden, heads = len(ids), config["hidden_size"], config["num_attention_heads"]
    width, eps = hidden // heads, config["layer_norm_eps"]
    first = config["pad_token_id"] + 1 if mpnet else 0
    x = w["embeddings.word_embeddings.weight"][ids]
    x = x + w["embeddings.position_embeddings.weight"][first:first + n]
    if not mpnet:
        x = x + w["embeddings.token_type_embeddings.weight"][0]
    x = norm(w, "embeddings.LayerNorm", x, eps)
    bias = 0.0
    if mpnet:
        bias = mpnet_bias(w["encoder.relative_attention_bias.weight"], n,
                          config["relative_attention_num_buckets"])
    names = ("attn.q", "attn.k", "attn.v") if mpnet else ("self.query", "self.key", "self.value")
    for layer in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{layer}."
        q, k, v = (linear(w, p + "attention." + name, x).reshape(n, heads, width).transpose(1, 0, 2)
                   for name in names)
        context = softmax(q @ k.transpose(0, 2, 1) / math.sqrt(width) + bias) @ v
        context = context.transpose(1, 0, 2).reshape(n, hidden)
        out = linear(w, p + ("attention.attn.o" if mpnet else "attention.output.dense"), context)
        x = norm(w, p + ("attention.LayerNorm" if mpnet else "attention.output.LayerNorm"), x + out, eps)
        out = linear(w, p + "output.dense", gelu(linear(w, p + "intermediate.dense", x)))
        x = norm(w, p + "output.LayerNorm", x + out, eps)
    return x


def main():
    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    config = json.loads((folder / "config.json").read_text())
    w = {k: v.astype(np.float64) for k, v in load_file(folder / "model.safetensors").items()}
    start, end = (0, 2) if config["model_type"] == "mpnet" else (101, 102)
    texts = []
    for ids, (begin, stop) in TEXTS:
        ids = [start, *ids, end]
        x = encode(w, config, ids)
        pools = [x[0], x[begin:stop].mean(axis=0), x[begin:stop].max(axis=0)]
        texts.append({
            "ids": ids,
            "response": [begin, stop],
            "pools": [{"first": [round(float(f), 7) for f in p[:8]], "sum": float(p.sum()),
                       "norm": float(np.linalg.norm(p))} for p in pools],
        })
    document = {"model": config.get("_name_or_path", ""), "model_type": config["model_type"],
                "hidden": config["hidden_size"], "pad": config["pad_token_id"], "texts": texts}
    target.write_text(json.dumps(document) + "\n")


main()
