//! Activations, softmax and dropout.

use super::{NodeProto, Result, as_f32, bind, inputs};
use crate::graph::builder::{Builder, int};
use crate::graph::gradients::{activations, softmax as formulas};

pub(super) fn sigmoid(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, y] = inputs(node)?;
    let dx = activations::sigmoid(b, g, y);
    bind(b, node, 0, &dx);
    Ok(())
}

pub(super) fn tanh(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, y] = inputs(node)?;
    let dx = activations::tanh(b, g, y);
    bind(b, node, 0, &dx);
    Ok(())
}

pub(super) fn relu(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, x] = inputs(node)?;
    let dx = activations::relu(b, g, x);
    bind(b, node, 0, &dx);
    Ok(())
}

pub(super) fn leaky_relu(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, y] = inputs(node)?;
    let dx = activations::leaky_relu(b, g, y, node.float("alpha", 0.01));
    bind(b, node, 0, &dx);
    Ok(())
}

pub(super) fn gelu(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, x] = inputs(node)?;
    let dx = activations::gelu(b, g, x);
    bind(b, node, 0, &dx);
    Ok(())
}

pub(super) fn bias_gelu(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, x, bias] = inputs(node)?;
    let x = b.call("Add", &[x, bias]);
    let dx = activations::gelu(b, g, &x);
    bind(b, node, 0, &dx);
    Ok(())
}

pub(super) fn fast_gelu(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, x] = inputs(node)?;
    let dx = activations::fast_gelu(b, g, x);
    bind(b, node, 0, &dx);
    Ok(())
}

pub(super) fn bias_fast_gelu(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, x, bias] = inputs(node)?;
    let x = b.call("Add", &[x, bias]);
    let dx = activations::fast_gelu(b, g, &x);
    bind(b, node, 0, &dx);
    Ok(())
}

pub(super) fn quick_gelu(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, x] = inputs(node)?;
    let dx = activations::quick_gelu(b, g, x, node.float("alpha", 1.702));
    bind(b, node, 0, &dx);
    Ok(())
}

pub(super) fn softmax(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, y] = inputs(node)?;
    let dx = formulas::softmax(b, g, y, node.int("axis", -1));
    bind(b, node, 0, &dx);
    Ok(())
}

pub(super) fn log_softmax(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, y] = inputs(node)?;
    let dx = formulas::log_softmax(b, g, y, node.int("axis", -1));
    bind(b, node, 0, &dx);
    Ok(())
}

pub(super) fn flat_softmax(b: &mut Builder, node: &NodeProto) -> Result {
    flattened(b, node, formulas::softmax)
}

pub(super) fn flat_log_softmax(b: &mut Builder, node: &NodeProto) -> Result {
    flattened(b, node, formulas::log_softmax)
}

/// Before operator set 13 the axes from `axis` on were taken as one.
fn flattened(
    b: &mut Builder,
    node: &NodeProto,
    formula: fn(&mut Builder, &str, &str, i64) -> String,
) -> Result {
    let [g, y] = inputs(node)?;
    let axis = [int("axis", node.int("axis", 1))];
    let shape = b.call("Shape", &[y]);
    let (g, y) = (b.op("Flatten", &[g], &axis), b.op("Flatten", &[y], &axis));
    let dx = formula(b, &g, &y, 1);
    let dx = b.call("Reshape", &[&dx, &shape]);
    bind(b, node, 0, &dx);
    Ok(())
}

/// `g / (1 - ratio)` where the mask kept a value, else 0; `g` when not training. The ratio is 0.5 by
/// default.
pub(super) fn dropout(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, mask] = inputs(node)?;
    let (zero, one) = (b.scalar(0.0), b.scalar(1.0));
    let ratio = match node.input_at(2) {
        Some(ratio) => as_f32(b, ratio),
        None => b.scalar(0.5),
    };
    let kept = b.call("Sub", &[&one, &ratio]);
    let scaled = b.call("Div", &[g, &kept]);
    let mut dx = b.call("Where", &[mask, &scaled, &zero]);
    if let Some(training) = node.input_at(3) {
        dx = b.call("Where", &[training, &dx, g]);
    }
    bind(b, node, 0, &dx);
    Ok(())
}
