//! Which labels are cleaned, and how: by a method that judges here, or as a finished run tagged them.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;

use super::ProveError;
use super::data::TrainSet;
use crate::actions::{Action, ActionRules, Outcome};
use crate::methods::{self, Made, Method, ROUNDS, Rounds, Settings, pair_signals};
use crate::pairs::{Judge, PairId};
use crate::pipeline::PipelineError;
use crate::pipeline::config::RunConfig;
use crate::pipeline::labels::{Labels, Means};
use crate::pipeline::load::{batches, broken, column, texts};
use crate::pipeline::ranking::ByOtherPairs;
use crate::pipeline::training::Passes;
use crate::seed::derive;
use crate::tags::assign::{PairEvidence, assign, cap_removal, held_out_margins};
use crate::tags::calibrate::OtherEvidence;
use crate::tags::stats::mean;
use crate::tags::{Calibration, Tag};

/// What cleaning makes of a training set.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Cleaning {
    /// What is left out: `[n_pairs]`.
    pub(super) dropped: Vec<bool>,
    /// What each action makes of every pair.
    pub(super) actions: Vec<(Action, Vec<Outcome>)>,
    /// Suspicion, `[n_pairs]`; empty where it is not known.
    pub(super) suspicion: Vec<f64>,
    /// The share of labels taken to be wrong.
    pub(super) noise_rate: Option<f64>,
    /// Whether planted flips were told from other pairs, which tags rest on.
    pub(super) can_tell: Option<bool>,
}

impl Cleaning {
    /// Number of pairs left out.
    pub(super) fn n_dropped(&self) -> usize {
        self.dropped.iter().filter(|&&dropped| dropped).count()
    }
}

/// Judges labels as a run does.
pub(super) struct Judging<'a> {
    pub(super) config: &'a RunConfig,
    /// What trains the two models of the rounds that tags rest on.
    pub(super) training: &'static dyn Method,
    /// What ranks the labels, and leaves out by its own rule.
    pub(super) ranking: &'static dyn Method,
    pub(super) settings: Settings,
    pub(super) passes: &'a Passes<'a>,
    pub(super) actions: &'a [Action],
}

