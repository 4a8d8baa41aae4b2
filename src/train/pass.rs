//! One pass: two models over epochs under a filter.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::checkpoint::TrainState;
use super::{Dynamics, Loss, TrainError};
use crate::filter::curriculum::{EpochPlan, PreviousMargins};
use crate::filter::{Curriculum, Exchange, drop_rate, plan_epoch, select};
use crate::progress::Progress;
use crate::reward::{PairTexts, RewardError, RewardModel};

/// Pairs whose margins are taken in one call at the end of an epoch.
const EVALUATION_PAIRS: usize = 256;

/// How the learning rate moves over a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// The same at every step.
    Constant,
    /// Linearly down to 0.
    Linear,
    /// Half a cosine down to 0.
    Cosine,
}

impl Schedule {
    /// Factor on the learning rate of an update, counted from 0 of `total`: first it rises over the
    /// share `warmup` of the updates, then it moves as the schedule says.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "updates are fewer than 2^52")]
    pub fn factor(self, update: usize, total: usize, warmup: f64) -> f64 {
        let (update, total) = (update as f64, total.max(1) as f64);
        let rising = (warmup * total).ceil();
        if update < rising {
            return (update + 1.0) / rising;
        }
        let done = (update - rising) / (total - rising).max(1.0);
        match self {
            Self::Constant => 1.0,
            Self::Linear => 1.0 - done,
            Self::Cosine => f64::midpoint(1.0, (std::f64::consts::PI * done).cos()),
        }
    }
}

/// Settings of a pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PassOptions {
    /// Full passes over the pairs.
    pub epochs: usize,
    /// Pairs scored and selected from at a time.
    pub batch_size_pairs: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Share of the updates in which the learning rate rises from 0.
    pub warmup: f64,
    /// How the learning rate moves after that.
    pub schedule: Schedule,
    /// What is trained on.
    pub loss: Loss,
    /// Who selects.
    pub exchange: Exchange,
    /// Order of an epoch.
    pub curriculum: Curriculum,
    /// Estimated share of wrong labels; 0 drops nothing.
    pub noise_rate: f64,
    /// Exponent on the noise rate in the drop rate.
    pub drop_exponent: f64,
    /// Epochs until the drop rate is reached.
    pub ramp_epochs: usize,
    /// Seed of the shuffles.
    pub seed: u64,
}

/// A pair as training sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainPair {
    /// Chosen and rejected text of each model (their tokenizers may differ); the
    /// other way round where the pair is planted.
    pub texts: [PairTexts; 2],
    /// Hash of the pair's id: orders what margins leave equal.
    pub tie: u64,
}

/// Where and how often a pass saves its state.
#[derive(Debug, Clone, Copy)]
pub struct Saving<'a> {
    /// The file.
    pub path: &'a Path,
    /// Names the pass: a state under another key is another pass's.
    pub key: &'a str,
    /// Time after which the state is saved within an epoch too.
    pub every: Duration,
}

/// A pass under way.
struct Pass<'a> {
    models: &'a mut [Box<dyn RewardModel>; 2],
    pairs: &'a [TrainPair],
    ties: Vec<u64>,
    options: &'a PassOptions,
    dynamics: Dynamics,
    /// Batches done of an epoch that was interrupted.
    batches_done: usize,
    saving: Option<Saving<'a>>,
    last_saved: Instant,
    told: Told<'a>,
}

/// Progress in pairs, told so that time left can be read from it: of the work on a pair in an epoch,
/// scoring it when the epoch ends is a part too.
struct Told<'a> {
    progress: &'a dyn Progress,
    done: f64,
    whole: u64,
}

/// Part of an epoch's work on a pair that its scoring at the end is: a forward pass, where training
/// is a forward pass and, twice as long, a backward one.
const SCORING: f64 = 0.25;

impl Told<'_> {
    /// Epochs and batches that an earlier run did.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a number of pairs"
    )]
    fn skip(&mut self, whole: usize, trained: usize) {
        self.done = whole as f64 + trained as f64 * (1.0 - SCORING);
        self.whole = self.done as u64;
        self.progress.skip(self.whole);
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a number of pairs"
    )]
    fn advance(&mut self, pairs: usize, part: f64) {
        self.done += pairs as f64 * part;
        // the small term keeps whole epochs whole
        let whole = (self.done + 1e-6) as u64;
        self.progress.advance(whole - self.whole);
        self.whole = whole;
    }
}

