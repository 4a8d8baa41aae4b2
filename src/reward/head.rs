//! A head over frozen features, trained through lowered training artifacts.

use std::borrow::Cow;
use std::sync::Arc;

use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorRef};

use super::runtime::{Device, Runtime};
use super::{Features, ModelState, PairTexts, RewardError, RewardModel, View};
use crate::graph::artifacts::LoweredHead;
use crate::graph::lower::{moment_names, new_name};

/// A reward model: a [`View`] of features, and a head whose step graph runs on the stock runtime.
///
/// The head runs on the CPU with one thread: a step takes about a millisecond,
/// less than a trip to a device, and the two models run side by side.
pub struct HeadModel {
    features: Arc<Features>,
    view: View,
    step: Session,
    eval: Session,
    /// Parameters, then moments, as the step graph takes and gives them.
    tensors: Vec<Held>,
    n_parameters: usize,
    steps: u64,
    chosen: Vec<f32>,
    rejected: Vec<f32>,
}

/// A tensor that every step replaces.
struct Held {
    input: String,
    output: String,
    dims: Vec<i64>,
    value: DynValue,
}

impl Held {
    fn new(input: &str, dims: &[i64], data: Vec<f32>) -> Result<Self, RewardError> {
        Ok(Self {
            input: input.to_owned(),
            output: new_name(input),
            dims: dims.to_vec(),
            value: Tensor::from_array((dims.to_vec(), data))?.into_dyn(),
        })
    }
}

impl HeadModel {
    /// Puts a head on a view of features.
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
            tensors.push(Held::new(
                &parameter.name,
                &parameter.dims,
                parameter.data.clone(),
            )?);
        }
        for parameter in &head.parameters {
            for moment in moment_names(&parameter.name) {
                tensors.push(Held::new(
                    &moment,
                    &parameter.dims,
                    vec![0.0; parameter.data.len()],
                )?);
            }
        }
        Ok(Self {
            features,
            view,
            step: runtime.session(&head.step_onnx, 1, Device::Cpu)?.0,
            eval: runtime.session(&head.eval_onnx, 1, Device::Cpu)?.0,
            n_parameters: head.parameters.len(),
            tensors,
            steps: 0,
            chosen: Vec::new(),
            rejected: Vec::new(),
        })
    }

    /// Gathers the features of both sides: `[n_pairs, width]` each.
    fn gather(&mut self, pairs: &[PairTexts]) {
        self.chosen.clear();
        self.rejected.clear();
        for &[chosen, rejected] in pairs {
            self.view.append(&self.features, chosen, &mut self.chosen);
            self.view
                .append(&self.features, rejected, &mut self.rejected);
        }
    }
}

/// A named input of a session.
type Input<'a> = (Cow<'a, str>, SessionInputValue<'a>);

fn data<'a>(
    name: &'static str,
    shape: [usize; 2],
    values: &'a [f32],
) -> Result<Input<'a>, RewardError> {
    Ok((
        name.into(),
        TensorRef::from_array_view((shape, values))?.into(),
    ))
}

fn finite(what: &'static str, values: &[f32]) -> Result<(), RewardError> {
    match values.iter().find(|value| !value.is_finite()) {
        Some(&value) => Err(RewardError::NotFinite { what, value }),
        None => Ok(()),
    }
}

impl RewardModel for HeadModel {
    fn margins(&mut self, pairs: &[PairTexts]) -> Result<Vec<f32>, RewardError> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        self.gather(pairs);
        let shape = [pairs.len(), self.view.width()];
        let mut inputs = vec![
            data("chosen", shape, &self.chosen)?,
            data("rejected", shape, &self.rejected)?,
        ];
        for held in &self.tensors[..self.n_parameters] {
            inputs.push((held.input.as_str().into(), (&held.value).into()));
        }
        let outputs = self.eval.run(inputs)?;
        let (_, margins) = outputs["margin"].try_extract_tensor::<f32>()?;
        finite("margin", margins)?;
        Ok(margins.to_vec())
    }

    fn train_step(&mut self, pairs: &[PairTexts], learning_rate: f32) -> Result<f64, RewardError> {
        self.gather(pairs);
        self.steps += 1;
        let shape = [pairs.len(), self.view.width()];
        let step = i64::try_from(self.steps).expect("steps are counted in 63 bits");
        let mut inputs = vec![
            data("chosen", shape, &self.chosen)?,
            data("rejected", shape, &self.rejected)?,
            (
                "learning_rate".into(),
                Tensor::from_array(((), vec![learning_rate]))?.into(),
            ),
            ("step".into(), Tensor::from_array(((), vec![step]))?.into()),
        ];
        for held in &self.tensors {
            inputs.push((held.input.as_str().into(), (&held.value).into()));
        }
        let mut outputs = self.step.run(inputs)?;
        let loss = outputs["loss"].try_extract_tensor::<f32>()?.1[0];
        finite("loss", &[loss])?;
        // the graph gives fresh tensors: they become the next step's inputs without a copy
        for held in &mut self.tensors {
            held.value = outputs.remove(&held.output).ok_or_else(|| {
                RewardError::State(format!("the step graph has no output `{}`", held.output))
            })?;
        }
        Ok(f64::from(loss))
    }

    fn state(&self) -> Result<ModelState, RewardError> {
        let tensors = self.tensors.iter().map(|held| {
            let (_, values) = held.value.try_extract_tensor::<f32>()?;
            Ok((held.input.clone(), values.to_vec()))
        });
        Ok(ModelState {
            step: self.steps,
            tensors: tensors.collect::<Result<_, RewardError>>()?,
        })
    }

    fn restore(&mut self, state: &ModelState) -> Result<(), RewardError> {
        for held in &mut self.tensors {
            let saved = state.tensors.iter().find(|(name, _)| *name == held.input);
            let (_, values) =
                saved.ok_or_else(|| RewardError::State(format!("`{}` is missing", held.input)))?;
            let length: i64 = held.dims.iter().product();
            if i64::try_from(values.len()) != Ok(length) {
                return Err(RewardError::State(format!(
                    "`{}` has {} values, expected {length}",
                    held.input,
                    values.len()
                )));
            }
            held.value = Tensor::from_array((held.dims.clone(), values.clone()))?.into_dyn();
        }
        self.steps = state.step;
        Ok(())
    }
}
