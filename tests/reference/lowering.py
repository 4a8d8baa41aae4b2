"""Reference values of the training operators: each alone, in onnxruntime-training 1.19.2.

    python lowering.py [../parity/data/lowering]

Needs what pipelines/heads/make_heads.py needs. Writes `cases.json`: for each case the node, its inputs
and outputs with type and shape; and `values.bin`: their elements one after another, little-endian, in
the order in which the cases name them. Values are random, on shapes and axes that differ. Where the
kernel is known to be wrong the values are NumPy's, and the case says so.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "pipelines/heads"))
import make_heads  # noqa: E402, F401  (makes onnxruntime.training importable)
import onnxruntime  # noqa: E402

RANDOM = np.random.default_rng(20_240_917)
TYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "int32": TensorProto.INT32,
         "int64": TensorProto.INT64, "bool": TensorProto.BOOL}
MICROSOFT = "com.microsoft"


def normal(*shape, scale=1.0):
    return (scale * RANDOM.standard_normal(shape)).astype(np.float32)


def integers(*values):
    return np.array(values, dtype=np.int64)


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


class Cases:
    def __init__(self):
        self.documents, self.values, self.size = [], [], 0

    def store(self, name, array):
        array = np.asarray(array, order="C")  # not ascontiguousarray: that makes scalars vectors
        self.values.append(array.tobytes())
        return {"name": name, "type": array.dtype.name, "dims": list(array.shape)}

    def run(self, op, inputs, outputs=1, domain=MICROSOFT, opset=17, **attributes):
        """What the kernel makes of the inputs; None leaves one out."""
        names = [f"in{i}" if x is not None else "" for i, x in enumerate(inputs)]
        out_names = [f"out{i}" for i in range(outputs)]
        node = helper.make_node(op, names, out_names, domain=domain, **attributes)
        values = [helper.make_tensor_value_info(n, TYPES[x.dtype.name], x.shape)
                  for n, x in zip(names, inputs) if n]
        graph = helper.make_graph([node], op, values,
                                  [onnx.ValueInfoProto(name=n) for n in out_names])
        model = helper.make_model(graph, ir_version=8, opset_imports=[
            helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)])
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(out_names, {n: x for n, x in zip(names, inputs) if n})

    def add(self, op, inputs, outputs=1, constant=(), domain=MICROSOFT, expected=None, **attributes):
        made = self.run(op, inputs, outputs, domain, **attributes) if expected is None else expected
        self.documents.append({
            "operator": op, "domain": domain, "attributes": attributes,
            "values_of": "kernel" if expected is None else "numpy",
            # inputs with known values: the lowering may look at them
            "constant": [f"in{i}" for i in constant],
            "inputs": [self.store(f"in{i}", x) if x is not None else None
                       for i, x in enumerate(inputs)],
            "outputs": [self.store(f"out{i}", y) for i, y in enumerate(made)]})

    def add_optimizer(self, op, attributes, clip, step):
        """Two parameters; the operator takes and gives sequences."""
        state = ["parameter", "gradient"] + (["moment1", "moment2"] if op == "AdamWOptimizer" else [])
        shapes = [(3, 4), (5,)]
        values = {name: [normal(*shape) for shape in shapes] for name in state}
        if "moment2" in values:
            values["moment2"] = [v * v for v in values["moment2"]]
        rate, number = np.array([0.01], np.float32), integers(step)
        sequence = helper.make_tensor_sequence_value_info
        inputs = [helper.make_tensor_value_info("rate", TensorProto.FLOAT, [1]),
                  helper.make_tensor_value_info("step", TensorProto.INT64, [1])]
        inputs += [sequence(name, TensorProto.FLOAT, None) for name in state]
        nodes, gradient = [], "gradient"
        if clip is not None:
            gradient = "clipped"
            nodes.append(helper.make_node("InplaceClipGradNorm", ["gradient"], [gradient],
                                          domain=MICROSOFT, max_norm=clip))
        taken = ["rate", "step", "parameter", gradient, "moment1", "moment2"]
        kept = [name for name in state if name != "gradient"]
        nodes.append(helper.make_node(
            op, taken if "moment1" in state else ["rate", "parameter", gradient],
            ["flag"] + [f"{name}.new" for name in kept], domain=MICROSOFT, **attributes))
        outputs = [sequence(f"{name}.new", TensorProto.FLOAT, None) for name in kept]
        model = helper.make_model(
            helper.make_graph(nodes, op, inputs, outputs), ir_version=8, opset_imports=[
                helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)])
        # the kernels work in place
        given = {name: [v.copy() for v in arrays] for name, arrays in values.items()}
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"])
        made = session.run(None, {"rate": rate, "step": number, **given})
        self.documents.append({
            "operator": op, "domain": MICROSOFT, "attributes": attributes, "max_norm": clip,
            "inputs": [self.store("rate", rate.reshape(())), self.store("step", number.reshape(()))] + [
                self.store(f"{name}{i}", v)
                for name, arrays in values.items() for i, v in enumerate(arrays)],
            "outputs": [self.store(f"{name}{i}.new", v)
                        for name, arrays in zip(kept, made) for i, v in enumerate(arrays)]})

    def write(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        lines = ",\n".join(json.dumps(d, separators=(",", ":")) for d in self.documents)
        (folder / "cases.json").write_text(f"[\n{lines}\n]\n")
        (folder / "values.bin").write_bytes(b"".join(self.values))
        counts = {}
        for document in self.documents:
            counts[document["operator"]] = counts.get(document["operator"], 0) + 1
        for operator in sorted(counts):
            sys.stdout.write(f"{operator}: {counts[operator]}\n")


def activations(cases):
    for shape in [(3, 4, 5), (7,)]:
        g, x = normal(*shape), normal(*shape, scale=3.0)
        x.flat[:3] = 0.0, 12.0, -12.0
        sigmoid = 1 / (1 + np.exp(-x))
        cases.add("SigmoidGrad", [g, sigmoid])
        cases.add("TanhGrad", [g, np.tanh(x)])
        cases.add("ReluGrad", [g, x])
        cases.add("LeakyReluGrad", [g, x])
        cases.add("LeakyReluGrad", [g, x], alpha=0.2)
        cases.add("GeluGrad", [g, x])
        cases.add("FastGeluGrad", [g, x])
        cases.add("QuickGeluGrad", [g, x])
        cases.add("QuickGeluGrad", [g, x], alpha=1.0)
        bias = normal(shape[-1])
        cases.add("BiasGeluGrad_dX", [g, x, bias])
        cases.add("BiasFastGeluGrad_dX", [g, x, bias])
    x, bias = normal(3, 8, scale=3.0), normal(8)
    cases.add("Gelu", [x])
    cases.add("FastGelu", [x])
    cases.add("FastGelu", [x, bias])
    cases.add("BiasGelu", [x, bias])
    cases.add("QuickGelu", [x], alpha=1.0)


def softmaxes(cases):
    g, x = normal(3, 4, 5), normal(3, 4, 5, scale=3.0)
    for axis in (-1, 0, 1, 2):
        y = softmax(x, axis)
        cases.add("SoftmaxGrad_13", [g, y], axis=axis)
        cases.add("LogSoftmaxGrad_13", [g, np.log(y)], axis=axis)
    cases.add("SoftmaxGrad_13", [g, softmax(x, -1)])
    for axis in (0, 1, 2, -1):
        rows = x.reshape(int(np.prod(x.shape[:axis])), -1)
        y = softmax(rows, 1).reshape(x.shape)
        cases.add("SoftmaxGrad", [g, y], axis=axis)
        cases.add("LogSoftmaxGrad", [g, np.log(y)], axis=axis)


def norms(cases):
    for shape, axis in [((3, 4, 8), -1), ((3, 4, 8), 2), ((3, 4, 8), 1), ((3, 4, 8), -2), ((6, 5), 1),
                        ((2, 3, 4, 5), 2)]:
        x, g = normal(*shape, scale=2.0), normal(*shape)
        gamma = normal(*shape[axis:])
        axes = tuple(range(axis % len(shape), len(shape)))
        mean = x.mean(axis=axes, keepdims=True)
        inverse = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + 1e-5)
        cases.add("LayerNormalizationGrad", [g, x, gamma, mean, inverse], 3, axis=axis)
        inverse = 1 / np.sqrt((x * x).mean(axis=axes, keepdims=True) + 1e-5)
        cases.add("SimplifiedLayerNormalizationGrad", [g, x, gamma, inverse], 2, axis=axis)
    x, gamma, beta = normal(3, 4, 8), normal(8), normal(8)
    cases.add("LayerNormalization", [x, gamma, beta], 3, domain="", epsilon=1e-5)
    cases.add("SimplifiedLayerNormalization", [x, gamma], 2, domain="", epsilon=1e-5)


def gathers(cases):
    data = (6, 4, 5)
    for axis in (0, 1, 2, -1, -3):
        for index_shape in [(2, 3), (7,), ()]:
            length = data[axis]
            indices = RANDOM.integers(-length, length, index_shape)
            shape = np.take(np.empty(data), indices, axis=axis).shape
            dtype = np.int32 if index_shape == (7,) else np.int64
            cases.add("GatherGrad", [integers(*data), np.array(indices, dtype), normal(*shape)],
                      axis=axis)
    cases.add("GatherGrad", [integers(9), np.array([[1, 1], [8, 0]]), normal(2, 2)])
    # three times as many rows as indices: the kernel writes beyond its buffer
    indices, g = np.array([[0, 3, 3, 5]]), normal(3, 4, 2)
    expected = np.zeros((6, 2), np.float32)
    for row in g:
        np.add.at(expected, indices[0], row)
    cases.add("GatherGrad", [integers(6, 2), indices, g], axis=0, expected=[expected])
    for axis in (0, 1, -1):
        length = data[axis]
        shape = [3, 4, 5]
        shape[axis] = 7
        indices = RANDOM.integers(-length, length, shape)
        cases.add("GatherElementsGrad", [normal(*shape), integers(*data), indices], axis=axis)
    cases.add("GatherElementsGrad", [normal(8), integers(3), RANDOM.integers(0, 3, 8)])
    for depth, index_shape in [(1, (4,)), (2, (5,)), (3, (2, 4)), (2, (2, 3))]:
        tops = np.array(data[:depth])
        indices = RANDOM.integers(-tops, tops, (*index_shape, depth))
        g = normal(*index_shape, *data[depth:])
        cases.add("GatherNDGrad", [integers(*data), indices, g])


def slices(cases):
    shape = (4, 5, 6)
    x = np.empty(shape)
    whole = [slice(None)] * 3
    for starts, ends, axes, steps in [
            ([1], [3], [0], [1]),
            ([1, -4], [3, -1], [1, 2], [1, 1]),
            ([0], [2**63 - 1], [-1], [1]),
            ([-100, 2], [100, 100], [2, 0], [1, 1]),
            ([3], [3], [2], [1]),
            ([0, 1], [5, 6], [1, 2], [2, 3]),
            ([-1], [-(2**63) + 1], [1], [-1]),
            ([5, 3], [0, -100], [2, 0], [-2, -1])]:
        index = list(whole)
        for start, end, axis, step in zip(starts, ends, axes, steps):
            # NumPy's negative ends count from the end; the operator clamps what is beyond it
            index[axis] = slice(start, None if end < -50 else end, step)
        g = normal(*x[tuple(index)].shape)
        values = [integers(*v) for v in (starts, ends, axes, steps)]
        scattered = np.zeros(shape, np.float32)
        scattered[tuple(index)] = g
        # the kernel fails on a reversed slice that begins below the last element
        expected = [scattered] if -100 in ends else None
        if set(steps) == {1}:
            cases.add("SliceGrad", [g, integers(*shape), *values[:3]])
        for constant in [(), (5,), (2, 3, 4, 5)]:
            cases.add("SliceGrad", [g, integers(*shape), *values], constant=constant,
                      expected=expected)
        small = [v.clip(-(2**31) + 1, 2**31 - 1).astype(np.int32) for v in values]
        cases.add("SliceGrad", [g, integers(*shape), *small], constant=(5,), expected=expected)
    cases.add("SliceGrad", [normal(2, 2, 6), integers(*shape), integers(1, 2), integers(3, 4)])
    cases.add("SliceGrad", [normal(4), integers(9), integers(2), integers(6)])


def shapes(cases):
    x = normal(3, 4)
    for scale in (np.array(0.25, np.float32), np.array([3], np.int64), np.array(1.5, np.float64),
                  np.array(7, np.int32)):
        cases.add("Scale", [x, scale])
        cases.add("Scale", [x, scale], scale_down=1)
    for a, b in [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 4), ()), ((2, 3, 4), (3, 1)), ((1, 4), (3, 1)),
                 ((), (2, 2)), ((3, 1, 4), (2, 1))]:
        g = normal(*np.broadcast_shapes(a, b))
        divisor = normal(*b)
        divisor = np.array(np.where(np.abs(divisor) < 0.3, 0.5, divisor), np.float32)
        cases.add("DivGrad", [g, np.array(normal(*a)), divisor], 2)
        if min(len(a), len(b)):
            cases.add("BroadcastGradientArgs", [integers(*a), integers(*b)], 2)
    x = normal(3, 4, 5)
    for axes in (integers(0), integers(1, 2), integers(-1), integers(0, 1, 2)):
        for keepdims in (0, 1):
            cases.add("ReduceSumTraining", [x, axes], keepdims=keepdims)
    none = np.zeros(0, np.int64)
    cases.add("ReduceSumTraining", [x, none], noop_with_empty_axes=1)
    cases.add("ReduceSumTraining", [x, none], keepdims=0)
    for axis in (0, 1, -1):
        lengths = (1, 4, 2)
        parts = []
        for length in lengths:
            shape = [2, 3, 3]
            shape[axis] = length
            parts.append(normal(*shape))
        cases.add("ConcatTraining", parts, 2, axis=axis)
        cases.add("SplitTraining", [np.concatenate(parts, axis), integers(*lengths)], 3, axis=axis)
    a, b = normal(2, 3, 4), normal(2, 5, 4)
    cases.add("FusedMatMul", [a, b], transB=1, alpha=0.5)
    cases.add("FusedMatMul", [a, normal(2, 3, 4)], transA=1)


def dropouts(cases):
    g, mask = normal(4, 6), RANDOM.random((4, 6)) > 0.3
    cases.add("DropoutGrad", [g, mask, np.array(0.3, np.float32)])
    cases.add("DropoutGrad", [g, mask, np.array(0.1, np.float32), np.array(True)])
    cases.add("DropoutGrad", [g, mask, np.array(0.0, np.float32)], expected=[np.where(mask, g, 0)])
    cases.add("DropoutGrad", [g, mask])
    # outside training nothing was dropped; the kernel does not look
    everything = np.ones_like(mask)
    cases.add("DropoutGrad", [g, everything, np.array(0.1, np.float32), np.array(False)], expected=[g])


def losses(cases):
    for shape in [(6, 5), (3, 5, 4)]:
        x = normal(*shape, scale=3.0)
        log_p = np.log(softmax(x, 1))
        label_shape = (shape[0], *shape[2:])
        labels = RANDOM.integers(0, 5, label_shape)
        some = labels.copy()
        some.flat[::3] = -100
        weights = np.abs(normal(5)) + np.float32(0.1)
        ignored = np.array(-100)
        for reduction in ("mean", "sum", "none"):
            g = normal(*label_shape) if reduction == "none" else np.array(0.7, np.float32)
            one = "SoftmaxCrossEntropyLossGrad"
            two = "SoftmaxCrossEntropyLossInternalGrad"
            forward = "SoftmaxCrossEntropyLossInternal"
            cases.add(one, [g, log_p, labels], reduction=reduction)
            cases.add(one, [g, log_p, labels.astype(np.int32)], reduction=reduction)
            cases.add(one, [g, log_p, some, weights], reduction=reduction, ignore_index=-100)
            cases.add(one, [g, log_p, labels], reduction=reduction, ignore_index=2)
            cases.add(two, [g, log_p, some, None, ignored], reduction=reduction)
            cases.add(two, [g, log_p, labels, weights], reduction=reduction)
            cases.add(two, [g, log_p, some, weights, ignored, normal(*shape)], reduction=reduction)
            cases.add(forward, [x, labels], 2, reduction=reduction)
            cases.add(forward, [x, some, None, ignored], 2, reduction=reduction)
            cases.add(forward, [x, some, weights, ignored], 2, reduction=reduction)


def optimizers(cases):
    base = {"alpha": 0.9, "beta": 0.999, "epsilon": 1e-6, "weight_decay": 0.0, "correct_bias": 1,
            "adam_mode": 1}
    torch = {**base, "adam_mode": 0, "epsilon": 1e-8}
    for change in ({}, {"weight_decay": 0.1}, {"correct_bias": 0}, {"alpha": 0.7, "beta": 0.9}):
        for clip, step in [(None, 1), (0.5, 7)]:
            cases.add_optimizer("AdamWOptimizer", {**base, **change}, clip, step)
            if change.get("correct_bias") != 0:
                cases.add_optimizer("AdamWOptimizer", {**torch, **change}, clip, step)
    for clip in (None, 0.5, 100.0):
        cases.add_optimizer("SGDOptimizerV2", {}, clip, 1)


def main():
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/parity/data/lowering"
    cases = Cases()
    for group in (activations, softmaxes, norms, gathers, slices, shapes, dropouts, losses,
                  optimizers):
        group(cases)
    cases.write(target)


main()
