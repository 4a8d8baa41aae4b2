//! The passes of a run: which models, which pairs planted, in which order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::PipelineError;
use super::config::{ModelConfig, Pool, RunConfig};
use super::planting::ROUNDS;
use crate::filter::{Curriculum, Exchange};
use crate::graph::artifacts::Head;
use crate::pairs::PairId;
use crate::progress::Progress;
use crate::reward::{Features, HeadModel, PairTexts, RewardModel, Runtime, View};
use crate::tags::SuspicionSum;
use crate::train::{Dynamics, PassOptions, TrainPair, train_pass};

/// Pairs scored in one call outside of training.
const SCORED_PAIRS: usize = 1024;

/// Everything that the passes of a run share.
pub struct Trainer<'a> {
    /// The runtime that the heads run on.
    pub runtime: &'a Runtime,
    /// Settings.
    pub config: &'a RunConfig,
    /// Artifacts of each model's head.
    pub heads: [Head; 2],
    /// Features of each model's texts.
    pub features: [Arc<Features>; 2],
    /// The pairs with the user's labels, in reading order.
    pub pairs: Vec<TrainPair>,
    /// Which pairs each round plants.
    pub plantings: [Vec<bool>; ROUNDS],
    /// Folder for the state of passes, and the key that it must carry.
    pub work: (PathBuf, String),
    /// Progress.
    pub progress: &'a dyn Progress,
}

/// One round: pairs' scores, and the dynamics (of the first member).
pub struct Round {
    /// Mean within-epoch rank of the online loss over members, models and epochs: `[n_pairs]`, 0 to 1.
    pub scores: Vec<f64>,
    /// Dynamics of the first member.
    pub dynamics: Dynamics,
    /// Optimizer steps, over models and members.
    pub steps: u64,
}

/// Margins of models that did not train on the pair.
pub struct CrossFit {
    /// Of models `a` and `b`: `[n_pairs]`.
    pub margins: [Vec<f32>; 2],
}

impl Trainer<'_> {
    /// The unfiltered pass, for each planting.
    ///
    /// # Errors
    /// When training fails.
    pub fn first_pass(&self) -> Result<[Round; ROUNDS], PipelineError> {
        let pass = &self.config.first_pass;
        let options = self.unfiltered(pass.epochs);
        self.rounds("first pass", &options, pass.weight_decay, 1)
    }

    /// The filtered pass at a noise rate, for each planting.
    ///
    /// # Errors
    /// When training fails.
    pub fn second_pass(&self, noise_rate: f64) -> Result<[Round; ROUNDS], PipelineError> {
        let pass = &self.config.second_pass;
        let options = PassOptions {
            epochs: pass.epochs,
            batch_size_pairs: pass.batch_size_pairs,
            learning_rate: pass.learning_rate,
            schedule: pass.schedule,
            exchange: pass.exchange,
            curriculum: pass.curriculum,
            noise_rate,
            drop_exponent: pass.drop_exponent,
            ramp_epochs: pass.ramp_epochs,
            seed: 0,
        };
        self.rounds("second pass", &options, pass.weight_decay, pass.members)
    }

    /// A pass without filter, with the first pass's optimizer.
    fn unfiltered(&self, epochs: usize) -> PassOptions {
        let pass = &self.config.first_pass;
        PassOptions {
            epochs,
            batch_size_pairs: pass.batch_size_pairs,
            learning_rate: pass.learning_rate,
            schedule: pass.schedule,
            exchange: Exchange::Independent,
            curriculum: Curriculum::None,
            noise_rate: 0.0,
            drop_exponent: 1.0,
            ramp_epochs: 0,
            seed: 0,
        }
    }

    fn rounds(
        &self,
        name: &str,
        options: &PassOptions,
        weight_decay: f64,
        members: usize,
    ) -> Result<[Round; ROUNDS], PipelineError> {
        let total = self.pairs.len() * options.epochs * members * ROUNDS;
        self.progress.begin(name, Some(total as u64), "pairs");
        let mut rounds = Vec::with_capacity(ROUNDS);
        for (number, planted) in self.plantings.iter().enumerate() {
            let pairs = swap_planted(&self.pairs, planted);
            let mut suspicion = SuspicionSum::new(pairs.len());
            let mut first = None;
            let mut steps = 0;
            for member in 0..members {
                let seed = derive(self.config.seed, &format!("{name}/{number}/{member}"));
                let mut models = self.models(seed, weight_decay)?;
                let options = PassOptions { seed, ..*options };
                let file = format!("{}-{number}-{member}.safetensors", name.replace(' ', "-"));
                let path = self.work.0.join(file);
                // the noise rate is not part of the run's key, and it decides what is dropped
                let key = format!("{}/{:?}", self.work.1, options);
                let saved: (&Path, &str) = (&path, &key);
                let dynamics =
                    train_pass(&mut models, &pairs, &options, Some(saved), self.progress)?;
                for model in &dynamics.models {
                    suspicion.add_model(&model.margin_online);
                }
                for model in &models {
                    steps += model.state().map_err(PipelineError::Reward)?.step;
                }
                first.get_or_insert(dynamics);
            }
            rounds.push(Round {
                scores: suspicion.scores(),
                dynamics: first.expect("there is at least one member"),
                steps,
            });
        }
        self.progress.end();
        rounds
            .try_into()
            .map_err(|_| unreachable!("one round for each planting"))
    }

    /// Held-out margins: each fold is scored by models that trained on the others. No pair is planted.
    ///
    /// Folds are drawn by content id, so that repeats and swapped copies of a
    /// pair are never on both sides.
    ///
    /// # Errors
    /// When training fails.
    pub fn cross_fit(&self, ids: &[PairId]) -> Result<Option<CrossFit>, PipelineError> {
        let folds = self.config.cross_fit.folds;
        if folds == 0 || self.pairs.len() < folds {
            return Ok(None);
        }
        let fold_seed = derive(self.config.seed, "folds");
        let fold_of: Vec<u64> = ids
            .iter()
            .map(|id| id.content.seeded_hash(fold_seed) % folds as u64)
            .collect();
        let options = self.unfiltered(self.config.cross_fit.epochs);
        let total = self.pairs.len() * options.epochs * (folds - 1);
        self.progress
            .begin("cross-fitting", Some(total as u64), "pairs");
        let mut margins = [vec![0.0; self.pairs.len()], vec![0.0; self.pairs.len()]];
        for fold in 0..folds as u64 {
            let seed = derive(self.config.seed, &format!("cross-fit/{fold}"));
            let train: Vec<TrainPair> = self
                .split(&fold_of, |f| f != fold)
                .map(|(_, pair)| pair)
                .collect();
            let (held_out, pairs): (Vec<usize>, Vec<TrainPair>) =
                self.split(&fold_of, |f| f == fold).unzip();
            if train.is_empty() {
                continue;
            }
            let mut models = self.models(seed, self.config.first_pass.weight_decay)?;
            train_pass(
                &mut models,
                &train,
                &PassOptions { seed, ..options },
                None,
                self.progress,
            )?;
            for (which, model) in models.iter_mut().enumerate() {
                let texts: Vec<PairTexts> = pairs.iter().map(|pair| pair.texts[which]).collect();
                let mut scored = Vec::with_capacity(texts.len());
                for chunk in texts.chunks(SCORED_PAIRS) {
                    scored.extend(model.margins(chunk).map_err(PipelineError::Reward)?);
                }
                for (&i, margin) in held_out.iter().zip(scored) {
                    margins[which][i] = margin;
                }
            }
        }
        self.progress.end();
        Ok(Some(CrossFit { margins }))
    }

    fn split<'s>(
        &'s self,
        fold_of: &'s [u64],
        wanted: impl Fn(u64) -> bool + 's,
    ) -> impl Iterator<Item = (usize, TrainPair)> + 's {
        let pairs = self.pairs.iter().copied().enumerate();
        pairs
            .zip(fold_of)
            .filter(move |(_, fold)| wanted(**fold))
            .map(|(pair, _)| pair)
    }

    fn models(
        &self,
        seed: u64,
        weight_decay: f64,
    ) -> Result<[Box<dyn RewardModel>; 2], PipelineError> {
        let build = |which: usize| -> Result<Box<dyn RewardModel>, PipelineError> {
            let config = self.config.models()[which];
            let features = &self.features[which];
            let name = ["a", "b"][which];
            let view_seed = derive(seed, &format!("view/{name}"));
            let view = View::new(features, view_columns(config, features.width(), view_seed));
            let head_seed = derive(seed, name);
            #[expect(clippy::cast_possible_truncation, reason = "the model is f32")]
            let head = self.heads[which]
                .resized(view.width(), config.hidden, head_seed)?
                .lower(Some(weight_decay as f32))?;
            let model = HeadModel::new(self.runtime, &head, Arc::clone(features), view);
            Ok(Box::new(model.map_err(PipelineError::Reward)?))
        };
        Ok([build(0)?, build(1)?])
    }
}

