//! One seed on one split: noise, cleaning, arms, and what each arm scores.

use std::time::Instant;

use rayon::prelude::*;

use super::arms::{Arm, arms};
use super::cleaning::{Cleaning, Judging, Tagged};
use super::data::{Pool, TrainSet, Truth};
use super::records::{ArmRecord, CleaningRecord, Found, Record};
use super::{ProveError, ProveRequest, fit};
use crate::methods;
use crate::noise::{self, NoiseModel};
use crate::pipeline::PipelineError;
use crate::progress::Progress;
use crate::seed::derive;
use crate::tags::metrics::auroc_of;

/// What all parts of an experiment share.
pub(super) struct Experiment<'a> {
    pub(super) request: &'a ProveRequest,
    pub(super) judging: Judging<'a>,
    /// A finished run that cleans; `None`: `judging` does.
    pub(super) tagged: Option<Tagged>,
    pub(super) pools: Vec<Pool>,
    pub(super) progress: &'a dyn Progress,
}

impl Experiment<'_> {
    /// All arms from one seed, on one split.
    pub(super) fn part(
        &self,
        number: usize,
        fold: usize,
        set: &TrainSet,
        tests: &[Vec<usize>],
    ) -> Result<Record, PipelineError> {
        let start = Instant::now();
        let request = self.request;
        let seed = derive(request.config.seed, &format!("prove/{number}"));
        let noise_seed = derive(seed, "noise");
        let injected = noise::draw(&request.noise, &set.facts, noise_seed)
            .map_err(ProveError::from)?
            .swapped;
        let truth = set.truth(&injected, request.noise != NoiseModel::None);
        let named = format!("seed {} of {}", number + 1, request.seeds);
        let cleaning = self.clean(set, &injected, (&named, fold), seed)?;
        let pairs = methods::planting::swap_labels(&set.labels.pairs, &injected);
        let made = arms(
            &set.labels.ids,
            &cleaning,
            truth.as_ref(),
            derive(seed, "random drop"),
        );
        let updates = request.model.updates(set.labels.ids.len());
        self.progress
            .begin(&format!("{named}: arms"), Some(made.len() as u64), "models");
        let trained: Result<Vec<ArmRecord>, PipelineError> = made
            .par_iter()
            .map(|arm: &Arm| {
                let models = self.judging.passes.models;
                let lessons = &arm.lessons;
                // the same head and, as far as pairs are the same, the same order for every arm
                let seed = derive(seed, &format!("arms/{fold}"));
                let labels = (&set.labels.ids[..], &pairs[..]);
                let mut model = fit::train(models, labels, lessons, updates, &request.model, seed)?;
                let scores = self.pools.iter().zip(tests);
                let scores = scores.map(|(pool, tests)| fit::score(&mut model, pool, tests));
                let scores = scores.collect::<Result<_, _>>()?;
                self.progress.advance(1);
                Ok(ArmRecord {
                    name: arm.name.to_owned(),
                    pairs: lessons.len(),
                    wrong: truth.as_ref().map(|truth| arm.wrong(truth)),
                    scores,
                })
            })
            .collect();
        self.progress.end();
        let injected = injected.iter().filter(|&&swapped| swapped).count();
        Ok(Record {
            seed: number,
            fold,
            train_pairs: set.labels.ids.len(),
            updates,
            cleaning: CleaningRecord {
                injected,
                dropped: cleaning.n_dropped(),
                noise_rate: cleaning.noise_rate,
                can_tell: cleaning.can_tell,
                found: truth.as_ref().map(|truth| found(truth, &cleaning)),
            },
            arms: trained?,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    fn clean(
        &self,
        set: &TrainSet,
        injected: &[bool],
        (named, fold): (&str, usize),
        seed: u64,
    ) -> Result<Cleaning, PipelineError> {
        let request = self.request;
        if let Some(tagged) = &self.tagged {
            let at_least = request.config.actions.flip_at_least;
            return Ok(tagged.cleaning(&set.labels.ids, &request.actions, at_least)?);
        }
        let work = (set.labels.ids.len() * self.judging.epochs()) as u64;
        self.progress
            .begin(&format!("{named}: judging"), Some(work), "pairs");
        let cleaning = self
            .judging
            .judge(set, injected, &format!("prove/{fold}"), seed);
        self.progress.end();
        cleaning
    }
}

/// What of the dropped pairs was wrong, among those whose truth is known.
fn found(truth: &Truth, cleaning: &Cleaning) -> Found {
    fn known<T: Copy>(of: &[T], truth: &Truth) -> Vec<T> {
        let pairs = of.iter().zip(&truth.known);
        let known = pairs.filter(|(_, known)| **known);
        known.map(|(&value, _)| value).collect()
    }
    let wrong = known(&truth.wrong, truth);
    let dropped = known(&cleaning.dropped, truth);
    let suspicion = known(&cleaning.suspicion, truth);
    let count = |of: &[bool]| of.iter().filter(|&&v| v).count();
    let both = wrong.iter().zip(&dropped).filter(|&(&w, &d)| w && d);
    Found {
        known: wrong.len(),
        wrong: count(&wrong),
        dropped: count(&dropped),
        dropped_wrong: both.count(),
        auroc: auroc_of(&suspicion, &wrong),
    }
}
