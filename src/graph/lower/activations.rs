//! Gradients of activations. `g` is the incoming gradient, `x` a forward input, `y` an output.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use super::super::GraphError;
use super::super::builder::{Builder, int};
use super::super::proto::NodeProto;
use super::{Lowering, inputs};

/// Cubic coefficient of the tanh approximation of GELU.
const GELU_CUBIC: f32 = 0.044_715;

type Result = std::result::Result<(), GraphError>;

/// `g * y * (1 - y)`
pub(super) fn sigmoid_grad(l: &mut Lowering, node: &NodeProto) -> Result {
    let [g, y] = inputs(node)?;
    let one = l.scalar(1.0);
    let gy = l.op("Mul", &[g, y]);
    let rest = l.op("Sub", &[&one, y]);
    l.emit(node, 0, "Mul", &[&gy, &rest], &[]);
    Ok(())
}

/// `g * (1 - y^2)`
pub(super) fn tanh_grad(l: &mut Lowering, node: &NodeProto) -> Result {
    let [g, y] = inputs(node)?;
    let one = l.scalar(1.0);
    let square = l.op("Mul", &[y, y]);
    let slope = l.op("Sub", &[&one, &square]);
    l.emit(node, 0, "Mul", &[g, &slope], &[]);
    Ok(())
}

/// `g` where `x > 0`, else 0
pub(super) fn relu_grad(l: &mut Lowering, node: &NodeProto) -> Result {
    let [g, x] = inputs(node)?;
    let zero = l.scalar(0.0);
    let above = l.op("Greater", &[x, &zero]);
    l.emit(node, 0, "Where", &[&above, g, &zero], &[]);
    Ok(())
}

/// `g` where `y > 0`, else `alpha * g`
pub(super) fn leaky_relu_grad(l: &mut Lowering, node: &NodeProto) -> Result {
    let [g, y] = inputs(node)?;
    let zero = l.scalar(0.0);
    let alpha = l.scalar(node.float("alpha", 0.01));
    let above = l.op("Greater", &[y, &zero]);
    let leaked = l.op("Mul", &[g, &alpha]);
    l.emit(node, 0, "Where", &[&above, g, &leaked], &[]);
    Ok(())
}

pub(super) fn gelu_grad(l: &mut Lowering, node: &NodeProto) -> Result {
    let [g, x] = inputs(node)?;
    let slope = gelu_slope(l, x);
    l.emit(node, 0, "Mul", &[g, &slope], &[]);
    Ok(())
}

pub(super) fn bias_gelu_grad(l: &mut Lowering, node: &NodeProto) -> Result {
    let [g, x, bias] = inputs(node)?;
    let x = l.op("Add", &[x, bias]);
    let slope = gelu_slope(l, &x);
    l.emit(node, 0, "Mul", &[g, &slope], &[]);
    Ok(())
}

/// `(1 + erf u) / 2 + u * exp(-u^2) / sqrt(pi)` with `u = x / sqrt(2)`
fn gelu_slope(l: &mut Lowering, x: &str) -> String {
    let (scale, half, one) = (l.scalar(FRAC_1_SQRT_2), l.scalar(0.5), l.scalar(1.0));
    let u = l.op("Mul", &[x, &scale]);
    let erf = l.op("Erf", &[&u]);
    let erf = l.op("Add", &[&erf, &one]);
    let share = l.op("Mul", &[&erf, &half]);
    let square = l.op("Mul", &[&u, &u]);
    let negative = l.op("Neg", &[&square]);
    let bell = l.op("Exp", &[&negative]);
    let bell = l.op("Mul", &[&bell, &u]);
    let height = l.scalar(FRAC_2_SQRT_PI / 2.0);
    let bell = l.op("Mul", &[&bell, &height]);
    l.op("Add", &[&share, &bell])
}

