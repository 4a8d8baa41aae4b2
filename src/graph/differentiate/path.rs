//! Which nodes lie between parameters and the scalar.

use std::collections::HashSet;

use super::super::GraphError;
use super::super::builder::Builder;
use super::super::proto::{GraphProto, NodeProto, elem};
use super::shapes::Shapes;
use super::{is_discrete, rules};

/// The part of a graph through which gradients flow.
pub(super) struct Path<'a> {
    /// Positions of its nodes, in order.
    pub(super) nodes: Vec<usize>,
    /// Values that depend on a parameter.
    reached: HashSet<&'a str>,
}

impl<'a> Path<'a> {
    /// Finds the nodes whose outputs depend on a parameter and on whose outputs the scalar depends.
    pub(super) fn find(
        graph: &'a GraphProto,
        shapes: &Shapes<'_>,
        of: &str,
        with_respect_to: &'a [String],
    ) -> Result<Self, GraphError> {
        let known: HashSet<&str> = graph.names_defined().collect();
        for name in with_respect_to.iter().map(String::as_str).chain([of]) {
            if !known.contains(name) {
                return Err(GraphError::Malformed(format!(
                    "the graph has no value `{name}`"
                )));
            }
        }
        let path = Self::between(graph, shapes, of, with_respect_to);
        let mut on_path: HashSet<&str> = path.values_read(graph);
        on_path.extend(known.get(of));
        for name in with_respect_to {
            if !on_path.contains(name.as_str()) {
                return Err(unreached(of, name));
            }
        }
        let mut others: Vec<(&str, i32)> = on_path
            .into_iter()
            .filter_map(|name| Some((name, shapes.elem(name)?)))
            .filter(|&(_, elem_type)| elem_type != elem::FLOAT)
            .collect();
        others.sort_unstable();
        if let Some((name, elem_type)) = others.first() {
            return Err(GraphError::Unsupported(format!(
                "`{name}` has element type {elem_type}: expected {} (f32); export the model in f32",
                elem::FLOAT
            )));
        }
        Ok(path)
    }

    /// The nodes between, without the checks of [`Path::find`].
    pub(super) fn between(
        graph: &'a GraphProto,
        shapes: &Shapes<'_>,
        of: &str,
        with_respect_to: &'a [String],
    ) -> Self {
        let mut path = Self {
            nodes: Vec::new(),
            reached: with_respect_to.iter().map(String::as_str).collect(),
        };
        for node in &graph.node {
            if path.wanted(node).contains(&true) || path.captures(node) {
                let outputs = node.output.iter().filter(|name| !name.is_empty());
                let outputs = outputs.filter(|name| !is_discrete(shapes.elem(name)));
                path.reached.extend(outputs.map(String::as_str));
            }
        }
        let mut needed: HashSet<&str> = HashSet::from([of]);
        for (position, node) in graph.node.iter().enumerate().rev() {
            let leads = |name: &String| {
                needed.contains(name.as_str()) && path.reached.contains(name.as_str())
            };
            let wanted = path.wanted(node);
            if node.output.iter().any(leads) && (wanted.contains(&true) || path.captures(node)) {
                path.nodes.push(position);
                let inputs = node.input.iter().zip(wanted).filter(|(_, wanted)| *wanted);
                needed.extend(inputs.map(|(name, _)| name.as_str()));
                needed.extend(
                    node.names_captured()
                        .into_iter()
                        .filter(|n| path.reached.contains(n)),
                );
            }
        }
        path.nodes.reverse();
        path
    }

    /// For each input of a node, whether its gradient is asked for.
    pub(super) fn wanted(&self, node: &NodeProto) -> Vec<bool> {
        let inputs = node.input.iter().enumerate();
        inputs
            .map(|(index, name)| {
                self.reached.contains(name.as_str()) && rules::is_differentiable(node, index)
            })
            .collect()
    }

    /// The values whose gradients the nodes of the path make.
    pub(super) fn values_read<'g>(&self, graph: &'g GraphProto) -> HashSet<&'g str> {
        let mut read = HashSet::new();
        for &position in &self.nodes {
            let node = &graph.node[position];
            let wanted = self.wanted(node);
            let inputs = node.input.iter().zip(wanted).filter(|(_, wanted)| *wanted);
            read.extend(inputs.map(|(name, _)| name.as_str()));
            // an error will tell of these
            read.extend(
                node.names_captured()
                    .into_iter()
                    .filter(|name| self.reached.contains(name)),
            );
        }
        read
    }

    /// Whether the subgraphs of a node read a value that depends on a parameter.
    fn captures(&self, node: &NodeProto) -> bool {
        let captured = node.names_captured();
        captured.iter().any(|name| self.reached.contains(name))
    }
}

/// The error for a parameter on which the scalar does not depend.
pub(super) fn unreached(of: &str, parameter: &str) -> GraphError {
    GraphError::Unsupported(format!(
        "`{of}` does not depend on the parameter `{parameter}`"
    ))
}

/// Checks that every value is made once, and before it is read.
pub(super) fn check_order(graph: &GraphProto) -> Result<(), GraphError> {
    let mut known: HashSet<&str> = graph
        .input
        .iter()
        .map(|value| value.name.as_str())
        .collect();
    known.extend(graph.initializer.iter().map(|tensor| tensor.name.as_str()));
    for node in &graph.node {
        let malformed = |what: String| {
            let (name, operator) = (node.label(), &node.op_type);
            Err(GraphError::Malformed(format!(
                "`{name}` ({operator}): {what}"
            )))
        };
        for input in node.input.iter().filter(|name| !name.is_empty()) {
            if !known.contains(input.as_str()) {
                return malformed(format!("its input `{input}` is not made before it"));
            }
        }
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if !known.insert(output) {
                return malformed(format!("its output `{output}` is made elsewhere too"));
            }
        }
    }
    Ok(())
}

/// Keeps a builder from using any name of a graph, those of subgraphs included, and from calling a
/// node as one is called already.
pub(super) fn reserve_names(builder: &mut Builder, graph: &GraphProto) {
    builder.reserve(graph.names_defined());
    let nodes = graph.node.iter();
    builder.reserve(nodes.filter_map(|node| node.name.strip_suffix("_node")));
    for inner in graph.node.iter().flat_map(NodeProto::graphs) {
        reserve_names(builder, inner);
    }
}
