//! What replaces a training operator: the formulas of `gradients`, bound to the outputs of the
//! replaced node.

use super::super::GraphError;
use super::super::builder::{Builder, int};
use super::super::gradients::{activations, broadcast, norms, softmax};
use super::super::proto::{AttributeProto, NodeProto, elem};
use super::label;

type Result = std::result::Result<(), GraphError>;

/// Adds nodes that make the outputs of a training operator.
pub(super) type Rule = fn(&mut Builder, &NodeProto) -> Result;

/// The replacements, by operator of `com.microsoft`.
pub(super) const RULES: [(&str, Rule); 19] = [
    ("BiasFastGeluGrad_dX", bias_fast_gelu),
    ("BiasGeluGrad_dX", bias_gelu),
    ("BroadcastGradientArgs", broadcast_gradient_args),
    ("ConcatTraining", concat),
    ("DivGrad", div),
    ("FastGeluGrad", fast_gelu),
    ("GeluGrad", gelu),
    ("LayerNormalizationGrad", layer_norm),
    ("LeakyReluGrad", leaky_relu),
    ("LogSoftmaxGrad_13", log_softmax),
    ("QuickGeluGrad", quick_gelu),
    ("ReduceSumTraining", reduce_sum),
    ("ReluGrad", relu),
    ("Scale", scale),
    ("SigmoidGrad", sigmoid),
    ("SimplifiedLayerNormalizationGrad", simplified_layer_norm),
    ("SoftmaxGrad_13", softmax_13),
    ("SplitTraining", split),
    ("TanhGrad", tanh),
];

/// The first `N` inputs of a node, all of which must be given.
pub(super) fn inputs<const N: usize>(
    node: &NodeProto,
) -> std::result::Result<[&str; N], GraphError> {
    let mut found = [""; N];
    for (index, input) in found.iter_mut().enumerate() {
        *input = node.input_at(index).ok_or_else(|| {
            let name = label(node);
            let operator = &node.op_type;
            GraphError::Malformed(format!("`{name}` ({operator}) lacks input {index}"))
        })?;
    }
    Ok(found)
}

/// Gives a value the name of output `index` of a replaced node, if that output is wanted.
fn bind(b: &mut Builder, node: &NodeProto, index: usize, value: &str) {
    emit(b, node, index, "Identity", &[value], &[]);
}

/// Adds the operator that makes output `index` of a replaced node, if it is wanted.
fn emit(
    b: &mut Builder,
    node: &NodeProto,
    index: usize,
    op_type: &str,
    inputs: &[&str],
    attributes: &[AttributeProto],
) {
    if let Some(output) = node.output_at(index) {
        b.op_to("", op_type, inputs, &[output], attributes);
    }
}

fn sigmoid(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, y] = inputs(node)?;
    let dx = activations::sigmoid(b, g, y);
    bind(b, node, 0, &dx);
    Ok(())
}

fn tanh(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, y] = inputs(node)?;
    let dx = activations::tanh(b, g, y);
    bind(b, node, 0, &dx);
    Ok(())
}

fn relu(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, x] = inputs(node)?;
    let dx = activations::relu(b, g, x);
    bind(b, node, 0, &dx);
    Ok(())
}

fn leaky_relu(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, y] = inputs(node)?;
    let dx = activations::leaky_relu(b, g, y, node.float("alpha", 0.01));
    bind(b, node, 0, &dx);
    Ok(())
}

fn gelu(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, x] = inputs(node)?;
    let dx = activations::gelu(b, g, x);
    bind(b, node, 0, &dx);
    Ok(())
}

fn bias_gelu(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, x, bias] = inputs(node)?;
    let x = b.call("Add", &[x, bias]);
    let dx = activations::gelu(b, g, &x);
    bind(b, node, 0, &dx);
    Ok(())
}

/// A bias may be given as third input.
fn fast_gelu(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, x] = inputs(node)?;
    let dx = match node.input_at(2) {
        Some(bias) => {
            let x = b.call("Add", &[x, bias]);
            activations::fast_gelu(b, g, &x)
        }
        None => activations::fast_gelu(b, g, x),
    };
    bind(b, node, 0, &dx);
    Ok(())
}

fn bias_fast_gelu(b: &mut Builder, node: &NodeProto) -> Result {
    let [_, _, _] = inputs(node)?;
    fast_gelu(b, node)
}

fn quick_gelu(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, x] = inputs(node)?;
    let dx = activations::quick_gelu(b, g, x, node.float("alpha", 1.702));
    bind(b, node, 0, &dx);
    Ok(())
}

