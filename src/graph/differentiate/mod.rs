//! Reverse-mode differentiation of forward graphs.
//!
//! [`differentiate`] appends to a model the nodes that compute the gradients of one of its scalars.
//! The work is done in three steps: fused operators on the way are written out or, the other way
//! round, written-out ones that have a short gradient are fused (`rewrite`); what is known of
//! shapes is gathered (`shapes`), so that most sums over broadcast axes and most reshapes need no
//! computed shape; then the nodes that lie between parameters and scalar are gone through backwards,
//! each handing the gradient of its outputs on to its inputs by the rule of its operator (`rules`).
//! Where a shape is not known before the run, the nodes written find it out: a gradient always has the
//! shape of its parameter.

use std::collections::{HashMap, HashSet};

use super::GraphError;
use super::builder::{Builder, MICROSOFT, OPSET};
use super::proto::{
    GraphProto, ModelProto, NodeProto, OperatorSetId, TensorProto, ValueInfoProto, elem,
};
use backward::{Backward, Call};
use shapes::{Shapes, Size};

mod backward;
mod path;
mod rewrite;
mod rules;
mod shapes;

#[cfg(test)]
mod tests;

/// Versions of the default operator set that are read.
pub const OPSETS: std::ops::RangeInclusive<i64> = 13..=22;

/// A forward model with the gradients of one scalar appended.
#[derive(Clone, Debug, PartialEq)]
pub struct Differentiated {
    /// Forward and backward nodes; inputs and outputs as before. Its operator set is that of the
    /// forward model, at least 17.
    pub model: ModelProto,
    /// The name of each gradient in the graph, in the order in which they were asked for. Two
    /// gradients that are always equal may have one name.
    pub gradients: Vec<String>,
}

/// Appends the gradients of the scalar `of` with respect to parameters to a forward model.
///
/// A parameter is an initializer or an input, f32; any other value of the graph will do as well. Each
/// gradient has exactly the shape of its parameter. Nothing is computed for what no parameter
/// reaches, so that the frozen part of a model costs its forward pass only. Where `Max`, `Min`,
/// `ReduceMax` or `ReduceMin` have several extreme elements, these share the gradient in equal parts;
/// `Clip` passes it at its bounds; `Abs` and `Relu` have the slope 0 at 0.
///
/// # Errors
/// [`GraphError::Malformed`] for a graph that is not in order or lacks a value;
/// [`GraphError::Unsupported`] for a parameter on which `of` does not depend, for values on the way
/// that are not f32, and for rare forms of operators; [`GraphError::Operator`] for an operator on the
/// way that has no rule, with a hint that names the export option that avoids it.
pub fn differentiate(
    forward: &ModelProto,
    of: &str,
    with_respect_to: &[String],
) -> Result<Differentiated, GraphError> {
    let opset = forward.opset();
    if !OPSETS.contains(&opset) {
        return Err(GraphError::Unsupported(format!(
            "operator set {opset}: expected {} to {}",
            OPSETS.start(),
            OPSETS.end()
        )));
    }
    let graph = forward.graph.as_ref();
    let graph = graph.ok_or_else(|| GraphError::Malformed("the model has no graph".into()))?;
    path::check_order(graph)?;
    let mut model = forward.clone();
    let mut graph = model.graph.take().unwrap_or_default();
    rewrite::rewrite(&mut graph, of, with_respect_to);
    let (nodes, constants, gradients) = backward_pass(&graph, of, with_respect_to, opset)?;
    for (position, outputs) in nodes.extended {
        graph.node[position].output = outputs;
    }
    graph.node.extend(nodes.written);
    graph.initializer.extend(constants);
    model.graph = Some(graph);
    raise_opset(&mut model, opset.max(OPSET));
    Ok(Differentiated { model, gradients })
}

/// The f32 initializers of a model on which the value `of` depends through differentiable operators,
/// in the order in which the model lists them: the parameters that can be trained.
#[must_use]
pub fn parameters_of(forward: &ModelProto, of: &str) -> Vec<String> {
    let Some(graph) = &forward.graph else {
        return Vec::new();
    };
    let floats = graph
        .initializer
        .iter()
        .filter(|t| t.data_type == elem::FLOAT);
    let floats: Vec<String> = floats.map(|tensor| tensor.name.clone()).collect();
    let shapes = Shapes::of(graph);
    let used = path::Path::between(graph, &shapes, of, &floats).values_read(graph);
    let is_used = |name: &String| used.contains(name.as_str());
    floats
        .iter()
        .filter(|name| is_used(name))
        .cloned()
        .collect()
}