/// Columns of the feature file that a model sees: its pools, then a share drawn by seed.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of some thousand columns"
)]
pub fn view_columns(config: &ModelConfig, width: usize, seed: u64) -> Vec<u32> {
    let hidden = width / 3;
    let mut columns: Vec<u32> = Vec::new();
    for (place, pool) in [Pool::Cls, Pool::Mean, Pool::Max].into_iter().enumerate() {
        if config.pools.contains(&pool) {
            columns.extend((place * hidden) as u32..((place + 1) * hidden) as u32);
        }
    }
    let seen = ((columns.len() as f64 * config.feature_share).round() as usize).max(1);
    columns.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    columns.truncate(seen);
    columns.sort_unstable();
    columns
}

fn swap_planted(pairs: &[TrainPair], planted: &[bool]) -> Vec<TrainPair> {
    let swapped = |pair: &TrainPair| TrainPair {
        texts: pair.texts.map(|[chosen, rejected]| [rejected, chosen]),
        ..*pair
    };
    pairs
        .iter()
        .zip(planted)
        .map(|(pair, &planted)| if planted { swapped(pair) } else { *pair })
        .collect()
}

/// A seed for one purpose.
#[must_use]
pub fn derive(seed: u64, purpose: &str) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(purpose.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// Dynamics of every pair from its deciding round: the first one, or the second where the first planted it.
#[must_use]
pub fn deciding(first: &Dynamics, second: &Dynamics, planted_in_first: &[bool]) -> Dynamics {
    let mut merged = first.clone();
    for (model, other) in merged.models.iter_mut().zip(&second.models) {
        for epoch in 0..first.n_epochs {
            for (i, _) in planted_in_first
                .iter()
                .enumerate()
                .filter(|(_, planted)| **planted)
            {
                let at = epoch * first.n_pairs + i;
                model.margin_online[at] = other.margin_online[at];
                model.margin_end[at] = other.margin_end[at];
                model.selected[at] = other.selected[at];
            }
        }
    }
    merged
}
