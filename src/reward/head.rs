//! A head over frozen features, trained through training artifacts.

use std::sync::Arc;

use super::runtime::{ExecutionDevice, Runtime};
use super::trainer::{GraphTrainer, Input, MicroBatch, StepResult, Trainer, Values};
use super::{Features, ModelState, PairTexts, RewardError, RewardModel, View};
use crate::graph::artifacts::{Artifacts, CHOSEN, REJECTED};
use crate::graph::lower::Compute;

/// A reward model: a [`View`] of features, and a head.
///
/// The head runs on the CPU with one thread: a step takes about a millisecond,
/// less than a trip to a device, and the two models run side by side.
pub struct HeadModel {
    features: Arc<Features>,
    view: View,
    trainer: GraphTrainer,
}

impl HeadModel {
    /// Puts a head on a view of features.
    ///
    /// # Errors
    /// [`RewardError::Runtime`] when the runtime refuses a graph, [`RewardError::Graph`] when an
    /// operator cannot be lowered.
    pub fn new(
        runtime: &'static Runtime,
        head: &Artifacts,
        features: Arc<Features>,
        view: View,
    ) -> Result<Self, RewardError> {
        Ok(Self {
            features,
            view,
            trainer: GraphTrainer::new(runtime, head, ExecutionDevice::Cpu, 1, Compute::F32)?,
        })
    }

    /// Features of both sides: `[n_pairs, width]` each.
    fn batch(&self, pairs: &[PairTexts]) -> MicroBatch {
        let side = |name, which: usize| {
            let mut values = Vec::with_capacity(pairs.len() * self.view.width());
            for pair in pairs {
                self.view.append(&self.features, pair[which], &mut values);
            }
            Input {
                name,
                shape: vec![pairs.len(), self.view.width()],
                values: Values::F32(values),
            }
        };
        MicroBatch {
            n_pairs: pairs.len(),
            inputs: vec![side(CHOSEN, 0), side(REJECTED, 1)],
        }
    }
}

impl RewardModel for HeadModel {
    fn margins(&mut self, pairs: &[PairTexts]) -> Result<Vec<f32>, RewardError> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        self.trainer.margins(self.batch(pairs))
    }

    fn train_step(
        &mut self,
        pairs: &[PairTexts],
        learning_rate: f32,
    ) -> Result<StepResult, RewardError> {
        self.trainer.step(vec![self.batch(pairs)], learning_rate)
    }

    fn state(&self) -> Result<ModelState, RewardError> {
        self.trainer.state()
    }

    fn restore(&mut self, state: &ModelState) -> Result<(), RewardError> {
        self.trainer.restore(state)
    }
}
