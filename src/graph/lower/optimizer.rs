//! The update of parameters, appended to the gradients.

use super::super::artifacts::{AdamMode, AdamWSettings};
use super::super::builder::{Builder, int};
use super::super::checkpoint::Parameter;
use super::super::proto::{TensorProto, elem};
use super::{LEARNING_RATE, STEP, declare_parameter, moment_names, new_name};

/// Keeps the quotient of the gradient clipping finite, as in onnxruntime-training.
const CLIP_EPSILON: f32 = 1e-6;

/// Adds parameters and moments as inputs, their new values as outputs, and `AdamW` between.
pub(super) fn adamw(b: &mut Builder, updated: &[(&Parameter, String)], settings: &AdamWSettings) {
    let clip = settings
        .max_gradient_norm
        .map(|max| clip_factor(b, updated, max));
    let rates = Rates::new(b, settings);
    for (parameter, gradient) in updated {
        let gradient = match &clip {
            Some(factor) => b.call("Mul", &[gradient, factor]),
            None => gradient.clone(),
        };
        update(b, parameter, &gradient, settings, &rates);
    }
}

/// `min(1, max / (norm of all gradients + epsilon))`
fn clip_factor(b: &mut Builder, updated: &[(&Parameter, String)], max: f32) -> String {
    let mut squares = Vec::new();
    for (_, gradient) in updated {
        let square = b.call("Mul", &[gradient, gradient]);
        squares.push(b.op("ReduceSum", &[&square], &[int("keepdims", 0)]));
    }
    let squares: Vec<&str> = squares.iter().map(String::as_str).collect();
    let sum = b.call("Sum", &squares);
    let norm = b.call("Sqrt", &[&sum]);
    let (epsilon, max, one) = (b.scalar(CLIP_EPSILON), b.scalar(max), b.scalar(1.0));
    let norm = b.call("Add", &[&norm, &epsilon]);
    let factor = b.call("Div", &[&max, &norm]);
    b.call("Min", &[&factor, &one])
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
    fn new(b: &mut Builder, settings: &AdamWSettings) -> Self {
        let decay = (settings.weight_decay != 0.0).then(|| {
            let decay = b.scalar(settings.weight_decay);
            b.call("Mul", &[LEARNING_RATE, &decay])
        });
        if !settings.correct_bias {
            return Self {
                step_size: LEARNING_RATE.into(),
                second_correction: None,
                decay,
            };
        }
        let first = correction(b, settings.beta1);
        let second = correction(b, settings.beta2);
        match settings.mode {
            AdamMode::Torch => Self {
                step_size: b.call("Div", &[LEARNING_RATE, &first]),
                second_correction: Some(second),
                decay,
            },
            AdamMode::HuggingFace => {
                let root = b.call("Sqrt", &[&second]);
                let scaled = b.call("Mul", &[LEARNING_RATE, &root]);
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
fn correction(graph: &mut Builder, beta: f32) -> String {
    let constant = |graph: &mut Builder, value: f64| {
        let raw = value.to_le_bytes().to_vec();
        graph.constant(TensorProto::from_raw("constant", elem::DOUBLE, &[], raw))
    };
    let beta = constant(graph, f64::from(beta));
    let one = constant(graph, 1.0);
    let step = graph.op("Cast", &[STEP], &[int("to", elem::DOUBLE.into())]);
    let power = graph.op("Pow", &[&beta, &step], &[]);
    let rest = graph.op("Sub", &[&one, &power], &[]);
    graph.op("Cast", &[&rest], &[int("to", elem::FLOAT.into())])
}

fn update(
    b: &mut Builder,
    parameter: &Parameter,
    gradient: &str,
    settings: &AdamWSettings,
    rates: &Rates,
) {
    let name = &parameter.name;
    let [first_name, second_name] = moment_names(name);
    for input in [name, &first_name, &second_name] {
        declare_parameter(b, input, &parameter.dims);
    }
    let square = b.call("Mul", &[gradient, gradient]);
    let first = blend(b, &first_name, gradient, settings.beta1);
    let second = blend(b, &second_name, &square, settings.beta2);

    let corrected = match &rates.second_correction {
        Some(correction) => b.call("Div", &[&second, correction]),
        None => second,
    };
    let epsilon = b.scalar(settings.epsilon);
    let root = b.call("Sqrt", &[&corrected]);
    let divisor = b.call("Add", &[&root, &epsilon]);
    let scaled = b.call("Mul", &[&first, &rates.step_size]);
    let change = b.call("Div", &[&scaled, &divisor]);
    let target = new_name(name);
    match (&rates.decay, settings.mode) {
        (None, _) => b.op_to("", "Sub", &[name, &change], &[&target], &[]),
        (Some(decay), AdamMode::Torch) => {
            let loss = b.call("Mul", &[name, decay]);
            let decayed = b.call("Sub", &[name, &loss]);
            b.op_to("", "Sub", &[&decayed, &change], &[&target], &[]);
        }
        (Some(decay), AdamMode::HuggingFace) => {
            let moved = b.call("Sub", &[name, &change]);
            let loss = b.call("Mul", &[&moved, decay]);
            b.op_to("", "Sub", &[&moved, &loss], &[&target], &[]);
        }
    }
    let dims: Vec<_> = parameter.dims.iter().map(|&dim| dim.into()).collect();
    for output in [&target, &new_name(&first_name), &new_name(&second_name)] {
        b.output(output, elem::FLOAT, &dims);
    }
}

/// `beta * old + (1 - beta) * value`, as the output that replaces `old`.
fn blend(b: &mut Builder, old: &str, value: &str, beta: f32) -> String {
    let (keep, take) = (b.scalar(beta), b.scalar(1.0 - beta));
    let kept = b.call("Mul", &[old, &keep]);
    let taken = b.call("Mul", &[value, &take]);
    let target = new_name(old);
    b.op_to("", "Add", &[&kept, &taken], &[&target], &[]);
    target
}
