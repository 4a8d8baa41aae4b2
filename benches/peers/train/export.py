"""Writes the reward model that is measured as ONNX.

    python export.py MODEL_FOLDER OUTPUT.onnx

Needs torch 2.6 and transformers 4.49.
"""

import io
import sys

import onnx
import torch
from model import reward_model
from onnx import numpy_helper


def main():
    folder, out = sys.argv[1:]
    model = reward_model(folder, "eager").eval()
    ids = torch.tensor([[2000, 3000, 4000], [5000, 6000, 7000]])
    axes, file = {0: "rows", 1: "tokens"}, io.BytesIO()
    torch.onnx.export(
        model, (ids, torch.ones_like(ids)), file, opset_version=17, dynamo=False,
        input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "rows"}})
    exported = onnx.load_from_string(file.getvalue())
    rename(exported, model)
    onnx.save(exported, out)


def rename(exported, model):
    """Gives transposed weights, which the exporter only numbers, their parameter's name."""
    names = {parameter.detach().t().contiguous().numpy().tobytes(): name
             for name, parameter in model.named_parameters() if parameter.dim() == 2}
    renamed = {}
    for tensor in exported.graph.initializer:
        if tensor.name.startswith("onnx::"):
            renamed[tensor.name] = names[numpy_helper.to_array(tensor).tobytes()]
            tensor.name = renamed[tensor.name]
    for node in exported.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)


main()
