//! The cross-entropy loss.

use super::{NodeProto, Result, bind, inputs};
use crate::graph::builder::{Builder, int};
use crate::graph::gradients::losses::{
    Labels, softmax_cross_entropy_loss, weighted_softmax_cross_entropy,
};
use crate::graph::proto::TensorProto;

/// Loss and log probabilities. Inputs: scores, labels, weights of classes, the label to ignore.
pub(super) fn softmax_cross_entropy(b: &mut Builder, node: &NodeProto) -> Result {
    let [scores, classes] = inputs(node)?;
    let ignore_index = ignore_index(b, node, 3);
    let labels = Labels {
        classes,
        weights: node.input_at(2),
        ignore_index: ignore_index.as_deref(),
    };
    let log_p = b.op("LogSoftmax", &[scores], &[int("axis", 1)]);
    let loss = softmax_cross_entropy_loss(b, &log_p, &labels, &reduction(node))?;
    bind(b, node, 0, &loss);
    bind(b, node, 1, &log_p);
    Ok(())
}

/// Inputs: gradient, log probabilities, labels, weights of classes, the label to ignore, a gradient
/// that is added.
pub(super) fn softmax_cross_entropy_grad(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, log_p, classes] = inputs(node)?;
    let ignore_index = ignore_index(b, node, 4);
    let labels = Labels {
        classes,
        weights: node.input_at(3),
        ignore_index: ignore_index.as_deref(),
    };
    let mut dx = weighted_softmax_cross_entropy(b, g, log_p, &labels, &reduction(node))?;
    if let Some(bias) = node.input_at(5) {
        dx = b.call("Add", &[&dx, bias]);
    }
    bind(b, node, 0, &dx);
    Ok(())
}

/// An input of the internal operators, an attribute of the others.
fn ignore_index(b: &mut Builder, node: &NodeProto, input: usize) -> Option<String> {
    if let Some(value) = node.input_at(input) {
        return Some(value.to_owned());
    }
    let attribute = node.attribute("ignore_index")?;
    Some(b.constant(TensorProto::from_i64("constant", &[], &[attribute.i])))
}

fn reduction(node: &NodeProto) -> String {
    node.attribute("reduction").map_or_else(
        || "mean".to_owned(),
        |a| String::from_utf8_lossy(&a.s).into_owned(),
    )
}
