//! A head over frozen features, trained through lowered training artifacts.

use std::borrow::Cow;
use std::sync::Arc;

use ort::session::{Session, SessionInputValue, SessionOutputs};
use ort::value::{DynValue, Tensor, TensorRef};

use super::runtime::Runtime;
use super::{Features, ModelState, PairTexts, RewardError, RewardModel, View};
use crate::graph::LoweredHead;

/// A reward model: a [`View`] of features and a head whose step graph runs on the stock runtime.
pub struct HeadModel {
    features: Arc<Features>,
    view: View,
    step: Session,
    eval: Session,
    /// Parameters first, then first and second moments, as the step graph takes and gives them.
    tensors: Vec<Held>,
    n_parameters: usize,
    steps: u64,
    chosen: Vec<f32>,
    rejected: Vec<f32>,
}

/// A tensor that training replaces at every step.
struct Held {
    input: String,
    output: String,
    value: DynValue,
}

impl HeadModel {
    /// Starts a head on a view of features.
    ///
    /// # Errors
    /// [`RewardError::Runtime`] when the runtime refuses a graph.
    pub fn new(
        runtime: &Runtime,
        head: &LoweredHead,
        features: Arc<Features>,
        view: View,
    ) -> Result<Self, RewardError> {
        let mut tensors = Vec::new();
        for parameter in &head.parameters {
            tensors.push(Held {
                input: parameter.name.clone(),
                output: head.new_name(&parameter.name),
                value: tensor(&parameter.dims, parameter.data.clone())?,
            });
        }
        for moment in head.moments() {
            let zeros = vec![0.0; moment.data_len()];
            tensors.push(Held {
                output: head.new_name(&moment.name),
                value: tensor(&moment.dims, zeros)?,
                input: moment.name,
            });
        }
        Ok(Self {
            features,
            view,
            // one thread each: the two models run side by side
            step: runtime.session(&head.step_onnx, 1)?,
            eval: runtime.session(&head.eval_onnx, 1)?,
            n_parameters: head.parameters.len(),
            tensors,
            steps: 0,
            chosen: Vec::new(),
            rejected: Vec::new(),
        })
    }

    /// Gathers the features of both sides into `chosen` and `rejected`.
    fn gather(&mut self, pairs: &[PairTexts]) {
        self.chosen.clear();
        self.rejected.clear();
        for &[chosen, rejected] in pairs {
            self.view.append(&self.features, chosen, &mut self.chosen);
            self.view.append(&self.features, rejected, &mut self.rejected);
        }
    }
}
