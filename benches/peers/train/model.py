"""The reward model and the batches that every peer trains: MiniLM, mean pooling, one linear layer."""

import json
import resource
import statistics
import sys
import time

import numpy as np


def batch(step, pairs, tokens):
    """Token ids [2 * pairs, tokens], rows interleaved: chosen, rejected. No padding."""
    place = np.arange(2 * pairs * tokens, dtype=np.int64)
    ids = 1000 + (place * 7919 + step * 104_729) % 20_000
    return ids.reshape(2 * pairs, tokens), np.ones((2 * pairs, tokens), np.int64)


def reward_model(folder, attention):
    """The model in PyTorch, parameters as stored, no dropout."""
    import torch
    from transformers import BertConfig, BertModel

    class Reward(torch.nn.Module):
        def __init__(self):
            super().__init__()
            config = BertConfig.from_pretrained(
                folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
            self.encoder = BertModel.from_pretrained(
                folder, config=config, attn_implementation=attention, add_pooling_layer=False)
            self.reward = torch.nn.Linear(config.hidden_size, 1, bias=False)
            torch.manual_seed(0)
            torch.nn.init.uniform_(self.reward.weight, -0.05, 0.05)

        def forward(self, input_ids, attention_mask):
            state = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
            mask = attention_mask.unsqueeze(-1).float()
            return self.reward((state * mask).sum(1) / mask.sum(1))

    return Reward()


def frozen_prefixes(train, layers=6):
    """Names that do not train, by the beginning of a parameter's name."""
    if train == "all":
        return ()
    if train == "head":
        return ("encoder.",)
    trained = int(train.removeprefix("last:"))
    numbers = range(layers - trained)
    return ("encoder.embeddings.", *(f"encoder.encoder.layer.{n}." for n in numbers))


def measure(step, warmup, steps):
    """Runs `step(number)`, which gives the loss, and prints seconds and peak memory as JSON."""
    losses, seconds = [], []
    for number in range(warmup + steps):
        started = time.perf_counter()
        losses.append(float(step(number)))
        if number >= warmup:
            seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    document = {"median_s": statistics.median(seconds), "seconds": seconds,
                "peak_mib": round(peak), "losses": losses}
    sys.stdout.write(json.dumps(document) + "\n")