impl Judging<'_> {
    /// Epochs over all pairs that a judging takes, for progress bars.
    pub(super) fn epochs(&self) -> usize {
        let own = self.ranking.epochs(&self.settings);
        let first = ROUNDS * self.settings.first_pass.epochs;
        if self.actions.is_empty() {
            return first + own;
        }
        let rounds = ROUNDS * self.training.epochs(&self.settings);
        first + own + rounds + self.settings.cross_fit_total()
    }

    /// Judges the labels of a training set in which some are swapped.
    ///
    /// What is left out is the method's own judgement of the labels as they stand. Actions rest on tags, and
    /// so on two more judgings with planted flips, as in a run.
    pub(super) fn judge(
        &self,
        set: &TrainSet,
        swapped: &[bool],
        label: &str,
        seed: u64,
    ) -> Result<Cleaning, PipelineError> {
        let labels = set.labels.swapped(swapped);
        let rounds = Rounds::draw(
            &labels.ids,
            &self.settings.planting,
            derive(seed, "planting"),
        );
        let first = methods::first_pass(self.passes, &labels.pairs, rounds, &self.settings, seed)?;
        let noise = self
            .config
            .noise(first.noise(&self.settings.calibration).as_ref());
        let means = Means {
            passes: self.passes,
            folds: &set.folds,
            settings: &self.settings,
            seed,
        };
        let judge = |method: &dyn Method, labels: &Labels, name: &str| {
            let label = format!("{label}/{name}");
            method.judge(&labels.task(&means, label, Made::with_noise(noise)))
        };
        let own = judge(self.ranking, &labels, "labels as they stand")?;
        let mut cleaning = Cleaning {
            dropped: own.dropped,
            suspicion: own.suspicion,
            noise_rate: Some(own.noise_rate.unwrap_or(noise.rate)),
            ..Cleaning::default()
        };
        if self.actions.is_empty() {
            return Ok(cleaning);
        }

        let rounds = &first.rounds;
        let by_others = ByOtherPairs::of(
            &labels.task(
                &means,
                format!("{label}/comparisons"),
                Made::with_noise(noise),
            ),
            self.ranking,
        )?;
        let mirrored = by_others
            .suspicion
            .map(|suspicion| rounds.mirror(&suspicion));
        let mut scores = Vec::with_capacity(ROUNDS);
        let mut dynamics = Vec::with_capacity(ROUNDS);
        for round in 0..ROUNDS {
            let planted = labels.swapped(&rounds.planted[round]);
            let judgement = judge(self.training, &planted, &format!("round {round}"))?;
            scores.push(match &mirrored {
                Some(mirrored) => mirrored[round].clone(),
                None => judgement.suspicion,
            });
            dynamics.push(
                judgement
                    .dynamics
                    .unwrap_or_else(|| first.dynamics[round].clone()),
            );
        }
        let scores: [Vec<f64>; ROUNDS] = scores.try_into().expect("one for each round");
        let (planted, unplanted) = rounds.pool(&scores);
        let dynamics = rounds.merge([&dynamics[0], &dynamics[1]]);
        let held_out = self.held_out(set, &labels, seed)?;
        let margins = with_judges(held_out.clone(), &labels.judges);
        let filtered = dynamics.drop_rates.iter().any(|&rate| rate > 0.0);
        let evidence: Vec<PairEvidence> = (0..labels.ids.len())
            .map(|i| PairEvidence {
                key: labels.ids[i].seeded_hash(seed),
                score: unplanted[i],
                signals: pair_signals(&dynamics, i).to_vec(),
                epochs: u32::try_from(dynamics.n_epochs).expect("epochs are few"),
                filtered,
                held_out: held_out[i],
                comparisons: by_others.comparisons[i].map(f64::from),
            })
            .collect();
        let other = OtherEvidence {
            held_out: held_out_margins(&evidence),
            ..OtherEvidence::default()
        };
        let options = &self.settings.calibration;
        let calibration = Calibration::new(&planted, &unplanted, other, options);
        let can_tell = (calibration.as_ref()).is_some_and(|found| found.verdict.can_tell());
        cleaning.can_tell = Some(can_tell);
        let decisions = assign(&evidence, calibration.as_ref(), &self.config.tags);
        cleaning.actions = self.acted(|rules| {
            let mut outcomes: Vec<Outcome> = decisions
                .iter()
                .zip(&margins)
                .map(|(decision, margin)| {
                    let p = can_tell.then_some(decision.p_incorrect);
                    rules.outcome(decision.tag, p, *margin)
                })
                .collect();
            let leaves: Vec<bool> = outcomes.iter().map(|outcome| !outcome.stays()).collect();
            let n = decisions.len();
            let removal = cap_removal(&decisions, None, &leaves, n, &self.config.tags);
            for (outcome, removed) in outcomes.iter_mut().zip(removal.removed) {
                if !outcome.stays() && !removed {
                    *outcome = Outcome::Keep;
                }
            }
            outcomes
        });
        Ok(cleaning)
    }

    /// Mean held-out margins of both models: `[n_pairs]`.
    fn held_out(
        &self,
        set: &TrainSet,
        labels: &Labels,
        seed: u64,
    ) -> Result<Vec<Option<f64>>, PipelineError> {
        if set.folds.is_empty() {
            return Ok(vec![None; labels.ids.len()]);
        }
        let (passes, settings) = (self.passes, &self.settings);
        let fit = methods::cross_fit(passes, &labels.pairs, &set.folds, settings, seed)?;
        let both = fit.margins[0].iter().zip(&fit.margins[1]);
        Ok(both
            .map(|(&a, &b)| Some(f64::midpoint(f64::from(a), f64::from(b))))
            .collect())
    }

    fn acted(&self, of: impl Fn(&ActionRules) -> Vec<Outcome>) -> Vec<(Action, Vec<Outcome>)> {
        let at_least = self.config.actions.flip_at_least;
        let actions = self.actions.iter();
        actions
            .map(|&action| (action, of(&rules(action, at_least))))
            .collect()
    }
}

/// What the reward model is to reach: the mean margin of the judges that say something, or else the held-out
/// one.
fn with_judges(mut margins: Vec<Option<f64>>, judges: &[Judge]) -> Vec<Option<f64>> {
    for (i, margin) in margins.iter_mut().enumerate() {
        let judged = judges.iter().filter_map(|j| j.margins[i].map(f64::from));
        let judged: Vec<f64> = judged.collect();
        if !judged.is_empty() {
            *margin = Some(mean(&judged));
        }
    }
    margins
}

