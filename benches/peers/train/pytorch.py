"""Seconds per training step in PyTorch: forward, backward, fused AdamW.

    python pytorch.py MODEL_FOLDER --attention eager|sdpa [--train all|last:K|head]

Needs torch 2.6 and transformers 4.49. `--features` measures an MLP on fixed features instead.
"""

import argparse

import torch
from model import batch, frozen_prefixes, measure, reward_model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--attention", default="sdpa")
    parser.add_argument("--train", default="all")
    parser.add_argument("--features", action="store_true")
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    step = features_step(options) if options.features else model_step(options)
    measure(step, options.warmup, options.steps)


def model_step(options):
    model = reward_model(options.folder, options.attention).train()
    frozen = frozen_prefixes(options.train)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not name.startswith(frozen) if frozen else True
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-5, eps=1e-6, weight_decay=0.0, fused=True)

    def step(number):
        ids, mask = map(torch.from_numpy, batch(number, options.pairs, options.tokens))
        rewards = model(ids, mask).view(-1, 2)
        return update(rewards[:, 0] - rewards[:, 1], optimizer)
    return step


def features_step(options):
    torch.manual_seed(0)
    width, hidden = 384, 128
    head = torch.nn.Sequential(torch.nn.Linear(width, hidden), torch.nn.GELU(),
                               torch.nn.Linear(hidden, 1, bias=False))
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, fused=True)
    features = torch.randn(2, options.pairs, width)

    def step(_):
        chosen, rejected = head(features[0]), head(features[1])
        return update((chosen - rejected).squeeze(-1), optimizer)
    return step


def update(margin, optimizer):
    loss = torch.nn.functional.softplus(-margin).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


main()
