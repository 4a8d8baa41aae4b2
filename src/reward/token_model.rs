//! A reward model that reads tokens, any of whose layers may train.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::token_rows::TokenRows;
use super::trainer::{Input, MicroBatch, StepResult, Trainer, Values};
use super::{Features, ModelState, PairTexts, RewardError, RewardModel};
use crate::graph::artifacts::make::STATES;
use crate::graph::backbone::{ATTENTION_MASK, INPUT_IDS, RESPONSE_MASK};
use crate::tokens::{PairBatch, Texts, plan_pair_batches};

/// A whole encoder, or its last layers over the cached states of the frozen ones.
///
/// Chosen and rejected text of a pair are rows of one call; pairs of about equal length go together,
/// as many as the token budget allows. An update takes the gradients of all its calls together.
pub struct TokenModel {
    texts: Arc<Texts>,
    /// Token states where the trained part begins, if the graph takes them.
    states: Option<Arc<Features>>,
    trainer: Box<dyn Trainer>,
    token_budget: usize,
    /// Held during a call where both models share a device that only one may use at a time.
    turn: Option<Arc<Mutex<()>>>,
}

impl TokenModel {
    /// `states`: what the frozen part makes of each text; then the graph takes [`STATES`] instead of
    /// token ids. `token_budget`: padded tokens of a call, at least one pair's. `turn`: shared by models
    /// that run in turn.
    #[must_use]
    pub fn new(
        texts: Arc<Texts>,
        states: Option<Arc<Features>>,
        trainer: Box<dyn Trainer>,
        token_budget: usize,
        turn: Option<Arc<Mutex<()>>>,
    ) -> Self {
        Self {
            texts,
            states,
            trainer,
            token_budget,
            turn,
        }
    }

    fn plan(&self, pairs: &[PairTexts]) -> Vec<PairBatch> {
        let longest = |&[chosen, rejected]: &PairTexts| {
            let tokens = |text| self.texts.n_tokens(text);
            tokens(chosen).max(tokens(rejected))
        };
        let lengths: Vec<usize> = pairs.iter().map(longest).collect();
        plan_pair_batches(&lengths, self.token_budget)
    }

    fn micro_batch(&self, batch: &PairBatch, pairs: &[PairTexts]) -> MicroBatch {
        let rows: Vec<u32> = batch.pairs.iter().flat_map(|&i| pairs[i]).collect();
        let tokens = TokenRows::new(&rows, batch.padded_tokens, &self.texts);
        let shape = vec![rows.len(), batch.padded_tokens];
        let mut inputs = Vec::with_capacity(4);
        if let Some(states) = &self.states {
            let width = states.width();
            let mut values = vec![0.0; rows.len() * batch.padded_tokens * width];
            let places = values.chunks_exact_mut(batch.padded_tokens * width);
            for (place, &text) in places.zip(&rows) {
                for (slot, value) in place.iter_mut().zip(states.values(text)) {
                    *slot = value;
                }
            }
            inputs.push(Input {
                name: STATES,
                shape: vec![rows.len(), batch.padded_tokens, width],
                values: Values::F32(values),
            });
        }
        // with states, the graph takes of the ids at most the shape
        let ids = Input {
            name: INPUT_IDS,
            shape: shape.clone(),
            values: Values::I64(tokens.ids),
        };
        let attention = Input {
            name: ATTENTION_MASK,
            shape: shape.clone(),
            values: Values::I64(tokens.attention),
        };
        let response = Input {
            name: RESPONSE_MASK,
            shape,
            values: Values::F32(tokens.response),
        };
        inputs.extend([ids, attention, response]);
        MicroBatch {
            n_pairs: batch.pairs.len(),
            inputs,
        }
    }

    /// Puts margins that came in the order of batches back into that of the pairs.
    fn in_order(plan: &[PairBatch], margins: &[f32]) -> Vec<f32> {
        let mut ordered = vec![0.0; margins.len()];
        let places = plan.iter().flat_map(|batch| &batch.pairs);
        for (&place, &margin) in places.zip(margins) {
            ordered[place] = margin;
        }
        ordered
    }
}

fn hold(turn: &Arc<Mutex<()>>) -> MutexGuard<'_, ()> {
    turn.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RewardModel for TokenModel {
    fn margins(&mut self, pairs: &[PairTexts]) -> Result<Vec<f32>, RewardError> {
        let turn = self.turn.clone();
        let _turn = turn.as_ref().map(hold);
        let plan = self.plan(pairs);
        let mut margins = Vec::with_capacity(pairs.len());
        for batch in &plan {
            let data = self.micro_batch(batch, pairs);
            margins.extend(self.trainer.margins(data)?);
        }
        Ok(Self::in_order(&plan, &margins))
    }

    fn train_step(
        &mut self,
        pairs: &[PairTexts],
        learning_rate: f32,
    ) -> Result<StepResult, RewardError> {
        let turn = self.turn.clone();
        let _turn = turn.as_ref().map(hold);
        let plan = self.plan(pairs);
        let batches = plan.iter().map(|b| self.micro_batch(b, pairs)).collect();
        let result = self.trainer.step(batches, learning_rate)?;
        Ok(StepResult {
            margins: Self::in_order(&plan, &result.margins),
            ..result
        })
    }

    fn state(&self) -> Result<ModelState, RewardError> {
        self.trainer.state()
    }

    fn restore(&mut self, state: &ModelState) -> Result<(), RewardError> {
        self.trainer.restore(state)
    }
}
