//! Optimizers: their settings, read from an optimizer model, and their update as part of a graph.

use super::GraphError;
use super::builder::{Builder, int};
use super::proto::{ModelProto, NodeProto, TensorProto, elem};

#[cfg(test)]
mod tests;

/// Keeps the quotient of the gradient clipping finite, as in onnxruntime-training.
const CLIP_EPSILON: f32 = 1e-6;

/// Which optimizer trains, with its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerSettings {
    /// `AdamWOptimizer`.
    AdamW(AdamWSettings),
    /// `SGDOptimizerV2`: `w - learning_rate * g`.
    Sgd {
        /// Gradients are scaled down to at most this norm, all parameters together.
        max_gradient_norm: Option<f32>,
    },
}

/// Settings of `AdamW`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWSettings {
    /// Share of the old first moment that is kept.
    pub beta1: f32,
    /// Share of the old second moment that is kept.
    pub beta2: f32,
    /// Added to the divisor.
    pub epsilon: f32,
    /// Decay per step, times the learning rate.
    pub weight_decay: f32,
    /// Whether the moments are corrected for starting at 0.
    pub correct_bias: bool,
    /// Which formula.
    pub mode: AdamMode,
    /// Gradients are scaled down to at most this norm, all parameters together.
    pub max_gradient_norm: Option<f32>,
}

/// The two formulas of `AdamWOptimizer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdamMode {
    /// `adam_mode` 0: decay first; epsilon is added to the corrected root.
    Torch,
    /// `adam_mode` 1: decay last; epsilon is added to the root before correction.
    HuggingFace,
}

impl Default for AdamWSettings {
    /// What `generate_artifacts` writes.
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-6,
            weight_decay: 0.0,
            correct_bias: true,
            mode: AdamMode::HuggingFace,
            max_gradient_norm: None,
        }
    }
}

impl Default for OptimizerSettings {
    fn default() -> Self {
        Self::AdamW(AdamWSettings::default())
    }
}

impl OptimizerSettings {
    /// The settings in an optimizer model.
    ///
    /// # Errors
    /// [`GraphError::Operator`] names an operator that is no part of `AdamW` or SGD;
    /// [`GraphError::Unsupported`] for settings that cannot be honoured, or no optimizer at all.
    pub fn of(model: &ModelProto) -> Result<Self, GraphError> {
        let nodes: &[NodeProto] = model.graph.as_ref().map_or(&[], |graph| &graph.node);
        let mut max_gradient_norm = None;
        let mut found = None;
        for node in nodes {
            match node.op_type.as_str() {
                "AdamWOptimizer" => found = Some(Self::AdamW(AdamWSettings::of(node)?)),
                "SGDOptimizerV2" => {
                    found = Some(Self::Sgd {
                        max_gradient_norm: None,
                    });
                }
                "InplaceClipGradNorm" => {
                    check_norm_type(node)?;
                    max_gradient_norm = Some(node.float("max_norm", 1.0));
                }
                "SequenceConstruct" | "SequenceAt" | "Identity" => {}
                other => {
                    return Err(GraphError::Operator {
                        operator: other.to_owned(),
                        node: node.name.clone(),
                        hint: "make the artifacts with `OptimType.AdamW` or `OptimType.SGD`",
                    });
                }
            }
        }
        let mut settings = found.ok_or_else(|| {
            GraphError::Unsupported("an optimizer model without AdamW or SGD".into())
        })?;
        *settings.max_gradient_norm_mut() = max_gradient_norm;
        Ok(settings)
    }

    /// The norm that gradients are clipped to, if they are.
    #[must_use]
    pub fn max_gradient_norm(&self) -> Option<f32> {
        match self {
            Self::AdamW(settings) => settings.max_gradient_norm,
            Self::Sgd { max_gradient_norm } => *max_gradient_norm,
        }
    }

    /// The norm that gradients are clipped to, to be changed.
    pub fn max_gradient_norm_mut(&mut self) -> &mut Option<f32> {
        match self {
            Self::AdamW(settings) => &mut settings.max_gradient_norm,
            Self::Sgd { max_gradient_norm } => max_gradient_norm,
        }
    }

    /// How many moments a parameter has: 2 for `AdamW`, none for SGD.
    #[must_use]
    pub fn moments(&self) -> usize {
        match self {
            Self::AdamW(_) => 2,
            Self::Sgd { .. } => 0,
        }
    }

