//! What replaces a training operator: the formulas of `gradients`, bound to the outputs of the
//! replaced node.

use super::refused::{is_stock, refusal};
use crate::graph::GraphError;
use crate::graph::builder::{Builder, MICROSOFT, int};
use crate::graph::proto::{AttributeProto, NodeProto, elem};

mod activations;
mod indexing;
mod losses;
mod norms;
mod shapes;

type Result<T = ()> = std::result::Result<T, GraphError>;

/// Adds nodes that make the outputs of a training operator.
type Rule = fn(&mut Builder, &NodeProto) -> Result;

/// The replacements, by operator of `com.microsoft`.
pub(super) const RULES: [(&str, Rule); 29] = [
    ("BiasFastGeluGrad_dX", activations::bias_fast_gelu),
    ("BiasGeluGrad_dX", activations::bias_gelu),
    ("BroadcastGradientArgs", shapes::broadcast_gradient_args),
    ("ConcatTraining", shapes::concat),
    ("DivGrad", shapes::div),
    ("DropoutGrad", activations::dropout),
    ("FastGeluGrad", activations::fast_gelu),
    ("GatherElementsGrad", indexing::gather_elements),
    ("GatherGrad", indexing::gather),
    ("GatherNDGrad", indexing::gather_nd),
    ("GeluGrad", activations::gelu),
    ("LayerNormalizationGrad", norms::layer_norm),
    ("LeakyReluGrad", activations::leaky_relu),
    ("LogSoftmaxGrad", activations::flat_log_softmax),
    ("LogSoftmaxGrad_13", activations::log_softmax),
    ("QuickGeluGrad", activations::quick_gelu),
    ("ReduceSumTraining", shapes::reduce_sum),
    ("ReluGrad", activations::relu),
    ("Scale", shapes::scale),
    ("SigmoidGrad", activations::sigmoid),
    (
        "SimplifiedLayerNormalizationGrad",
        norms::simplified_layer_norm,
    ),
    ("SliceGrad", indexing::slice),
    (
        "SoftmaxCrossEntropyLossGrad",
        losses::softmax_cross_entropy_grad,
    ),
    (
        "SoftmaxCrossEntropyLossInternal",
        losses::softmax_cross_entropy,
    ),
    (
        "SoftmaxCrossEntropyLossInternalGrad",
        losses::softmax_cross_entropy_grad,
    ),
    ("SoftmaxGrad", activations::flat_softmax),
    ("SoftmaxGrad_13", activations::softmax),
    ("SplitTraining", shapes::split),
    ("TanhGrad", activations::tanh),
];

/// Adds a node as it is, or what replaces it.
///
/// # Errors
/// [`GraphError::Operator`] for an operator that is neither known to stock runtimes nor replaced.
pub(super) fn lower_node(b: &mut Builder, node: NodeProto) -> Result {
    if node.domain == MICROSOFT
        && let Some((_, rule)) = RULES.iter().find(|(name, _)| *name == node.op_type)
    {
        return rule(b, &node);
    }
    check_stock(&node)?;
    b.node(node);
    Ok(())
}

/// Whether a node, and every one in its subgraphs, is known to stock runtimes.
fn check_stock(node: &NodeProto) -> Result {
    if !is_stock(node) {
        return Err(refusal(node));
    }
    let mut inner = node.graphs().flat_map(|graph| &graph.node);
    inner.try_for_each(check_stock)
}

/// The first `N` inputs of a node, all of which must be given.
pub(super) fn inputs<const N: usize>(node: &NodeProto) -> Result<[&str; N]> {
    let mut found = [""; N];
    for (index, input) in found.iter_mut().enumerate() {
        *input = node.input_at(index).ok_or_else(|| {
            let name = node.label();
            let operator = &node.op_type;
            GraphError::Malformed(format!("`{name}` ({operator}) lacks input {index}"))
        })?;
    }
    Ok(found)
}

/// The error of a node whose attributes or inputs are beyond what its rule handles.
fn unsupported(node: &NodeProto, what: &str) -> GraphError {
    let name = node.label();
    GraphError::Unsupported(format!("`{name}` ({}): {what}", node.op_type))
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

/// A number of any type as f32.
fn as_f32(b: &mut Builder, value: &str) -> String {
    b.op("Cast", &[value], &[int("to", elem::FLOAT.into())])
}