/// An action on pairs tagged incorrect; values of their own go to ambiguous ones too.
fn rules(action: Action, flip_at_least: f64) -> ActionRules {
    let has_value = matches!(action, Action::SoftLabel | Action::TargetMargin);
    ActionRules {
        incorrect: action,
        ambiguous: if has_value { action } else { Action::Keep },
        flip_at_least,
    }
}

/// Tags of a finished run, by pair.
pub(super) struct Tagged(HashMap<PairId, TaggedPair>);

struct TaggedPair {
    tag: Tag,
    removed: bool,
    suspicion: Option<f64>,
    p_incorrect: Option<f64>,
    margin: Option<f64>,
}

impl Tagged {
    /// Reads `tags.parquet` of a run directory.
    ///
    /// # Errors
    /// [`PipelineError::NoRun`] where there is none, [`PipelineError::Folder`] where it is damaged.
    pub(super) fn read(run_dir: &Path) -> Result<Self, PipelineError> {
        let path = run_dir.join("tags.parquet");
        if !path.exists() {
            return Err(PipelineError::NoRun(run_dir.to_owned()));
        }
        let mut pairs = HashMap::new();
        for batch in batches(&path)? {
            let read = |batch: arrow::array::RecordBatch| -> Result<(), ArrowError> {
                let (ids, tags) = (texts(&batch, "pair_id")?, texts(&batch, "tag")?);
                let removed = cast(column(&batch, "removed")?, &DataType::Boolean)?;
                let number = |name: &str| cast(column(&batch, name)?, &DataType::Float64);
                let [suspicion, p, margin] = [
                    number("suspicion")?,
                    number("p_incorrect")?,
                    number("margin_cross_fit")?,
                ];
                let at = |of: &arrow::array::ArrayRef, i: usize| {
                    let of = of.as_primitive::<Float64Type>();
                    of.is_valid(i).then(|| of.value(i))
                };
                let failed = |error: String| ArrowError::ParseError(error);
                for i in 0..batch.num_rows() {
                    let id = PairId::from_str(ids.value(i)).map_err(|e| failed(e.to_string()))?;
                    let tag = Tag::from_str(tags.value(i)).map_err(|e| failed(e.to_string()))?;
                    let pair = TaggedPair {
                        tag,
                        removed: removed.as_boolean().value(i),
                        suspicion: at(&suspicion, i),
                        p_incorrect: at(&p, i),
                        margin: at(&margin, i),
                    };
                    pairs.insert(id, pair);
                }
                Ok(())
            };
            batch.and_then(read).map_err(|error| broken(&path, error))?;
        }
        Ok(Self(pairs))
    }

    /// What the run makes of some pairs.
    ///
    /// # Errors
    /// [`ProveError::NotInRun`] names a pair that the run did not see.
    pub(super) fn cleaning(
        &self,
        ids: &[PairId],
        actions: &[Action],
        flip_at_least: f64,
    ) -> Result<Cleaning, ProveError> {
        let of = |id: &PairId| self.0.get(id).ok_or(ProveError::NotInRun(*id));
        let pairs: Vec<&TaggedPair> = ids.iter().map(of).collect::<Result<_, _>>()?;
        let acted = |action: Action| -> Vec<Outcome> {
            let rules = rules(action, flip_at_least);
            let outcome = |pair: &&TaggedPair| match pair.tag {
                // neither tag speaks against a pair that is here
                Tag::Unusable | Tag::Tie => Outcome::Keep,
                tag => rules.outcome(tag, pair.p_incorrect, pair.margin),
            };
            pairs.iter().map(outcome).collect()
        };
        let suspicion: Option<Vec<f64>> = pairs.iter().map(|pair| pair.suspicion).collect();
        Ok(Cleaning {
            dropped: pairs.iter().map(|pair| pair.removed).collect(),
            // what is dropped is what the run has removed
            actions: (actions.iter().filter(|&&action| action != Action::Drop))
                .map(|&action| (action, acted(action)))
                .collect(),
            suspicion: suspicion.unwrap_or_default(),
            noise_rate: None,
            can_tell: None,
        })
    }
}