    /// The same with another weight decay.
    ///
    /// # Errors
    /// [`GraphError::Unsupported`] for an optimizer without one.
    pub fn with_weight_decay(self, weight_decay: f32) -> Result<Self, GraphError> {
        match self {
            Self::AdamW(settings) => Ok(Self::AdamW(AdamWSettings {
                weight_decay,
                ..settings
            })),
            Self::Sgd { .. } => Err(GraphError::Unsupported(
                "weight decay: the optimizer of these artifacts, SGD, has none".into(),
            )),
        }
    }
}

impl AdamWSettings {
    fn of(node: &NodeProto) -> Result<Self, GraphError> {
        let mode = match node.int("adam_mode", 0) {
            0 => AdamMode::Torch,
            1 => AdamMode::HuggingFace,
            other => {
                let what = format!("adam mode {other}: expected 0 or 1");
                return Err(GraphError::Unsupported(what));
            }
        };
        let settings = Self {
            beta1: node.float("alpha", 0.9),
            beta2: node.float("beta", 0.999),
            epsilon: node.float("epsilon", 1e-8),
            weight_decay: node.float("weight_decay", 1e-2),
            correct_bias: node.int("correct_bias", 1) != 0,
            mode,
            max_gradient_norm: None,
        };
        if !settings.correct_bias && mode == AdamMode::Torch {
            let what = "adam mode 0 without bias correction".to_owned();
            return Err(GraphError::Unsupported(what));
        }
        Ok(settings)
    }
}

fn check_norm_type(node: &NodeProto) -> Result<(), GraphError> {
    let norm = node.attribute("norm_type").map_or(&b"fro"[..], |a| &a.s);
    if norm == b"fro" {
        return Ok(());
    }
    Err(GraphError::Unsupported(format!(
        "gradient clipping by the norm `{}`: expected `fro`",
        String::from_utf8_lossy(norm)
    )))
}

/// A parameter to update: names of values in the graph, and the names that the results get.
#[derive(Clone, Debug)]
pub struct Update {
    /// The parameter.
    pub parameter: String,
    /// Its gradient, of the same shape.
    pub gradient: String,
    /// Its first and second moment; not read by SGD.
    pub moments: [String; 2],
    /// The name that the new parameter gets.
    pub new_parameter: String,
    /// The names that the new moments get; not made by SGD.
    pub new_moments: [String; 2],
}

/// Adds clipping, where the settings ask for it, and the update of all parameters.
/// `learning_rate` and `step`, counted from 1, are scalars of f32 and i64.
pub fn update(
    b: &mut Builder,
    settings: &OptimizerSettings,
    learning_rate: &str,
    step: &str,
    updates: &[Update],
) {
    let clip = settings.max_gradient_norm().map(|max| {
        let gradients = updates.iter().map(|update| update.gradient.as_str());
        clip_factor(b, gradients, max)
    });
    let rates = match settings {
        OptimizerSettings::AdamW(settings) => Some(Rates::new(b, settings, learning_rate, step)),
        OptimizerSettings::Sgd { .. } => None,
    };
    for update in updates {
        let gradient = match &clip {
            Some(factor) => b.call("Mul", &[&update.gradient, factor]),
            None => update.gradient.clone(),
        };
        match (settings, &rates) {
            (OptimizerSettings::AdamW(settings), Some(rates)) => {
                adamw(b, update, &gradient, settings, rates);
            }
            _ => sgd(b, update, &gradient, learning_rate),
        }
    }
}

/// `min(1, max / (norm of all gradients + epsilon))`
fn clip_factor<'a>(b: &mut Builder, gradients: impl Iterator<Item = &'a str>, max: f32) -> String {
    let mut squares = Vec::new();
    for gradient in gradients {
        let square = b.call("Mul", &[gradient, gradient]);
        squares.push(b.reduce("ReduceSum", &square, &[], false));
    }
    let squares: Vec<&str> = squares.iter().map(String::as_str).collect();
    let sum = b.call("Sum", &squares);
    let norm = b.call("Sqrt", &[&sum]);
    let (epsilon, max, one) = (b.scalar(CLIP_EPSILON), b.scalar(max), b.scalar(1.0));
    let norm = b.call("Add", &[&norm, &epsilon]);
    let factor = b.call("Div", &[&max, &norm]);
    b.call("Min", &[&factor, &one])
}

