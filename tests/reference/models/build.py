"""Tiny models that torch.onnx does not give: a BERT by hand at each operator set, and fused ones.

    python build.py [OUTPUT_FOLDER]

Needs Python 3.11 with onnxruntime-training 1.19.2 (its graph optimizer), onnx 1.16, numpy 1.26.
Writes OUTPUT_FOLDER/NAME/forward.onnx, by default below tests/parity/data/models: `built-opset17` with
two layers, the same at other operator sets with one, and `bert-fused`, `gpt2-fused`: what the optimizer that optimum calls makes of the
exports beside it (fused attention, embedding, skip and bias operators), weights unchanged.
"""

import sys
import types
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[3]
VOCABULARY, WIDTH, WIDE, LAYERS, HEADS, POSITIONS = 32, 12, 20, 2, 2, 18
OPSETS = (17, 13, 18, 19, 20, 21, 22)


class Graph:
    """Nodes and initializers in the making; a value is known by its name."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.initializers = [], []

    def op(self, op_type, *inputs, outputs=1, **attributes):
        names = [f"{op_type.lower()}.{len(self.nodes)}.{i}" for i in range(outputs)]
        names[0] = names[0].removesuffix(".0")
        self.nodes.append(helper.make_node(op_type, list(inputs), names, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, name, values, kind):
        self.initializers.append(numpy_helper.from_array(np.array(values, kind), name))
        return name

    def ints(self, *values):
        return self.constant(f"ints.{len(self.initializers)}", values, np.int64)

    def parameter(self, name, *shape):
        values = self.random.standard_normal(shape) * (0.3 if len(shape) > 1 else 0.1)
        if name.endswith("gamma"):
            values += 1.0
        return self.constant(name, values, np.float32)

    def linear(self, name, value, inputs, outputs):
        weight = self.parameter(f"{name}.weight", inputs, outputs)
        bias = self.parameter(f"{name}.bias", outputs)
        return self.op("Add", self.op("MatMul", value, weight), bias)

    def norm(self, name, value, opset):
        gamma = self.parameter(f"{name}.gamma", WIDTH)
        beta = self.parameter(f"{name}.beta", WIDTH)
        if opset < 17:
            two = self.constant(f"{name}.two", 2.0, np.float32)
            small = self.constant(f"{name}.small", 1e-5, np.float32)
            centred = self.op("Sub", value, self.op("ReduceMean", value, axes=[-1]))
            variance = self.op("ReduceMean", self.op("Pow", centred, two), axes=[-1])
            deviation = self.op("Sqrt", self.op("Add", variance, small))
            scaled = self.op("Mul", self.op("Div", centred, deviation), gamma)
            return self.op("Add", scaled, beta)
        # one output only: what a training graph needs besides must be added by whoever makes it
        return self.op("LayerNormalization", value, gamma, beta, axis=-1, epsilon=1e-5)


def gelu(graph, value, opset):
    if opset >= 20:
        return graph.op("Gelu", value)
    root, one, half = (graph.constant(f"gelu.{len(graph.nodes)}.{i}", number, np.float32)
                       for i, number in enumerate((np.sqrt(2.0), 1.0, 0.5)))
    inner = graph.op("Add", graph.op("Erf", graph.op("Div", value, root)), one)
    return graph.op("Mul", graph.op("Mul", value, inner), half)


def attention(graph, name, state, bias):
    def heads(part, perm):
        value = graph.linear(f"{name}.{part}", state, WIDTH, WIDTH)
        value = graph.op("Reshape", value, graph.ints(0, 0, HEADS, WIDTH // HEADS))
        return graph.op("Transpose", value, perm=perm)
    query, key = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1])
    scale = graph.constant(f"{name}.scale", np.sqrt(WIDTH / HEADS), np.float32)
    scores = graph.op("Div", graph.op("MatMul", query, key), scale)
    weights = graph.op("Softmax", graph.op("Add", scores, bias), axis=-1)
    context = graph.op("MatMul", weights, heads("value", [0, 2, 1, 3]))
    context = graph.op("Transpose", context, perm=[0, 2, 1, 3])
    context = graph.op("Reshape", context, graph.ints(0, 0, WIDTH))
    return graph.linear(f"{name}.output", context, WIDTH, WIDTH)


def bert(opset):
    graph = Graph(opset)
    words = graph.op("Gather", graph.parameter("words", VOCABULARY, WIDTH), "input_ids")
    tokens = graph.op("Slice", graph.op("Shape", "input_ids"), graph.ints(1), graph.ints(2))
    positions = graph.op("Slice", graph.parameter("positions", POSITIONS, WIDTH),
                         graph.ints(0), tokens, graph.ints(0))
    state = graph.norm("embeddings.norm", graph.op("Add", words, positions), opset)
    mask = graph.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    one = graph.constant("one", 1.0, np.float32)
    low = graph.constant("low", -10000.0, np.float32)
    bias = graph.op("Mul", graph.op("Sub", one, mask), low)
    bias = graph.op("Unsqueeze", bias, graph.ints(1, 2))
    for layer in range(LAYERS if opset == OPSETS[0] else 1):
        name = f"layer.{layer}"
        attended = attention(graph, f"{name}.attention", state, bias)
        state = graph.norm(f"{name}.attention.norm", graph.op("Add", attended, state), opset)
        wide = gelu(graph, graph.linear(f"{name}.inner", state, WIDTH, WIDE), opset)
        narrow = graph.linear(f"{name}.outer", wide, WIDE, WIDTH)
        state = graph.norm(f"{name}.norm", graph.op("Add", narrow, state), opset)
    # mean over the tokens, so that division and sums over an axis are in it
    mask = graph.op("Unsqueeze", mask, graph.ints(2))
    total = graph.op("ReduceSum", graph.op("Mul", state, mask), graph.ints(1), keepdims=0)
    count = graph.op("ReduceSum", mask, graph.ints(1), keepdims=0)
    pooled = graph.op("Tanh", graph.linear("pooler", graph.op("Div", total, count), WIDTH, WIDTH))
    weight, bias = graph.parameter("reward.weight", 1, WIDTH), graph.parameter("reward.bias", 1)
    graph.nodes.append(helper.make_node("Gemm", [pooled, weight, bias], ["logits"], name="logits",
                                        transB=1))
    rows = ["rows", "tokens"]
    made = helper.make_graph(
        graph.nodes, "bert",
        [helper.make_tensor_value_info(n, TensorProto.INT64, rows)
         for n in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 1])],
        graph.initializers)
    model = helper.make_model(made, ir_version=7 if opset < 15 else 8 if opset < 19 else min(10, opset - 10),
                              opset_imports=[helper.make_opsetid("", opset)])
    if opset <= onnx.defs.onnx_opset_version():
        onnx.checker.check_model(model, full_check=True)
    return model


def fused(path, kind):
    # the optimizer colours its log with a package that nothing else needs
    sys.modules.setdefault("coloredlogs", types.ModuleType("coloredlogs"))
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions
    options = FusionOptions(kind)
    made = optimizer.optimize_model(str(path), model_type=kind, num_heads=HEADS, hidden_size=WIDTH,
                                    opt_level=0, optimization_options=options).model
    del made.graph.value_info[:]
    return made


def main():
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/parity/data/models"
    made = {f"built-opset{opset}": bert(opset) for opset in OPSETS}
    for kind in ("bert", "gpt2"):
        made[f"{kind}-fused"] = fused(target / kind / "forward.onnx", kind)
    for name, model in made.items():
        (target / name).mkdir(parents=True, exist_ok=True)
        onnx.save(model, target / name / "forward.onnx")
        operators = sorted({node.op_type for node in model.graph.node})
        sys.stdout.write(f"{name}: {model.ByteSize()} bytes; {', '.join(operators)}\n")


main()
