"""Forward graphs of tiny random transformers, as torch.onnx exports them.

    python export.py [OUTPUT_FOLDER [NAME ...]]

Needs Python 3.11 with torch 2.6, transformers 4.49, onnx 1.16 and numpy 1.26. Writes
OUTPUT_FOLDER/NAME/forward.onnx, by default below tests/parity/data/models; running it again gives
the same graphs. The reward models give `logits` [rows, 1] for `input_ids` and `attention_mask`
([rows, tokens], both axes of any size); an encoder gives `last_hidden_state`. The token 1 is padding.
`build.py` writes further models by hand and fused ones, `train.py` trains them all.
"""

import io
import sys
import warnings
from pathlib import Path

import onnx
import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

ROOT = Path(__file__).resolve().parents[3]
# no two alike, so that no wrong shape fits by chance
VOCABULARY, WIDTH, WIDE, LAYERS, HEADS, POSITIONS, PAD = 32, 12, 20, 2, 2, 18, 1

ENCODER = {
    "vocab_size": VOCABULARY, "hidden_size": WIDTH, "intermediate_size": WIDE,
    "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "max_position_embeddings": POSITIONS, "pad_token_id": PAD,
}
DECODER = ENCODER | {"num_key_value_heads": 1, "use_cache": False, "head_dim": WIDTH // HEADS}
DISTILBERT = {
    "vocab_size": VOCABULARY, "dim": WIDTH, "hidden_dim": WIDE, "n_layers": LAYERS,
    "n_heads": HEADS, "max_position_embeddings": POSITIONS, "pad_token_id": PAD,
}
DEBERTA = ENCODER | {
    "relative_attention": True, "position_buckets": 4, "norm_rel_ebd": "layer_norm",
    "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0,
    "position_biased_input": False, "max_relative_positions": -1,
}
MODERNBERT = ENCODER | {
    "global_attn_every_n_layers": 2, "local_attention": 8, "reference_compile": False,
    "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3,
}
GPT2 = {
    "vocab_size": VOCABULARY, "n_embd": WIDTH, "n_inner": WIDE, "n_layer": LAYERS, "n_head": HEADS,
    "n_positions": POSITIONS, "pad_token_id": PAD, "use_cache": False, "bos_token_id": 2,
    "eos_token_id": 3,
}

# equal initial values, which the exporter stores once
SHARED = ENCODER | {"initializer_range": 0.3}

# name -> model type, its settings, attention implementation, operator set, whether a bare encoder
MODELS = {
    "bert": ("bert", ENCODER, "eager", 17, False),
    "bert-opset14": ("bert", ENCODER, "sdpa", 14, False),
    "bert-opset20": ("bert", ENCODER, "sdpa", 20, False),
    "bert-shared": ("bert", SHARED, "sdpa", 17, False),
    "bert-encoder": ("bert", ENCODER, "eager", 17, True),
    "roberta": ("roberta", ENCODER | {"type_vocab_size": 1}, "sdpa", 17, False),
    "distilbert": ("distilbert", DISTILBERT, "eager", 17, False),
    "deberta-v3": ("deberta-v2", DEBERTA, "eager", 17, False),
    "modernbert": ("modernbert", MODERNBERT, "sdpa", 17, False),
    "mpnet": ("mpnet", ENCODER, "eager", 17, False),
    "mpnet-encoder": ("mpnet", ENCODER, "eager", 17, True),
    "gpt2": ("gpt2", GPT2, "eager", 17, False),
    "llama": ("llama", DECODER, "sdpa", 17, False),
    "qwen2": ("qwen2", DECODER, "eager", 18, False),
}


class Forward(torch.nn.Module):
    """The two inputs by position, the one output that counts."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=True)[0]


def random(model, seed):
    """Draws parameters that no initialization would: no two alike, nothing zero or one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = torch.randn(parameter.shape, generator=generator)
            scale, shift = (0.3, 0.0) if parameter.dim() > 1 else (0.1, 0.0)
            if parameter.dim() == 1 and "norm" in name.lower() and name.endswith("weight"):
                shift = 1.0
            parameter.copy_(scale * values + shift)


def model_of(kind, settings, attention, bare):
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **settings)
    if not bare:
        config.num_labels = 1
    auto = AutoModel if bare else AutoModelForSequenceClassification
    model = auto.from_config(config, attn_implementation=attention)
    if settings is not SHARED:
        random(model, len(kind))
    return model.eval()


def export(name):
    kind, settings, attention, opset, bare = MODELS[name]
    model = Forward(model_of(kind, settings, attention, bare))
    ids = torch.tensor([[2, 3, 4, 5, 6], [7, 8, 9, 1, 1]])
    mask = (ids != PAD).long()
    output = "last_hidden_state" if bare else "logits"
    axes = {0: "rows", 1: "tokens"}
    file = io.BytesIO()
    torch.onnx.export(
        model, (ids, mask), file, opset_version=opset, dynamo=False,
        input_names=["input_ids", "attention_mask"], output_names=[output],
        dynamic_axes={"input_ids": axes, "attention_mask": axes,
                      output: axes if bare else {0: "rows"}})
    exported = onnx.load_from_string(file.getvalue())
    shorten(exported)
    onnx.checker.check_model(exported)
    return exported


def shorten(model):
    """Drops what only fills the file: documentation, inferred shapes, names of modules."""
    kept = {value.name for value in model.graph.output}
    names = {}

    def nodes(graph):
        for node in graph.node:
            yield node
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    yield from nodes(attribute.g)

    for node in nodes(model.graph):
        node.doc_string = ""
        for name in node.output:
            if name and name not in kept and not name.startswith(("model.", "onnx::")):
                names[name] = f"{node.op_type}.{len(names)}"
        node.name = names.get(node.output[0], node.output[0])
    for node in nodes(model.graph):
        for field in (node.input, node.output):
            for index, name in enumerate(field):
                field[index] = names.get(name, name)
        for attribute in node.attribute:
            for value in attribute.g.output:
                value.name = names.get(value.name, value.name)
    del model.graph.value_info[:]
    del model.metadata_props[:]


def main():
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/parity/data/models"
    for name in sys.argv[2:] or MODELS:
        model = export(name)
        folder = target / name
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(model, folder / "forward.onnx")
        operators = sorted({node.op_type for node in model.graph.node})
        sys.stdout.write(f"{name}: {model.ByteSize()} bytes; {', '.join(operators)}\n")


if __name__ == "__main__":
    main()
