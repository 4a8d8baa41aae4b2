//! Steps of lowered training graphs, with parameters and moments kept in plain vectors.

use std::collections::HashMap;

use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;
use prefclean::graph::checkpoint::{OptimizerGroup, Parameter};
use prefclean::graph::lower;

/// Named inputs of a session.
pub type Inputs = Vec<(String, SessionInputValue<'static>)>;

/// The state of a training run: named parameters and moments.
pub struct Training {
    step: Session,
    eval: Session,
    /// Parameters and moments that a step takes and replaces.
    names: Vec<String>,
    dims: HashMap<String, Vec<i64>>,
    /// Values of parameters and moments by name.
    pub values: HashMap<String, Vec<f32>>,
    taken: i64,
}

/// What a step gives besides new parameters.
pub struct StepResult {
    pub loss: f32,
    pub margin: Vec<f32>,
    pub pair_loss: Vec<f32>,
}

impl Training {
    /// At the parameters' values, with moments of 0 where the step model takes moments.
    pub fn new(step: Session, eval: Session, parameters: &[Parameter]) -> Self {
        let mut training = Self {
            step,
            eval,
            names: Vec::new(),
            dims: HashMap::new(),
            values: HashMap::new(),
            taken: 0,
        };
        for parameter in parameters {
            let zeros = vec![0.0; parameter.data.len()];
            let [first, second] = lower::moment_names(&parameter.name);
            let all = [
                (parameter.name.clone(), parameter.data.clone()),
                (first, zeros.clone()),
                (second, zeros),
            ];
            for (name, data) in all {
                if takes(&training.step, &name) {
                    training.names.push(name.clone());
                    training.dims.insert(name.clone(), parameter.dims.clone());
                    training.values.insert(name, data);
                }
            }
        }
        training
    }

    /// Goes on from an optimizer's state.
    pub fn resume(&mut self, group: &OptimizerGroup) {
        self.taken = group.step;
        for state in &group.states {
            let names = lower::moment_names(&state.parameter);
            for (name, moment) in names.into_iter().zip(&state.moments) {
                if let Some(value) = self.values.get_mut(&name) {
                    value.clone_from(moment);
                }
            }
        }
    }

    fn tensor(&self, name: &str) -> SessionInputValue<'static> {
        let value = (self.dims[name].clone(), self.values[name].clone());
        Tensor::from_array(value).unwrap().into()
    }

    /// One update.
    pub fn step(&mut self, data: Inputs, learning_rate: f32) -> StepResult {
        self.taken += 1;
        let mut inputs = data;
        let scalar = Vec::<i64>::new();
        let rate = Tensor::from_array((scalar.clone(), vec![learning_rate])).unwrap();
        inputs.push((lower::LEARNING_RATE.into(), rate.into()));
        if takes(&self.step, lower::STEP) {
            let step = Tensor::from_array((scalar, vec![self.taken])).unwrap();
            inputs.push((lower::STEP.into(), step.into()));
        }
        for name in &self.names {
            inputs.push((name.clone(), self.tensor(name)));
        }
        let outputs = self.step.run(inputs).unwrap();
        let read = |name: &str| {
            outputs[name]
                .try_extract_tensor::<f32>()
                .unwrap()
                .1
                .to_vec()
        };
        for name in &self.names {
            self.values
                .insert(name.clone(), read(&lower::new_name(name)));
        }
        StepResult {
            loss: read(lower::LOSS)[0],
            margin: read(lower::MARGIN),
            pair_loss: read(lower::PAIR_LOSS),
        }
    }

    /// Margins and losses of pairs at the parameters as they are.
    pub fn evaluate(&mut self, data: Inputs) -> (Vec<f32>, Vec<f32>) {
        let mut inputs = data;
        for name in &self.names {
            if takes(&self.eval, name) {
                inputs.push((name.clone(), self.tensor(name)));
            }
        }
        let outputs = self.eval.run(inputs).unwrap();
        let read = |name: &str| {
            outputs[name]
                .try_extract_tensor::<f32>()
                .unwrap()
                .1
                .to_vec()
        };
        (read(lower::MARGIN), read(lower::PAIR_LOSS))
    }
}

fn takes(session: &Session, name: &str) -> bool {
    session.inputs().iter().any(|input| input.name() == name)
}

/// Euclidean norm.
pub fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

/// Norm of the difference.
pub fn difference(a: &[f32], b: &[f32]) -> f64 {
    norm(a.iter().zip(b).map(|(a, b)| a - b))
}