/// Trains both models and records their dynamics.
///
/// Each batch is scored by both models before either is updated. With `saving`,
/// the state is written after each epoch and, in long ones, every now and then;
/// a pass that finds its own state goes on from it and ends with the same
/// parameters as one that was not interrupted.
///
/// # Errors
/// When a model or the checkpoint file fails.
pub fn train_pass(
    models: &mut [Box<dyn RewardModel>; 2],
    pairs: &[TrainPair],
    options: &PassOptions,
    saving: Option<Saving<'_>>,
    progress: &dyn Progress,
) -> Result<Dynamics, TrainError> {
    let mut pass = Pass {
        ties: pairs.iter().map(|pair| pair.tie).collect(),
        dynamics: Dynamics::new(pairs.len()),
        batches_done: 0,
        last_saved: Instant::now(),
        models,
        pairs,
        options,
        saving,
        told: Told {
            progress,
            done: 0.0,
            whole: 0,
        },
    };
    pass.resume()?;
    while pass.dynamics.n_epochs < options.epochs || pass.batches_done > 0 {
        pass.epoch()?;
        pass.save()?;
    }
    Ok(pass.dynamics)
}

impl Pass<'_> {
    /// Goes on from a saved state, if there is one.
    fn resume(&mut self) -> Result<(), TrainError> {
        let Some(saving) = &self.saving else {
            return Ok(());
        };
        let Some(state) = TrainState::load(saving.path, saving.key, self.pairs.len())? else {
            return Ok(());
        };
        let epoch = state.dynamics.n_epochs.saturating_sub(1);
        for (which, (model, state)) in self.models.iter_mut().zip(&state.models).enumerate() {
            model
                .restore(state)
                .map_err(|source| failed(which, epoch, source))?;
        }
        self.dynamics = state.dynamics;
        self.batches_done = state.batches_done;
        let interrupted = usize::from(self.batches_done > 0);
        let whole_epochs = self.dynamics.n_epochs.min(self.options.epochs) - interrupted;
        let pairs_done = (self.batches_done * self.options.batch_size_pairs).min(self.pairs.len());
        self.told.skip(self.pairs.len() * whole_epochs, pairs_done);
        Ok(())
    }

    fn save(&mut self) -> Result<(), TrainError> {
        let Some(saving) = self.saving else {
            return Ok(());
        };
        let epoch = self.dynamics.n_epochs - 1;
        let models = both(self.models, epoch, |model, _| model.state())?;
        let state = TrainState {
            dynamics: self.dynamics.clone(),
            models,
            batches_done: self.batches_done,
        };
        state.save(saving.path, saving.key)?;
        self.last_saved = Instant::now();
        Ok(())
    }

    /// One epoch, or what an interrupted one left of it.
    fn epoch(&mut self) -> Result<(), TrainError> {
        let options = self.options;
        let epoch = self.dynamics.n_epochs - usize::from(self.batches_done > 0);
        let rate = drop_rate(
            options.noise_rate,
            options.drop_exponent,
            epoch,
            options.ramp_epochs,
        );
        let plan = {
            let previous = (epoch > 0).then(|| PreviousMargins {
                a: self.dynamics.end(0, epoch - 1),
                b: self.dynamics.end(1, epoch - 1),
            });
            plan_epoch(
                options.curriculum,
                options.exchange,
                previous,
                &self.ties,
                epoch,
                rate,
                options.seed,
            )
        };
        if self.batches_done == 0 {
            self.dynamics.push_epoch(rate);
        }
        let batches = plan.order.chunks(options.batch_size_pairs);
        let n_batches = batches.len().max(1);
        for (number, batch) in batches.enumerate().skip(self.batches_done) {
            let update = epoch * n_batches + number;
            let total = options.epochs * n_batches;
            let factor = options.schedule.factor(update, total, options.warmup);
            #[expect(clippy::cast_possible_truncation, reason = "the model is f32")]
            let learning_rate = (options.learning_rate * factor) as f32;
            self.batch(epoch, rate, &plan, batch, learning_rate)?;
            self.told.advance(batch.len(), 1.0 - SCORING);
            self.batches_done = number + 1;
            let due = |saving: &Saving<'_>| self.last_saved.elapsed() > saving.every;
            if self.batches_done < n_batches && self.saving.as_ref().is_some_and(due) {
                self.save()?;
            }
        }
        self.batches_done = 0;
        let pairs = self.pairs;
        let mut ends = [Vec::new(), Vec::new()];
        for chunk in pairs.chunks(EVALUATION_PAIRS) {
            let margins = both(self.models, epoch, |model, which| {
                let texts: Vec<PairTexts> = chunk.iter().map(|pair| pair.texts[which]).collect();
                model.margins(&texts)
            })?;
            for (ends, margins) in ends.iter_mut().zip(margins) {
                ends.extend(margins);
            }
            self.told.advance(chunk.len(), SCORING);
        }
        let span = self.dynamics.span(epoch);
        for (recorded, margins) in self.dynamics.models.iter_mut().zip(ends) {
            recorded.margin_end[span.clone()].copy_from_slice(&margins);
        }
        if options.exchange.by_margins() {
            self.dynamics.drop_rates[epoch] = self.left_out(epoch);
        }
        Ok(())
    }

    /// Share of the pairs that an epoch left out, mean over both models.
    #[expect(clippy::cast_precision_loss, reason = "counts of pairs")]
    fn left_out(&self, epoch: usize) -> f64 {
        let selected = [0, 1].map(|model| self.dynamics.selected(model, epoch));
        let kept = selected.into_iter().flatten().filter(|&&kept| kept).count();
        1.0 - kept as f64 / (2 * self.pairs.len()).max(1) as f64
    }

    /// Scores a batch, selects, updates.
    fn batch(
        &mut self,
        epoch: usize,
        rate: f64,
        plan: &EpochPlan,
        batch: &[u32],
        learning_rate: f32,
    ) -> Result<(), TrainError> {
        let (pairs, options) = (self.pairs, self.options);
        let keeps_all = options.loss == Loss::BradleyTerry
            && plan.selection.is_none()
            && options.exchange.keeps_all(batch.len(), rate)
            && batch.iter().all(|&i| plan.in_stage[i as usize]);
        let margins;
        let kept;
        if keeps_all {
            // an update sees the margins before it anyway: no need to score first
            margins = both(self.models, epoch, |model, which| {
                let texts = texts_of(pairs, batch, which);
                let step = model.train_step(&texts, None, learning_rate)?;
                Ok(step.margins)
            })?;
            kept = [batch.to_vec(), batch.to_vec()];
        } else {
            margins = both(self.models, epoch, |model, which| {
                model.margins(&texts_of(pairs, batch, which))
            })?;
            kept = select_batch(plan, batch, &self.ties, &margins, options, rate);
            both(self.models, epoch, |model, which| {
                let own = texts_of(pairs, &kept[which], which);
                if own.is_empty() {
                    return Ok(());
                }
                let [own_margins, peer_margins] =
                    [which, 1 - which].map(|model| gather(batch, &margins[model], &kept[which]));
                let factors = options.loss.factors(&own_margins, &peer_margins);
                let step = model.train_step(&own, factors.as_deref(), learning_rate);
                step.map(drop)
            })?;
        }
        let start = self.dynamics.span(epoch).start;
        for ((recorded, margins), kept) in self.dynamics.models.iter_mut().zip(&margins).zip(&kept)
        {
            for (&i, &margin) in batch.iter().zip(margins) {
                recorded.margin_online[start + i as usize] = margin;
            }
            for &i in kept {
                recorded.selected[start + i as usize] = true;
            }
        }
        Ok(())
    }
}

