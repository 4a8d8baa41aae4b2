//! One pass: two models over epochs under a filter.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checkpoint::TrainState;
use super::{Dynamics, TrainError};
use crate::filter::curriculum::PreviousMargins;
use crate::filter::{Curriculum, Exchange, Selection, drop_rate, plan_epoch, select};
use crate::progress::Progress;
use crate::reward::{PairTexts, RewardError, RewardModel};

/// Pairs whose margins are taken in one call at the end of an epoch.
const EVALUATION_PAIRS: usize = 1024;

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
    /// Factor on the learning rate when `done` (0 to 1) of the pass is done.
    #[must_use]
    pub fn factor(self, done: f64) -> f64 {
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
    /// How the learning rate moves.
    pub schedule: Schedule,
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

/// Trains both models and records their dynamics.
///
/// Each batch is scored by both models before either is updated. With `saved`,
/// the state is written there after each epoch, and a pass that finds its own
/// state (same `key`) goes on from it.
///
/// # Errors
/// When a model or the checkpoint file fails.
pub fn train_pass(
    models: &mut [Box<dyn RewardModel>; 2],
    pairs: &[TrainPair],
    options: &PassOptions,
    saved: Option<(&Path, &str)>,
    progress: &dyn Progress,
) -> Result<Dynamics, TrainError> {
    let ties: Vec<u64> = pairs.iter().map(|pair| pair.tie).collect();
    let mut dynamics = Dynamics::new(pairs.len());
    if let Some((path, key)) = saved
        && let Some(state) = TrainState::load(path, key, pairs.len())?
    {
        for (model, state) in models.iter_mut().zip(&state.models) {
            model
                .restore(state)
                .map_err(|source| failed(0, state_epoch(&dynamics), source))?;
        }
        dynamics = state.dynamics;
        progress.advance((pairs.len() * dynamics.n_epochs.min(options.epochs)) as u64);
    }
    while dynamics.n_epochs < options.epochs {
        let rate = drop_rate(
            options.noise_rate,
            options.drop_exponent,
            dynamics.n_epochs,
            options.ramp_epochs,
        );
        train_epoch(models, pairs, &ties, options, rate, &mut dynamics, progress)?;
        if let Some((path, key)) = saved {
            let [a, b] = both(models, dynamics.n_epochs - 1, |model, _| model.state())?;
            TrainState::save(path, key, &dynamics, &[a, b])?;
        }
    }
    Ok(dynamics)
}

fn state_epoch(dynamics: &Dynamics) -> usize {
    dynamics.n_epochs.saturating_sub(1)
}

fn train_epoch(
    models: &mut [Box<dyn RewardModel>; 2],
    pairs: &[TrainPair],
    ties: &[u64],
    options: &PassOptions,
    rate: f64,
    dynamics: &mut Dynamics,
    progress: &dyn Progress,
) -> Result<(), TrainError> {
    let epoch = dynamics.n_epochs;
    let plan = {
        let previous = (epoch > 0).then(|| PreviousMargins {
            a: dynamics.end(0, epoch - 1),
            b: dynamics.end(1, epoch - 1),
        });
        plan_epoch(
            options.curriculum,
            options.exchange,
            previous,
            ties,
            epoch,
            rate,
            options.seed,
        )
    };
    let span = {
        let epoch = dynamics.push_epoch(rate);
        dynamics.span(epoch)
    };
    let n_batches = pairs.len().div_ceil(options.batch_size_pairs).max(1);
    for (number, batch) in plan.order.chunks(options.batch_size_pairs).enumerate() {
        let margins = both(models, epoch, |model, which| {
            model.margins(&texts_of(pairs, batch, which))
        })?;
        for (recorded, margins) in dynamics.models.iter_mut().zip(&margins) {
            for (&i, &margin) in batch.iter().zip(margins) {
                recorded.margin_online[span.start + i as usize] = margin;
            }
        }
        let kept = select_batch(
            &plan.in_stage,
            plan.selection.as_ref(),
            batch,
            ties,
            &margins,
            options,
            rate,
        );
        for (recorded, kept) in dynamics.models.iter_mut().zip(&kept) {
            for &i in kept {
                recorded.selected[span.start + i as usize] = true;
            }
        }
        let done = progress_of_pass(epoch, number, n_batches, options.epochs);
        let learning_rate = options.learning_rate * options.schedule.factor(done);
        both(models, epoch, |model, which| {
            let own = texts_of(pairs, &kept[which], which);
            if own.is_empty() {
                return Ok(());
            }
            #[expect(clippy::cast_possible_truncation, reason = "the model is f32")]
            model.train_step(&own, learning_rate as f32).map(drop)
        })?;
        progress.advance(batch.len() as u64);
    }
    let ends = both(models, epoch, |model, which| {
        let mut margins = Vec::with_capacity(pairs.len());
        for chunk in pairs.chunks(EVALUATION_PAIRS) {
            let texts: Vec<PairTexts> = chunk.iter().map(|pair| pair.texts[which]).collect();
            margins.extend(model.margins(&texts)?);
        }
        Ok(margins)
    })?;
    for (recorded, margins) in dynamics.models.iter_mut().zip(ends) {
        recorded.margin_end[span.clone()].copy_from_slice(&margins);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "batches and epochs are few")]
fn progress_of_pass(epoch: usize, batch: usize, n_batches: usize, epochs: usize) -> f64 {
    (epoch * n_batches + batch) as f64 / (epochs * n_batches) as f64
}

/// Pairs of a batch that each model is updated on.
fn select_batch(
    in_stage: &[bool],
    whole_stage: Option<&Selection>,
    batch: &[u32],
    ties: &[u64],
    margins: &[Vec<f32>; 2],
    options: &PassOptions,
    rate: f64,
) -> [Vec<u32>; 2] {
    if let Some(selection) = whole_stage {
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
            .filter(|&(&i, keep)| keep && in_stage[i as usize])
            .map(|(&i, _)| i)
            .collect()
    })
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
mod tests {
    use super::*;
    use crate::progress::NoProgress;
    use crate::reward::ModelState;

    /// A linear model over one number per text, trained by plain gradient steps.
    struct Line {
        weight: f32,
        texts: Vec<f32>,
        steps: u64,
    }

    #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
    impl RewardModel for Line {
        fn margins(&mut self, pairs: &[PairTexts]) -> Result<Vec<f32>, RewardError> {
            let reward = |text: u32| self.weight * self.texts[text as usize];
            Ok(pairs.iter().map(|&[c, r]| reward(c) - reward(r)).collect())
        }

        fn train_step(
            &mut self,
            pairs: &[PairTexts],
            learning_rate: f32,
        ) -> Result<f64, RewardError> {
            let margins = self.margins(pairs)?;
            let mut gradient = 0.0;
            for (&[c, r], margin) in pairs.iter().zip(&margins) {
                let x = self.texts[c as usize] - self.texts[r as usize];
                gradient -= x / (1.0 + margin.exp());
            }
            self.weight -= learning_rate * gradient / pairs.len() as f32;
            self.steps += 1;
            Ok(margins
                .iter()
                .map(|&m| crate::tags::signals::loss(f64::from(m)))
                .sum::<f64>()
                / pairs.len() as f64)
        }

        fn state(&self) -> Result<ModelState, RewardError> {
            Ok(ModelState {
                step: self.steps,
                tensors: vec![("weight".into(), vec![self.weight])],
            })
        }

        fn restore(&mut self, state: &ModelState) -> Result<(), RewardError> {
            self.steps = state.step;
            self.weight = state.tensors[0].1[0];
            Ok(())
        }
    }

    fn models() -> [Box<dyn RewardModel>; 2] {
        let line = |weight| Line {
            weight,
            texts: (0..40u8).map(|i| f32::from(i) / 10.0).collect(),
            steps: 0,
        };
        [Box::new(line(0.1)), Box::new(line(-0.1))]
    }

    /// The higher text is better; each seventh pair says otherwise.
    fn pairs() -> Vec<TrainPair> {
        (0..200u32)
            .map(|i| {
                let (low, high) = (i % 20, 20 + (i * 7) % 20);
                TrainPair {
                    texts: [if i % 7 == 0 { [low, high] } else { [high, low] }; 2],
                    tie: u64::from(i).wrapping_mul(0x9E37_79B9_7F4A_7C15),
                }
            })
            .collect()
    }

    fn options(curriculum: Curriculum) -> PassOptions {
        PassOptions {
            epochs: 5,
            batch_size_pairs: 32,
            learning_rate: 0.5,
            schedule: Schedule::Constant,
            exchange: Exchange::PeerReview,
            curriculum,
            noise_rate: 0.2,
            drop_exponent: 1.0,
            ramp_epochs: 2,
            seed: 3,
        }
    }

    #[test]
    fn wrong_labels_end_with_the_largest_loss_and_are_not_selected() {
        for curriculum in [Curriculum::None, Curriculum::Staged] {
            let dynamics = train_pass(
                &mut models(),
                &pairs(),
                &options(curriculum),
                None,
                &NoProgress,
            )
            .unwrap();
            assert_eq!(dynamics.n_epochs, 5);
            for model in 0..2 {
                let end = dynamics.end(model, 4);
                let selected = dynamics.selected(model, 4);
                for (i, margin) in end.iter().enumerate() {
                    assert_eq!(*margin < 0.0, i % 7 == 0, "{curriculum:?} {i}");
                }
                let wrong = (0..200).filter(|i| i % 7 == 0 && selected[*i]).count();
                assert!(wrong <= 5, "{curriculum:?}: {wrong} wrong pairs selected");
            }
        }
    }

    #[test]
    fn a_killed_pass_ends_as_one_that_was_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pass.safetensors");
        let whole = train_pass(
            &mut models(),
            &pairs(),
            &options(Curriculum::Staged),
            None,
            &NoProgress,
        )
        .unwrap();
        let short = PassOptions {
            epochs: 2,
            ..options(Curriculum::Staged)
        };
        train_pass(
            &mut models(),
            &pairs(),
            &short,
            Some((&path, "key")),
            &NoProgress,
        )
        .unwrap();
        let resumed = train_pass(
            &mut models(),
            &pairs(),
            &options(Curriculum::Staged),
            Some((&path, "key")),
            &NoProgress,
        )
        .unwrap();
        assert_eq!(whole, resumed);
        // another key is another pass: nothing is taken over
        let other = train_pass(
            &mut models(),
            &pairs(),
            &short,
            Some((&path, "other")),
            &NoProgress,
        )
        .unwrap();
        assert_eq!(other.n_epochs, 2);
    }
}