/// `FastGeluGrad`; a bias may be given as third input.
pub(super) fn fast_gelu_grad(l: &mut Lowering, node: &NodeProto) -> Result {
    let [g, x] = inputs(node)?;
    let slope = match node.input_at(2) {
        Some(bias) => {
            let x = l.op("Add", &[x, bias]);
            fast_gelu_slope(l, &x)
        }
        None => fast_gelu_slope(l, x),
    };
    l.emit(node, 0, "Mul", &[g, &slope], &[]);
    Ok(())
}

pub(super) fn bias_fast_gelu_grad(l: &mut Lowering, node: &NodeProto) -> Result {
    let [_, _, _] = inputs(node)?;
    fast_gelu_grad(l, node)
}

/// `(1 + t + x (1 - t^2) (k + 3 c k x^2)) / 2` with `k = sqrt(2 / pi)`, `t = tanh(k x + c k x^3)`
fn fast_gelu_slope(l: &mut Lowering, x: &str) -> String {
    let k = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
    let (one, half, linear) = (l.scalar(1.0), l.scalar(0.5), l.scalar(k));
    let (cubic, steep) = (l.scalar(k * GELU_CUBIC), l.scalar(3.0 * k * GELU_CUBIC));
    let square = l.op("Mul", &[x, x]);
    let bend = l.op("Mul", &[&square, &cubic]);
    let factor = l.op("Add", &[&bend, &linear]);
    let inner = l.op("Mul", &[x, &factor]);
    let t = l.op("Tanh", &[&inner]);
    let t2 = l.op("Mul", &[&t, &t]);
    let rest = l.op("Sub", &[&one, &t2]);
    let bend = l.op("Mul", &[&square, &steep]);
    let inner_slope = l.op("Add", &[&bend, &linear]);
    let product = l.op("Mul", &[&rest, &inner_slope]);
    let product = l.op("Mul", &[&product, x]);
    let sum = l.op("Add", &[&product, &t]);
    let sum = l.op("Add", &[&sum, &one]);
    l.op("Mul", &[&sum, &half])
}

/// `g * s * (1 + a x (1 - s))` with `s = sigmoid(a x)`
pub(super) fn quick_gelu_grad(l: &mut Lowering, node: &NodeProto) -> Result {
    let [g, x] = inputs(node)?;
    let (one, alpha) = (l.scalar(1.0), l.scalar(node.float("alpha", 1.702)));
    let scaled = l.op("Mul", &[x, &alpha]);
    let s = l.op("Sigmoid", &[&scaled]);
    let rest = l.op("Sub", &[&one, &s]);
    let product = l.op("Mul", &[&scaled, &rest]);
    let sum = l.op("Add", &[&product, &one]);
    let slope = l.op("Mul", &[&s, &sum]);
    l.emit(node, 0, "Mul", &[g, &slope], &[]);
    Ok(())
}

/// `y * (g - sum(g * y))`
pub(super) fn softmax_grad(l: &mut Lowering, node: &NodeProto) -> Result {
    let [g, y] = inputs(node)?;
    let gy = l.op("Mul", &[g, y]);
    let sum = sum_along(&mut l.graph, node, &gy);
    let centred = l.op("Sub", &[g, &sum]);
    l.emit(node, 0, "Mul", &[y, &centred], &[]);
    Ok(())
}

/// `g - exp(y) * sum(g)`
pub(super) fn log_softmax_grad(l: &mut Lowering, node: &NodeProto) -> Result {
    let [g, y] = inputs(node)?;
    let sum = sum_along(&mut l.graph, node, g);
    let p = l.op("Exp", &[y]);
    let share = l.op("Mul", &[&p, &sum]);
    l.emit(node, 0, "Sub", &[g, &share], &[]);
    Ok(())
}

fn sum_along(graph: &mut Builder, node: &NodeProto, value: &str) -> String {
    let axis = graph.ints(&[node.int("axis", -1)]);
    graph.op("ReduceSum", &[value, &axis], &[int("keepdims", 1)])
}
