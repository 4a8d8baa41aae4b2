"""Seconds per training step of an MLP on fixed features, written out in NumPy with AdamW.

    python numpy_head.py
"""

import argparse

import numpy as np
from model import measure
from scipy.special import erf

WIDTH, HIDDEN = 384, 128


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--warmup", type=int, default=20)
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    chosen, rejected = rng.standard_normal((2, options.pairs, WIDTH)).astype(np.float32)
    features = np.concatenate([chosen, rejected])
    weights = [rng.uniform(-0.05, 0.05, shape).astype(np.float32)
               for shape in ((WIDTH, HIDDEN), (HIDDEN,), (HIDDEN, 1))]
    moments = [[np.zeros_like(w), np.zeros_like(w)] for w in weights]
    root, density = np.float32(np.sqrt(0.5)), np.float32(1 / np.sqrt(2 * np.pi))
    half, one = np.float32(0.5), np.float32(1)
    signs = np.repeat(np.array([-1, 1], np.float32), options.pairs)[:, None]

    def step(number):
        first, bias, second = weights
        inner = features @ first + bias
        share = half * (one + erf(inner * root))
        active = inner * share
        rewards = active @ second
        margin = rewards[:options.pairs] - rewards[options.pairs:]
        # gradient of softplus(-margin) by the reward of each side
        slope = np.tile(one / (one + np.exp(margin)), (2, 1)) * signs / np.float32(options.pairs)
        into = slope @ second.T * (share + inner * density * np.exp(-half * inner * inner))
        gradients = [features.T @ into, into.sum(0), active.T @ slope]
        adamw(weights, gradients, moments, number + 1)
        return np.logaddexp(0, -margin).mean()
    measure(step, options.warmup, options.steps)


def adamw(weights, gradients, moments, step, rate=1e-3, decay=0.01):
    correction = np.float32(np.sqrt(1 - 0.999**step) / (1 - 0.9**step))
    for weight, gradient, (first, second) in zip(weights, gradients, moments):
        first *= np.float32(0.9)
        first += np.float32(0.1) * gradient
        second *= np.float32(0.999)
        second += np.float32(0.001) * gradient * gradient
        weight *= np.float32(1 - rate * decay)
        weight -= np.float32(rate) * correction * first / (np.sqrt(second) + np.float32(1e-8))


main()
