//! Passes of a linear model over numbers.

use super::*;
use crate::progress::NoProgress;
use crate::reward::{ModelState, StepResult};

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
        factors: Option<&[f32]>,
        learning_rate: f32,
    ) -> Result<StepResult, RewardError> {
        let margins = self.margins(pairs)?;
        let mut gradient = 0.0;
        for (i, (&[c, r], margin)) in pairs.iter().zip(&margins).enumerate() {
            let x = self.texts[c as usize] - self.texts[r as usize];
            gradient -= factors.map_or(1.0, |factors| factors[i]) * x / (1.0 + margin.exp());
        }
        self.weight -= learning_rate * gradient / pairs.len() as f32;
        self.steps += 1;
        let losses = margins
            .iter()
            .map(|&m| crate::tags::signals::loss(f64::from(m)));
        Ok(StepResult {
            loss: losses.sum::<f64>() / pairs.len() as f64,
            margins,
        })
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
        warmup: 0.0,
        schedule: Schedule::Constant,
        loss: Loss::BradleyTerry,
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
fn the_learning_rate_rises_then_falls() {
    let factors = |schedule: Schedule, warmup| -> Vec<f64> {
        (0..10).map(|u| schedule.factor(u, 10, warmup)).collect()
    };
    assert_eq!(factors(Schedule::Constant, 0.0), [1.0; 10]);
    let linear = factors(Schedule::Linear, 0.2);
    let expected = [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125];
    assert_eq!(linear, expected);
    let cosine = factors(Schedule::Cosine, 0.0);
    assert!((cosine[5] - 0.5).abs() < 1e-12 && cosine.is_sorted_by(|a, b| a > b));
}

/// Stops the process, so to speak, at an update.
struct Killed {
    model: Box<dyn RewardModel>,
    updates_left: usize,
}

impl RewardModel for Killed {
    fn margins(&mut self, pairs: &[PairTexts]) -> Result<Vec<f32>, RewardError> {
        self.model.margins(pairs)
    }

    fn train_step(
        &mut self,
        pairs: &[PairTexts],
        factors: Option<&[f32]>,
        learning_rate: f32,
    ) -> Result<StepResult, RewardError> {
        self.updates_left = self
            .updates_left
            .checked_sub(1)
            .ok_or_else(|| RewardError::State("killed".into()))?;
        self.model.train_step(pairs, factors, learning_rate)
    }

    fn state(&self) -> Result<ModelState, RewardError> {
        self.model.state()
    }

    fn restore(&mut self, state: &ModelState) -> Result<(), RewardError> {
        self.model.restore(state)
    }
}

fn states(models: &[Box<dyn RewardModel>; 2]) -> Vec<ModelState> {
    models.iter().map(|model| model.state().unwrap()).collect()
}

#[test]
fn a_killed_pass_ends_as_one_that_was_not() {
    for curriculum in [Curriculum::None, Curriculum::Staged] {
        let options = options(curriculum);
        let mut whole_models = models();
        let whole = train_pass(&mut whole_models, &pairs(), &options, None, &NoProgress).unwrap();
        // 7 updates an epoch: at the start, within, and at the ends of epochs
        for updates_left in [0, 3, 7, 9, 20] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("pass.safetensors");
            let saving = Saving {
                path: &path,
                key: "key",
                every: Duration::ZERO,
            };
            let mut killed = models().map(|model| {
                let killed = Killed {
                    model,
                    updates_left,
                };
                Box::new(killed) as Box<dyn RewardModel>
            });
            let ended = train_pass(&mut killed, &pairs(), &options, Some(saving), &NoProgress);
            assert!(ended.is_err(), "{curriculum:?} {updates_left}: not killed");
            let mut fresh = models();
            let resumed =
                train_pass(&mut fresh, &pairs(), &options, Some(saving), &NoProgress).unwrap();
            assert_eq!(whole, resumed, "{curriculum:?} {updates_left}");
            assert_eq!(states(&whole_models), states(&fresh));
        }
    }
}

/// A state under another key is another pass: nothing is taken over.
#[test]
fn a_pass_goes_on_from_its_own_state_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pass.safetensors");
    let short = PassOptions {
        epochs: 2,
        ..options(Curriculum::None)
    };
    let mut ends = Vec::new();
    for key in ["key", "key", "other"] {
        let saving = Saving {
            path: &path,
            key,
            every: Duration::MAX,
        };
        let mut models = models();
        train_pass(&mut models, &pairs(), &short, Some(saving), &NoProgress).unwrap();
        ends.push(states(&models));
    }
    assert_eq!(ends[0], ends[1]);
    assert_eq!(ends[0][0].step, ends[2][0].step, "trained once, not twice");
}