fn sgd(b: &mut Builder, update: &Update, gradient: &str, learning_rate: &str) {
    let change = b.call("Mul", &[gradient, learning_rate]);
    let inputs = [update.parameter.as_str(), &change];
    b.op_to("", "Sub", &inputs, &[&update.new_parameter], &[]);
}

/// Scalars that all parameters share.
struct Rates {
    /// Multiplies the quotient of the moments.
    step_size: String,
    /// Divides the second moment before its root, in the formula of `PyTorch`.
    second_correction: Option<String>,
    /// Multiplies the parameter to give its decay.
    decay: Option<String>,
}

impl Rates {
    fn new(b: &mut Builder, settings: &AdamWSettings, learning_rate: &str, step: &str) -> Self {
        let decay = (settings.weight_decay != 0.0).then(|| {
            let decay = b.scalar(settings.weight_decay);
            b.call("Mul", &[learning_rate, &decay])
        });
        if !settings.correct_bias {
            return Self {
                step_size: learning_rate.into(),
                second_correction: None,
                decay,
            };
        }
        let first = correction(b, settings.beta1, step);
        let second = correction(b, settings.beta2, step);
        match settings.mode {
            AdamMode::Torch => Self {
                step_size: b.call("Div", &[learning_rate, &first]),
                second_correction: Some(second),
                decay,
            },
            AdamMode::HuggingFace => {
                let root = b.call("Sqrt", &[&second]);
                let scaled = b.call("Mul", &[learning_rate, &root]);
                Self {
                    step_size: b.call("Div", &[&scaled, &first]),
                    second_correction: None,
                    decay,
                }
            }
        }
    }
}

/// `1 - beta^step`, the power in f64 as in onnxruntime-training.
fn correction(b: &mut Builder, beta: f32, step: &str) -> String {
    let constant = |b: &mut Builder, value: f64| {
        let raw = value.to_le_bytes().to_vec();
        b.constant(TensorProto::from_raw("constant", elem::DOUBLE, &[], raw))
    };
    let beta = constant(b, f64::from(beta));
    let one = constant(b, 1.0);
    let step = b.op("Cast", &[step], &[int("to", elem::DOUBLE.into())]);
    let power = b.call("Pow", &[&beta, &step]);
    let rest = b.call("Sub", &[&one, &power]);
    b.op("Cast", &[&rest], &[int("to", elem::FLOAT.into())])
}

fn adamw(
    b: &mut Builder,
    update: &Update,
    gradient: &str,
    settings: &AdamWSettings,
    rates: &Rates,
) {
    let name = update.parameter.as_str();
    let target = update.new_parameter.as_str();
    let [first, second] = &update.moments;
    let [new_first, new_second] = &update.new_moments;
    let square = b.call("Mul", &[gradient, gradient]);
    blend(b, first, gradient, settings.beta1, new_first);
    blend(b, second, &square, settings.beta2, new_second);

    let corrected = match &rates.second_correction {
        Some(correction) => &b.call("Div", &[new_second, correction]),
        None => new_second,
    };
    let epsilon = b.scalar(settings.epsilon);
    let root = b.call("Sqrt", &[corrected]);
    let divisor = b.call("Add", &[&root, &epsilon]);
    let scaled = b.call("Mul", &[new_first, &rates.step_size]);
    let change = b.call("Div", &[&scaled, &divisor]);
    match (&rates.decay, settings.mode) {
        (None, _) => b.op_to("", "Sub", &[name, &change], &[target], &[]),
        (Some(decay), AdamMode::Torch) => {
            let loss = b.call("Mul", &[name, decay]);
            let decayed = b.call("Sub", &[name, &loss]);
            b.op_to("", "Sub", &[&decayed, &change], &[target], &[]);
        }
        (Some(decay), AdamMode::HuggingFace) => {
            let moved = b.call("Sub", &[name, &change]);
            let loss = b.call("Mul", &[&moved, decay]);
            b.op_to("", "Sub", &[&moved, &loss], &[target], &[]);
        }
    }
}

/// `beta * old + (1 - beta) * value` under the name `target`
fn blend(b: &mut Builder, old: &str, value: &str, beta: f32, target: &str) {
    let (keep, take) = (b.scalar(beta), b.scalar(1.0 - beta));
    let kept = b.call("Mul", &[old, &keep]);
    let taken = b.call("Mul", &[value, &take]);
    b.op_to("", "Add", &[&kept, &taken], &[target], &[]);
}
