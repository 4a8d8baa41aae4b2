"""The batches that the references are made of, the same in any language: integers only."""

import numpy as np

PAIRS, TOKENS, VOCABULARY, PAD = 4, 9, 32, 1
STEPS, RATE = 50, 1e-3


def batch(step, pairs=PAIRS, tokens=TOKENS, vocabulary=VOCABULARY):
    """Token ids and attention mask, [rows, tokens]: row 2i is the chosen text of pair i, row 2i+1
    the rejected one. The length of the batch and of each text vary with the step."""
    rows, tokens = 2 * pairs, tokens + step % 3
    row, place = np.meshgrid(np.arange(rows), np.arange(tokens), indexing="ij")
    mixed = (row + 1) * 7919 + (place + 1) * 104_729 + (row + 1) * (place + 3) * 613 + step * 15_485
    mixed %= 2003
    ids = 2 + mixed % (vocabulary - 2)
    # chosen texts have more of the first tokens, so that there is something to learn
    ids = np.where((row % 2 == 0) & (place % 3 == 0), 2 + mixed % 12, ids)
    mask = place < tokens - (row * 3 + step) % 5
    return np.where(mask, ids, PAD).astype(np.int64), mask.astype(np.int64)


def inputs(data, order):
    """The arrays of a batch in the order in which a model takes them."""
    named = dict(zip(("input_ids", "attention_mask"), data))
    return [named[name] for name in order]
