//! What is trained on and what is tested on: rows told apart, truth read, leaks dropped.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::{ProveError, TestData};
use crate::noise::Facts;
use crate::pairs::{ContentId, PairId, PairSource};
use crate::pipeline::PipelineError;
use crate::pipeline::known::{Values, references, shown};
use crate::pipeline::labels::Labels;
use crate::pipeline::workbench::Workbench;
use crate::reward::{Features, PairTexts};
use crate::seed::derive;
use crate::tags::evaluate::Reference;

/// Pairs that tests are drawn from, as the reward model reads them.
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) ids: Vec<PairId>,
    pub(super) texts: Vec<PairTexts>,
    /// Whether the chosen side is the better one; `None` where the reference is silent.
    pub(super) better: Vec<Option<bool>>,
    pub(super) features: Arc<Features>,
}

impl Pool {
    /// The pairs of a workbench; `gold`: the column that says which side is better, or that chosen is.
    pub(super) fn new(
        name: String,
        bench: &Workbench<'_>,
        source: &PairSource,
        gold: &TestGold,
    ) -> Result<Self, PipelineError> {
        let better = match gold {
            TestGold::Chosen => vec![Some(true); bench.ingested.pairs.len()],
            TestGold::Column(column) => references(source, bench, column)?
                .into_iter()
                .map(|reference| match reference? {
                    Reference::Correct => Some(true),
                    Reference::Incorrect => Some(false),
                    Reference::Ambiguous => None,
                })
                .collect(),
        };
        Ok(Self {
            name,
            ids: bench.ids(),
            texts: bench.ingested.pairs.iter().map(|p| p.texts[0]).collect(),
            better,
            features: bench.features_of_a(),
        })
    }
}

/// What says which side of a test pair is better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TestGold {
    /// The chosen one always is.
    Chosen,
    /// A column.
    Column(String),
}

/// The column of a reference: the user's, or `gold_label`.
pub(super) fn gold_column(
    source: &PairSource,
    named: Option<&str>,
) -> Result<TestGold, PipelineError> {
    let name = named.unwrap_or(DEFAULT_GOLD);
    if source.column(name).is_err() {
        let path = source.inputs()[0].path.clone();
        return Err(match named {
            Some(_) => source.column(name).expect_err("it was not found").into(),
            None => ProveError::NoGold { path }.into(),
        });
    }
    Ok(TestGold::Column(name.to_owned()))
}

/// Column that is looked for where the user names none.
const DEFAULT_GOLD: &str = "gold_label";

/// Which pairs train and which ones test, by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Split {
    /// Positions in the input's pairs.
    pub(super) train: Vec<usize>,
    /// Positions in each pool of tests.
    pub(super) tests: Vec<Vec<usize>>,
}

/// Test pairs that were left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// The reference is silent or sees a tie.
    pub(super) undecided: usize,
    /// The same pair is in training.
    pub(super) leaked: usize,
}

/// Splits of the input alone: what trains and, where they are of the same file, what tests.
pub(super) fn by_rows(
    test: &TestData,
    source: &PairSource,
    bench: &Workbench<'_>,
    seed: u64,
) -> Result<Vec<[Vec<usize>; 2]>, PipelineError> {
    let n = bench.ingested.pairs.len();
    match test {
        TestData::Files(_) => Ok(vec![[(0..n).collect(), Vec::new()]]),
        TestData::Where {
            column,
            values: wanted,
        } => {
            let values = Values::of_pairs(source, bench, column)?;
            let there = values.distinct();
            let mut named = BTreeSet::new();
            for given in wanted {
                // a value may have commas in it
                let parts: Vec<&str> = if there.contains(given.as_str()) {
                    vec![given]
                } else {
                    given.split(',').map(str::trim).collect()
                };
                if let Some(missing) = parts.iter().find(|part| !there.contains(**part)) {
                    return Err(ProveError::NoSuchValue {
                        column: column.clone(),
                        value: (*missing).to_owned(),
                        found: shown(&there),
                    }
                    .into());
                }
                named.extend(parts);
            }
            let tests = |i: &usize| values.at(*i).is_some_and(|v| named.contains(v));
            let (test, train) = (0..n).partition(tests);
            Ok(vec![[train, test]])
        }
        TestData::By { column, folds } => {
            let values = Values::of_pairs(source, bench, column)?;
            let of_pairs: Vec<Option<&str>> = values.iter().collect();
            let fold_of =
                folds_of_groups(&of_pairs, *folds, seed).ok_or_else(|| ProveError::FewGroups {
                    column: column.clone(),
                    groups: values.distinct().len(),
                    folds: *folds,
                })?;
            let split = |fold: usize| {
                let (test, train) = (0..n).partition(|&i| fold_of[i] == Some(fold));
                [train, test]
            };
            Ok((0..*folds).map(split).collect())
        }
    }
}