/// Pairs of a batch that each model is updated on.
fn select_batch(
    plan: &EpochPlan,
    batch: &[u32],
    ties: &[u64],
    margins: &[Vec<f32>; 2],
    options: &PassOptions,
    rate: f64,
) -> [Vec<u32>; 2] {
    if let Some(selection) = &plan.selection {
        return [&selection.for_a, &selection.for_b].map(|kept| {
            batch
                .iter()
                .copied()
                .filter(|&i| kept[i as usize])
                .collect()
        });
    }
    let batch_ties: Vec<u64> = batch.iter().map(|&i| ties[i as usize]).collect();
    let selection = select(
        options.exchange,
        &margins[0],
        &margins[1],
        &batch_ties,
        rate,
    );
    [selection.for_a, selection.for_b].map(|kept| {
        batch
            .iter()
            .zip(kept)
            .filter(|&(&i, keep)| keep && plan.in_stage[i as usize])
            .map(|(&i, _)| i)
            .collect()
    })
}

/// Margins of the kept pairs of a batch; both list pairs in the batch's order.
fn gather(batch: &[u32], margins: &[f32], kept: &[u32]) -> Vec<f32> {
    let mut wanted = kept.iter().peekable();
    let in_batch = batch.iter().zip(margins);
    in_batch
        .filter(|(pair, _)| wanted.next_if_eq(pair).is_some())
        .map(|(_, &margin)| margin)
        .collect()
}

fn texts_of(pairs: &[TrainPair], which_pairs: &[u32], model: usize) -> Vec<PairTexts> {
    which_pairs
        .iter()
        .map(|&i| pairs[i as usize].texts[model])
        .collect()
}

/// Runs both models side by side.
fn both<T: Send>(
    models: &mut [Box<dyn RewardModel>; 2],
    epoch: usize,
    work: impl Fn(&mut dyn RewardModel, usize) -> Result<T, RewardError> + Sync,
) -> Result<[T; 2], TrainError> {
    let [a, b] = models;
    let (a, b) = rayon::join(|| work(a.as_mut(), 0), || work(b.as_mut(), 1));
    Ok([
        a.map_err(|source| failed(0, epoch, source))?,
        b.map_err(|source| failed(1, epoch, source))?,
    ])
}

fn failed(model: usize, epoch: usize, source: RewardError) -> TrainError {
    TrainError::Model {
        model: if model == 0 { 'a' } else { 'b' },
        epoch,
        source,
    }
}

#[cfg(test)]
mod tests;
