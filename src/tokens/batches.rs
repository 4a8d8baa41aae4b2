//! Batches of texts of about equal length under a budget of padded tokens.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::TextIndex;

/// Texts are padded to a multiple of this many tokens.
///
/// The padded length follows from a text alone, so that its features do not
/// depend on which texts share its batch.
const LENGTH_STEP: usize = 8;

/// Texts that are encoded in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The texts, all padded to `padded_tokens`.
    pub texts: Vec<TextIndex>,
    /// Tokens of each row.
    pub padded_tokens: usize,
}

/// Batches of equal padded length, at most `token_budget` padded tokens each (a longer text stands alone).
///
/// The batches come in a fixed shuffled order: long and short ones mix, so that
/// a rate measured early holds to the end.
#[must_use]
pub fn plan_batches(
    texts: &[TextIndex],
    n_tokens: impl Fn(TextIndex) -> usize,
    token_budget: usize,
) -> Vec<Batch> {
    let padded = |text: TextIndex| n_tokens(text).max(1).next_multiple_of(LENGTH_STEP);
    let mut sorted = texts.to_vec();
    sorted.sort_by_key(|&text| (padded(text), text));
    let mut batches = Vec::new();
    for same_length in sorted.chunk_by(|&i, &j| padded(i) == padded(j)) {
        let padded_tokens = padded(same_length[0]);
        for rows in same_length.chunks((token_budget / padded_tokens).max(1)) {
            batches.push(Batch {
                texts: rows.to_vec(),
                padded_tokens,
            });
        }
    }
    batches.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    batches
}

/// Pairs whose texts go through a model in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairBatch {
    /// The pairs, by position among those planned.
    pub pairs: Vec<usize>,
    /// Tokens of each row; a pair is two rows.
    pub padded_tokens: usize,
}

/// Batches of pairs of about equal length, at most `token_budget` padded tokens each (a longer pair
/// stands alone), short ones first.
///
/// `lengths`: tokens of the longer text of each pair. All rows of a batch are padded to the longest of
/// them: unlike cached features, a training batch may depend on what shares it.
#[must_use]
pub fn plan_pair_batches(lengths: &[usize], token_budget: usize) -> Vec<PairBatch> {
    let padded = |pair: usize| lengths[pair].max(1).next_multiple_of(LENGTH_STEP);
    let mut sorted: Vec<usize> = (0..lengths.len()).collect();
    sorted.sort_by_key(|&pair| (padded(pair), pair));
    let mut batches: Vec<PairBatch> = Vec::new();
    for pair in sorted {
        let padded_tokens = padded(pair);
        match batches.last_mut() {
            Some(batch) if 2 * (batch.pairs.len() + 1) * padded_tokens <= token_budget => {
                batch.pairs.push(pair);
                batch.padded_tokens = padded_tokens;
            }
            _ => batches.push(PairBatch {
                pairs: vec![pair],
                padded_tokens,
            }),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_pair_is_in_one_batch_and_budgets_hold(lengths in prop::collection::vec(0usize..300, 0..100), budget in 64usize..4096) {
            let batches = plan_pair_batches(&lengths, budget);
            let mut seen: Vec<usize> = batches.iter().flat_map(|b| b.pairs.clone()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &batches {
                prop_assert!(2 * batch.pairs.len() * batch.padded_tokens <= budget || batch.pairs.len() == 1);
                prop_assert!(batch.pairs.iter().all(|&pair| lengths[pair] <= batch.padded_tokens));
            }
        }

        #[test]
        fn every_text_is_in_one_batch_and_budgets_hold(lengths in prop::collection::vec(1usize..300, 0..200), budget in 64usize..2048) {
            let texts: Vec<u32> = (0..).take(lengths.len()).collect();
            let batches = plan_batches(&texts, |text| lengths[text as usize], budget);
            let mut seen: Vec<u32> = batches.iter().flat_map(|b| b.texts.clone()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, texts);
            for batch in &batches {
                prop_assert!(batch.texts.len() * batch.padded_tokens <= budget || batch.texts.len() == 1);
                for &text in &batch.texts {
                    prop_assert!(lengths[text as usize] <= batch.padded_tokens);
                    prop_assert!(batch.padded_tokens < lengths[text as usize] + LENGTH_STEP);
                }
            }
        }
    }
}
