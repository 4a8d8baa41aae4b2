"""Makes the training artifacts of the reward heads with onnxruntime-training 1.19.2.

    python make_heads.py [OUTPUT_FOLDER]

Needs Python 3.11 with onnxruntime-training 1.19.2, onnx 1.16 and numpy 1.26. Running it again gives
graphs of the same meaning; the committed ones came from this script as it stands.

A head maps the features of a text to a reward. The same weights are applied to `chosen` and
`rejected` ([pairs, width] each); `margin` is the difference of the two rewards, `pair_loss` the
Bradley-Terry loss softplus(-margin) of a pair, `loss` its mean. The softplus is written as
(|m| - m) / 2 + log(1 + exp(-|m|)): log(sigmoid(m)) overflows for margins a head can reach, and
max(-m, 0) in place of the first term has a gradient of 0 at a margin of exactly 0, where the true
one is -1/2: a head that starts at zero would never move.
Widths are nominal: prefclean resizes the graphs and draws new initial values.
"""

import shutil
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# the package's `optim` needs PyTorch, which neither the generator nor the training session uses
for unused in ("amp", "optim"):
    name = f"onnxruntime.training.{unused}"
    sys.modules[name] = types.ModuleType(name)
from onnxruntime.training import artifacts  # noqa: E402

WIDTH, HIDDEN = 8, 4
OPSET = 17

# name -> activation between the two layers (None: a single linear layer), layer norm first
HEADS = {
    "linear": (None, False),
    "mlp": ("Gelu", False),
    "mlp-relu": ("Relu", False),
    "mlp-tanh": ("Tanh", False),
    "mlp-layernorm": ("Gelu", True),
}


def forward(activation, layer_norm, width=WIDTH, hidden=HIDDEN, seed=0):
    """The forward graph up to `margin`, with named parameters, and the parameters' names."""
    rng = np.random.default_rng(seed)
    nodes, weights = [], {}

    def uniform(name, shape, fan_in):
        bound = 1 / np.sqrt(fan_in)
        weights[name] = rng.uniform(-bound, bound, shape).astype(np.float32)

    if layer_norm:
        weights["norm.gamma"] = np.ones(width, np.float32)
        weights["norm.beta"] = np.zeros(width, np.float32)
    if activation:
        uniform("hidden.weight", (width, hidden), width)
        weights["hidden.bias"] = np.zeros(hidden, np.float32)
        uniform("reward.weight", (hidden, 1), hidden)
    else:
        uniform("reward.weight", (width, 1), width)
    # no bias on the reward: it cancels in the margin, so its gradient would be rounding noise

    def side(name):
        value = name
        def step(op, inputs, suffix, extra=(), domain="", **attributes):
            out = f"{name}.{suffix}"
            outputs = [out, *(f"{out}.{e}" for e in extra)]
            nodes.append(helper.make_node(op, inputs, outputs, name=f"{out}/{op}", domain=domain,
                                          **attributes))
            return out
        if layer_norm:
            value = step("LayerNormalization", [value, "norm.gamma", "norm.beta"], "norm",
                         ("mean", "inverse"), axis=-1, epsilon=1e-5)
        if activation:
            value = step("MatMul", [value, "hidden.weight"], "projected")
            value = step("Add", [value, "hidden.bias"], "hidden")
            domain = "com.microsoft" if activation == "Gelu" else ""
            value = step(activation, [value], "active", domain=domain)
        value = step("MatMul", [value, "reward.weight"], "reward_column")
        return step("Squeeze", [value, "last_axis"], "reward")

    chosen, rejected = side("chosen"), side("rejected")
    nodes.append(helper.make_node("Sub", [chosen, rejected], ["margin"], name="margin/Sub"))
    initializers = [numpy_helper.from_array(v, k) for k, v in weights.items()]
    initializers.append(numpy_helper.from_array(np.array([-1], np.int64), "last_axis"))
    graph = helper.make_graph(
        nodes, "reward_head",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["pairs", width])
         for n in ("chosen", "rejected")],
        [helper.make_tensor_value_info("margin", TensorProto.FLOAT, ["pairs"])],
        initializers)
    model = helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)])
    return model, list(weights)


def bradley_terry():
    """The loss as an onnxblock: pair_loss = (|m| - m) / 2 + log(1 + exp(-|m|)); its mean."""
    import onnxruntime.training.onnxblock as onnxblock
    from onnxruntime.training.onnxblock import _graph_utils, blocks

    class BradleyTerry(onnxblock.Block):
        def build(self, margin):
            def node(op, *inputs):
                out = _graph_utils.generate_graph_name(f"bradley_terry.{op.lower()}")
                self.base.graph.node.append(helper.make_node(
                    op, list(inputs), [out], name=_graph_utils.generate_graph_name(op)))
                return out
            one, half = "bradley_terry.one", "bradley_terry.half"
            for name, value in ((one, 1.0), (half, 0.5)):
                self.base.graph.initializer.append(
                    numpy_helper.from_array(np.array(value, np.float32), name))
            size = node("Abs", margin)
            below = node("Mul", node("Add", size, node("Neg", margin)), half)
            tail = node("Log", node("Add", node("Exp", node("Neg", size)), one))
            pair_loss = node("Add", below, tail)
            return blocks.ReduceMean(keepdims=False)(pair_loss)

    return BradleyTerry()


def make(target, activation, layer_norm, optimizer=artifacts.OptimType.AdamW, **sizes):
    model, parameters = forward(activation, layer_norm, **sizes)
    with tempfile.TemporaryDirectory() as folder:
        artifacts.generate_artifacts(
            model, requires_grad=parameters, loss=bradley_terry(),
            optimizer=optimizer, artifact_directory=folder)
        target.mkdir(parents=True, exist_ok=True)
        for name in ("training_model.onnx", "eval_model.onnx", "optimizer_model.onnx", "checkpoint"):
            shutil.copyfile(Path(folder) / name, target / name)


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, (activation, layer_norm) in HEADS.items():
        make(root / name, activation, layer_norm)
        ops = sorted({n.op_type for n in onnx.load(root / name / "training_model.onnx").graph.node})
        sys.stdout.write(f"{name}: {', '.join(ops)}\n")


if __name__ == "__main__":
    main()