/// New nodes, and forward nodes with more outputs than before.
struct Nodes {
    written: Vec<NodeProto>,
    extended: HashMap<usize, Vec<String>>,
}

fn backward_pass(
    graph: &GraphProto,
    of: &str,
    with_respect_to: &[String],
    opset: i64,
) -> Result<(Nodes, Vec<TensorProto>, Vec<String>), GraphError> {
    let shapes = Shapes::of(graph);
    let path = path::Path::find(graph, &shapes, of, with_respect_to)?;
    let mut builder = Builder::with_opset("backward", opset.max(OPSET));
    path::reserve_names(&mut builder, graph);
    let mut backward = Backward::new(builder, &shapes);
    // what cannot be done at all is said before what cannot be done in detail
    for &position in &path.nodes {
        rules::rule(&graph.node[position])?;
    }
    let seed = seed(&mut backward, of)?;
    backward.add_part(of, seed);

    let asked: HashSet<&str> = with_respect_to.iter().map(String::as_str).collect();
    let mut done: HashMap<&str, String> = HashMap::new();
    for &position in path.nodes.iter().rev() {
        let node = &graph.node[position];
        let mut gradients = Vec::new();
        for output in &node.output {
            let gradient = backward.gradient(output);
            if let (Some(gradient), Some(name)) = (&gradient, asked.get(output.as_str())) {
                done.insert(name, gradient.clone());
            }
            gradients.push(gradient);
        }
        if gradients.iter().all(Option::is_none) {
            continue;
        }
        let rule = rules::rule(node)?;
        let call = Call {
            node,
            position,
            gradients,
            wanted: path.wanted(node),
        };
        rule(&mut backward, &call)?;
    }
    let mut gradients = Vec::new();
    for name in with_respect_to {
        if let Some(gradient) = backward.gradient(name) {
            done.insert(name, gradient);
        }
        let gradient = done.get(name.as_str()).cloned();
        gradients.push(gradient.ok_or_else(|| path::unreached(of, name))?);
    }
    let Backward { b, extended, .. } = backward;
    let mut written = b.finish().graph.unwrap_or_default();
    let outputs = gradients.iter();
    written.output = outputs
        .map(|name| ValueInfoProto::tensor(name, elem::FLOAT, Vec::new()))
        .collect();
    written.prune();
    let nodes = Nodes {
        written: written.node,
        extended,
    };
    Ok((nodes, written.initializer, gradients))
}

/// The gradient of the scalar with respect to itself.
fn seed(backward: &mut Backward<'_>, of: &str) -> Result<String, GraphError> {
    let several = |dim: &Option<Size>| dim.as_ref().and_then(Size::number).is_some_and(|n| n != 1);
    if let Some(dims) = backward
        .shapes
        .dims(of)
        .filter(|dims| dims.iter().any(several))
    {
        let dims: Vec<String> = dims
            .iter()
            .map(|dim| dim.as_ref().map_or_else(String::new, ToString::to_string))
            .collect();
        return Err(GraphError::Unsupported(format!(
            "`{of}` has the shape [{}]: expected a scalar",
            dims.join(", ")
        )));
    }
    if let Some(dims) = backward.shapes.numbers(of) {
        let one = TensorProto::from_f32("constant", &dims, &[1.0]);
        return Ok(backward.b.constant(one));
    }
    let shape = backward.shape_of(of);
    let one = backward.b.scalar(1.0);
    Ok(backward.b.call("Expand", &[&one, &shape]))
}

/// Whether a node belongs to a domain whose operators have rules.
fn known_domain(node: &NodeProto) -> bool {
    matches!(node.domain.as_str(), "" | "ai.onnx") || node.domain == MICROSOFT
}

/// Whether a value carries no gradient for its element type.
fn is_discrete(elem_type: Option<i32>) -> bool {
    const FLOATS: [i32; 4] = [elem::FLOAT, 10, elem::DOUBLE, 16];
    elem_type.is_some_and(|elem_type| !FLOATS.contains(&elem_type))
}

fn raise_opset(model: &mut ModelProto, opset: i64) {
    for set in &mut model.opset_import {
        if set.domain.is_empty() || set.domain == "ai.onnx" {
            set.version = opset;
        }
    }
    if !model.opset_import.iter().any(|set| set.domain == MICROSOFT) {
        model.opset_import.push(OperatorSetId {
            domain: MICROSOFT.into(),
            version: 1,
        });
    }
    // the oldest format that may declare this operator set
    model.ir_version = model.ir_version.max(8);
}