/// A fold for each value of a column, about equal in pairs: the largest group first, into the fold that has
/// fewest pairs. Pairs without a value are in no fold. `None` if there are fewer values than folds.
fn folds_of_groups(values: &[Option<&str>], folds: usize, seed: u64) -> Option<Vec<Option<usize>>> {
    let mut sizes: HashMap<&str, usize> = HashMap::new();
    for value in values.iter().flatten() {
        *sizes.entry(value).or_default() += 1;
    }
    if sizes.len() < folds {
        return None;
    }
    let mut groups: Vec<(&str, usize)> = sizes.into_iter().collect();
    groups.sort_by_key(|&(name, size)| (usize::MAX - size, derive(seed, name), name));
    let mut filled = vec![0; folds];
    let mut fold_of: HashMap<&str, usize> = HashMap::new();
    for (name, size) in groups {
        let fold = (0..folds).min_by_key(|&fold| (filled[fold], fold))?;
        filled[fold] += size;
        fold_of.insert(name, fold);
    }
    let of = |value: Option<&str>| value.map(|value| fold_of[value]);
    Some(values.iter().copied().map(of).collect())
}

/// The test pairs of a pool that can be tested on: decided, and not in training.
pub(super) fn testable(
    pool: &Pool,
    candidates: &[usize],
    training: &HashSet<ContentId>,
) -> (Vec<usize>, LeftOut) {
    let mut left = LeftOut::default();
    let mut kept = Vec::new();
    for &i in candidates {
        if pool.better[i].is_none() {
            left.undecided += 1;
        } else if training.contains(&pool.ids[i].content) {
            left.leaked += 1;
        } else {
            kept.push(i);
        }
    }
    (kept, left)
}

/// The pairs of one training set, with the labels as given.
pub(super) struct TrainSet {
    pub(super) labels: Labels,
    pub(super) folds: Vec<u32>,
    pub(super) facts: Facts,
    /// What the reference says of the labels; `None` without a reference column.
    pub(super) references: Option<Vec<Option<Reference>>>,
}

/// What is known of labels after noise was injected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Truth {
    /// Whether the label is wrong; where the reference is silent, whether it was swapped.
    pub(super) wrong: Vec<bool>,
    /// Whether that is known: the reference is decided, or there is none and the labels as given count as
    /// right.
    pub(super) known: Vec<bool>,
}

impl TrainSet {
    /// The truth under injected noise; `None` where neither noise nor reference says anything.
    pub(super) fn truth(&self, injected: &[bool], has_noise: bool) -> Option<Truth> {
        match &self.references {
            None if !has_noise => None,
            None => Some(Truth {
                wrong: injected.to_vec(),
                known: vec![true; injected.len()],
            }),
            Some(references) => {
                let of = |i: usize| references[i].map(|r| r.swapped(injected[i]));
                let wrong = |i| match of(i) {
                    Some(Reference::Correct) => false,
                    Some(Reference::Incorrect) => true,
                    Some(Reference::Ambiguous) | None => injected[i],
                };
                let known = |i| of(i).is_some_and(|r| r != Reference::Ambiguous);
                Some(Truth {
                    wrong: (0..injected.len()).map(wrong).collect(),
                    known: (0..injected.len()).map(known).collect(),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train_set(references: Option<Vec<Option<Reference>>>) -> TrainSet {
        TrainSet {
            labels: Labels {
                ids: Vec::new(),
                pairs: Vec::new(),
                deciding: Vec::new(),
                judges: Vec::new(),
            },
            folds: Vec::new(),
            facts: Facts::default(),
            references,
        }
    }

    #[test]
    fn truth_is_reference_xor_injected() {
        use Reference::{Ambiguous, Correct, Incorrect};
        let references = vec![
            Some(Correct),
            Some(Correct),
            Some(Incorrect),
            Some(Incorrect),
            Some(Ambiguous),
            None,
        ];
        let injected = [false, true, false, true, true, true];
        let truth = train_set(Some(references)).truth(&injected, true).unwrap();
        assert_eq!(truth.wrong, [false, true, true, false, true, true]);
        assert_eq!(truth.known, [true, true, true, true, false, false]);
        let by_noise = train_set(None).truth(&injected, true).unwrap();
        assert_eq!(by_noise.wrong, injected);
        assert!(train_set(None).truth(&[false; 6], false).is_none());
    }

    #[test]
    fn groups_stay_together_and_folds_are_balanced() {
        let names: Vec<String> = (0..7).map(|i| format!("g{i}")).collect();
        let values: Vec<Option<&str>> = (0..100)
            .map(|i| (i % 10 != 9).then(|| names[i % 7].as_str()))
            .collect();
        let folds = folds_of_groups(&values, 3, 0).unwrap();
        for (a, b) in (0..100).flat_map(|a| (0..100).map(move |b| (a, b))) {
            if values[a] == values[b] {
                assert_eq!(folds[a], folds[b]);
            }
        }
        let size = |fold| folds.iter().filter(|&&f| f == Some(fold)).count();
        assert!((0..3).all(|fold| size(fold) >= 20), "{folds:?}");
        assert!(
            values
                .iter()
                .zip(&folds)
                .all(|(v, f)| v.is_some() == f.is_some())
        );
        assert_eq!(folds_of_groups(&values, 8, 0), None);
    }
}