fn softmax_13(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, y] = inputs(node)?;
    let dx = softmax::softmax(b, g, y, node.int("axis", -1));
    bind(b, node, 0, &dx);
    Ok(())
}

fn log_softmax(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, y] = inputs(node)?;
    let dx = softmax::log_softmax(b, g, y, node.int("axis", -1));
    bind(b, node, 0, &dx);
    Ok(())
}

fn layer_norm(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, x, gamma, mean, inverse] = inputs(node)?;
    check_axis(node)?;
    let gradients = norms::layer_norm(b, g, x, gamma, mean, inverse);
    bind(b, node, 0, &gradients.x);
    bind(b, node, 1, &gradients.gamma);
    bind(b, node, 2, &gradients.beta);
    Ok(())
}

fn simplified_layer_norm(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, x, gamma, inverse] = inputs(node)?;
    check_axis(node)?;
    let gradients = norms::simplified_layer_norm(b, g, x, gamma, inverse);
    bind(b, node, 0, &gradients.x);
    bind(b, node, 1, &gradients.gamma);
    Ok(())
}

fn check_axis(node: &NodeProto) -> Result {
    match node.int("axis", -1) {
        -1 => Ok(()),
        axis => Err(GraphError::Unsupported(format!(
            "`{}` ({}): axis {axis}, expected -1",
            label(node),
            node.op_type
        ))),
    }
}

/// `x / c` or `x * c`, with `c` of any numeric type
fn scale(b: &mut Builder, node: &NodeProto) -> Result {
    let [x, c] = inputs(node)?;
    let c = b.op("Cast", &[c], &[int("to", elem::FLOAT.into())]);
    let op = if node.int("scale_down", 0) == 0 {
        "Mul"
    } else {
        "Div"
    };
    emit(b, node, 0, op, &[x, &c], &[]);
    Ok(())
}

/// `da = g / b` and `db = -g a / b^2`, each summed back to its operand's shape
fn div(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, dividend, divisor] = inputs(node)?;
    let quotient = b.call("Div", &[g, divisor]);
    let shape = b.call("Shape", &[dividend]);
    let da = broadcast::unbroadcast(b, &quotient, &shape);
    bind(b, node, 0, &da);
    let ratio = b.call("Div", &[dividend, divisor]);
    let product = b.call("Mul", &[&quotient, &ratio]);
    let negative = b.call("Neg", &[&product]);
    let shape = b.call("Shape", &[divisor]);
    let db = broadcast::unbroadcast(b, &negative, &shape);
    bind(b, node, 1, &db);
    Ok(())
}

fn broadcast_gradient_args(b: &mut Builder, node: &NodeProto) -> Result {
    let [shape_a, shape_b] = inputs(node)?;
    let (axes_a, axes_b) = broadcast::broadcast_axes(b, shape_a, shape_b);
    bind(b, node, 0, &axes_a);
    bind(b, node, 1, &axes_b);
    Ok(())
}

/// The standard sum; without axes it keeps its meaning.
fn reduce_sum(b: &mut Builder, node: &NodeProto) -> Result {
    let [x, axes] = inputs(node)?;
    let attributes = [
        int("keepdims", node.int("keepdims", 1)),
        int("noop_with_empty_axes", node.int("noop_with_empty_axes", 0)),
    ];
    emit(b, node, 0, "ReduceSum", &[x, axes], &attributes);
    Ok(())
}

/// The joined tensor and, if wanted, the length of each part along the axis.
fn concat(b: &mut Builder, node: &NodeProto) -> Result {
    let [_] = inputs(node)?;
    let axis = node.int("axis", 0);
    let parts: Vec<&str> = node.input.iter().map(String::as_str).collect();
    emit(b, node, 0, "Concat", &parts, &[int("axis", axis)]);
    if node.output_at(1).is_some() {
        let index = b.ints(&[axis]);
        let mut lengths = Vec::new();
        for part in parts {
            let shape = b.call("Shape", &[part]);
            lengths.push(b.call("Gather", &[&shape, &index]));
        }
        let lengths: Vec<&str> = lengths.iter().map(String::as_str).collect();
        emit(b, node, 1, "Concat", &lengths, &[int("axis", 0)]);
    }
    Ok(())
}

/// The standard split; both take the lengths as second input.
fn split(b: &mut Builder, node: &NodeProto) -> Result {
    let [x, lengths] = inputs(node)?;
    let outputs: Vec<&str> = node.output.iter().map(String::as_str).collect();
    let attributes = [int("axis", node.int("axis", 0))];
    b.op_to("", "Split", &[x, lengths], &outputs, &attributes);
    Ok(())
}
