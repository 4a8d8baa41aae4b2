//! Tokenizer, token policy, and batches under a token budget.
