"""What the generator of onnxruntime-training 1.19.2 makes of a forward model, its traps avoided.

Used by `train.py` and by benches/peers/train; needs what pipelines/heads/make_heads.py needs.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "pipelines/heads"))
import make_heads  # noqa: E402  (also makes onnxruntime.training importable)
from onnxruntime.training import artifacts, onnxblock  # noqa: E402

FILES = ("training_model.onnx", "eval_model.onnx", "optimizer_model.onnx", "checkpoint")


def prepared(model, known_lengths=True):
    """The forward model with what the generator trips over put right, and `margin` at its end."""
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        # equal initial values stored once are parameters of their own; a weight that the exporter
        # itself named (it transposed it) is one parameter used twice
        if (node.op_type == "Identity" and node.input[0] in stored
                and not node.output[0].startswith("onnx::")):
            copy = onnx.TensorProto()
            copy.CopyFrom(stored[node.input[0]])
            copy.name = node.output[0]
            graph.initializer.append(copy)
            continue
        if node.op_type == "LayerNormalization" and len(node.output) == 1:
            node.output.extend([f"{node.output[0]}.mean", f"{node.output[0]}.inverse"])
        if node.op_type == "ArgMax":
            # 1.19.2 has none for int64, which the last token of a decoder is found by
            narrow = f"{node.input[0]}.narrow"
            kept.append(helper.make_node("Cast", [node.input[0]], [narrow], name=narrow,
                                         to=TensorProto.INT32))
            node.input[0] = narrow
        kept.append(node)
    # exports slice position ids, and their length is lost on the generator
    slices = {node.output[0] for node in kept if node.op_type == "Slice"} if known_lengths else ()
    for node in kept:
        if (node.op_type == "Gather" and "position_embeddings" in node.input[0]
                and node.input[1] in slices):
            width = stored[node.input[0]].dims[1]
            graph.value_info.append(helper.make_tensor_value_info(
                node.output[0], TensorProto.FLOAT, [1, "tokens", width]))
            graph.value_info.append(helper.make_tensor_value_info(
                node.input[1], TensorProto.INT64, [1, "tokens"]))
    del graph.node[:]
    graph.node.extend(kept)

    logits = graph.output[0].name
    graph.initializer.extend([
        numpy_helper.from_array(np.array([-1, 2], np.int64), "pairs.shape"),
        numpy_helper.from_array(np.array(0, np.int64), "pairs.chosen"),
        numpy_helper.from_array(np.array(1, np.int64), "pairs.rejected")])
    graph.node.extend([
        helper.make_node("Reshape", [logits, "pairs.shape"], ["rewards"], name="rewards"),
        helper.make_node("Gather", ["rewards", "pairs.chosen"], ["reward_chosen"], axis=1,
                         name="reward_chosen"),
        helper.make_node("Gather", ["rewards", "pairs.rejected"], ["reward_rejected"], axis=1,
                         name="reward_rejected"),
        helper.make_node("Sub", ["reward_chosen", "reward_rejected"], ["margin"], name="margin")])
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("margin", TensorProto.FLOAT, ["pairs"]))
    return model


def parameters(model):
    """The weights: every float initializer that is not a scalar."""
    return [tensor.name for tensor in model.graph.initializer
            if tensor.data_type == TensorProto.FLOAT and tensor.dims]


def generate(forward, folder, frozen=(), clip=None, sgd=False, weight_decay=None,
             known_lengths=True):
    model = prepared(onnx.load(forward), known_lengths)
    for operators in model.opset_import:
        # the newest that 1.19.2 knows; what is used here means the same in 22
        operators.version = min(operators.version, 21)
    names = parameters(model)
    trained = [n for n in names if not n.startswith(tuple(frozen))] if frozen else names
    if sgd:
        optimizer = artifacts.OptimType.SGD
    elif clip or weight_decay:
        optimizer = onnxblock.optim.AdamW(
            clip_grad=onnxblock.optim.ClipGradNorm(clip) if clip else None,
            weight_decay=weight_decay or 0.0)
    else:
        optimizer = artifacts.OptimType.AdamW
    artifacts.generate_artifacts(
        model, requires_grad=trained, frozen_params=[n for n in names if n not in trained],
        loss=make_heads.bradley_terry(), optimizer=optimizer, artifact_directory=folder)
