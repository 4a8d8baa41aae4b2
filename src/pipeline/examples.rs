//! Pairs to look at, with their texts and the evidence in words.

use std::collections::HashMap;

use super::PipelineError;
use super::evidence::{Evidence, RowEvidence, RowState};
use super::outcome::Outcome;
use super::reporting::sentence;
use super::summaries;
use crate::pairs::{PairSource, RawPair};
use crate::report::{Example, Examples, Text};
use crate::tags::Signals;

/// Examples of each kind on the page.
const EXAMPLES: usize = 25;
/// Pairs in `review.csv`.
const REVIEWED: usize = 200;
/// Characters of a prompt (its end) and of a response (its beginning) on the page.
const SHOWN: [usize; 2] = [1200, 1600];

/// Examples for the page, and for `review.csv`.
pub(super) struct Chosen {
    pub(super) report: Examples,
    pub(super) review: Vec<Example>,
}

/// Picks examples by suspicion and fluctuation, and reads their texts from the inputs.
pub(super) fn examples(
    source: &PairSource,
    evidence: &Evidence,
    outcome: &Outcome,
) -> Result<Chosen, PipelineError> {
    let mut order: Vec<usize> = (0..evidence.pairs.len()).collect();
    let suspicion = |i: usize| outcome.decisions[i].suspicion;
    order.sort_by(|&i, &j| suspicion(j).total_cmp(&suspicion(i)));
    let suspicious: Vec<usize> = order.iter().take(REVIEWED).copied().collect();
    let trusted: Vec<usize> = order.iter().rev().take(EXAMPLES).copied().collect();
    let fluctuation = |i: usize| mean(&evidence.pairs[i].signals, |s| s.fluctuation);
    order.sort_by(|&i, &j| {
        fluctuation(j)
            .total_cmp(&fluctuation(i))
            .then(suspicion(j).total_cmp(&suspicion(i)))
    });
    let fluctuating: Vec<usize> = order.into_iter().take(EXAMPLES).collect();

    let mut texts: HashMap<usize, Option<(usize, RawPair)>> = HashMap::new();
    for &pair in suspicious.iter().chain(&trusted).chain(&fluctuating) {
        texts.insert(pair, None);
    }
    let mut left = texts.len();
    for (row, evidence_row) in source.pairs()?.zip(&evidence.rows) {
        if left == 0 {
            break;
        }
        let row = row?;
        if let RowState::Trained(pair) = evidence_row.state
            && let Some(slot) = texts.get_mut(&(pair as usize))
            && let Ok(raw) = row.pair
        {
            *slot = Some((
                usize::try_from(row.at.index).expect("rows fit the address space"),
                raw,
            ));
            left -= 1;
        }
    }
    let make = |pairs: &[usize]| -> Vec<Example> {
        pairs
            .iter()
            .filter_map(|&pair| {
                let (row, raw) = texts.get(&pair)?.as_ref()?;
                Some(example(
                    source,
                    evidence,
                    outcome,
                    pair,
                    &evidence.rows[*row],
                    raw,
                ))
            })
            .collect()
    };
    let review = make(&suspicious);
    Ok(Chosen {
        report: Examples {
            most_suspicious: review.iter().take(EXAMPLES).cloned().collect(),
            most_fluctuating: make(&fluctuating),
            most_trusted: make(&trusted),
        },
        review,
    })
}

fn mean(signals: &[Signals; 2], of: impl Fn(&Signals) -> f64) -> f64 {
    f64::midpoint(of(&signals[0]), of(&signals[1]))
}

fn example(
    source: &PairSource,
    evidence: &Evidence,
    outcome: &Outcome,
    pair: usize,
    row: &RowEvidence,
    raw: &RawPair,
) -> Example {
    let record = &evidence.pairs[pair];
    let decision = &outcome.decisions[pair];
    Example {
        pair_id: record.id.to_string(),
        input: source.inputs()[row.input as usize]
            .path
            .display()
            .to_string(),
        row: row.row,
        tag: decision.tag,
        removed: !outcome.action_of(row).stays(),
        suspicion: decision.suspicion,
        p_incorrect: outcome.p_incorrect(pair),
        fluctuation: mean(&record.signals, |s| s.fluctuation),
        confidence: [record.signals[0].confidence, record.signals[1].confidence],
        reason: outcome.reason_of(row).map(str::to_owned),
        evidence_codes: decision
            .evidence_codes
            .iter()
            .map(|code| code.as_str().to_owned())
            .collect(),
        evidence: evidence_words(evidence, outcome, pair),
        loss: summaries::pair_losses(&evidence.dynamics, pair),
        prompt: Text::tail(raw.prompt.trim(), SHOWN[0]),
        chosen: Text::head(raw.chosen.trim(), SHOWN[1]),
        rejected: Text::head(raw.rejected.trim(), SHOWN[1]),
    }
}

/// The evidence on a pair, a sentence each.
pub(super) fn evidence_words(evidence: &Evidence, outcome: &Outcome, pair: usize) -> Vec<String> {
    let record = &evidence.pairs[pair];
    let decision = &outcome.decisions[pair];
    // the most suspicious of many pairs would round to 100%
    let percent = (100.0 * decision.suspicion).min(99.9);
    let mut words = vec![format!("More suspicious than {percent:.1}% of the pairs.")];
    words.extend(
        decision
            .evidence_codes
            .iter()
            .map(|code| sentence(code.explanation())),
    );
    let [a, b] = &record.signals;
    let epochs = evidence.dynamics.n_epochs;
    words.push(format!(
        "Mean loss {:.2} nats in model a and {:.2} in b; they agreed with the label in {} and {} of {epochs} epochs.",
        a.mean_loss, b.mean_loss, a.correctness, b.correctness
    ));
    if let Some(margin) = record.margin_cross_fit {
        words.push(format!(
            "Models that did not train on it give a margin of {margin:+.2}, {} the label.",
            if margin > 0.0 { "with" } else { "against" }
        ));
    }
    if let Some(margin) = record.margin_comparisons {
        words.push(format!(
            "The fit to all other pairs gives a margin of {margin:+.2}, {} the label.",
            if margin > 0.0 { "with" } else { "against" }
        ));
    }
    words
}
