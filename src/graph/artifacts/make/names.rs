//! Names of values in graphs with subgraphs: who reads them, renaming, and what an output needs.

use std::collections::{HashMap, HashSet};

use crate::graph::proto::{GraphProto, NodeProto};

/// Adds every name that a node reads, its subgraphs included.
///
/// Names made inside a subgraph are among them; they are unique in a whole model.
pub(super) fn add_reads<'a>(node: &'a NodeProto, reads: &mut HashSet<&'a str>) {
    reads.extend(node.input.iter().map(String::as_str));
    for graph in subgraphs(node) {
        reads.extend(graph.output.iter().map(|v| v.name.as_str()));
        graph.node.iter().for_each(|inner| add_reads(inner, reads));
    }
}

/// The graphs in a node's attributes: branches and loop bodies.
pub(super) fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute
        .iter()
        .flat_map(|a| a.g.iter().chain(&a.graphs))
}

/// Drops nodes, initializers and inputs that no output depends on.
pub(super) fn prune(graph: &mut GraphProto) {
    let mut needed: HashSet<String> = graph.output.iter().map(|v| v.name.clone()).collect();
    let mut kept = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node).into_iter().rev() {
        if node.output.iter().any(|name| needed.contains(name)) {
            let mut reads = HashSet::new();
            add_reads(&node, &mut reads);
            needed.extend(reads.into_iter().map(str::to_owned));
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    graph.initializer.retain(|t| needed.contains(&t.name));
    graph.input.retain(|v| needed.contains(&v.name));
    graph.value_info.retain(|v| needed.contains(&v.name));
}

/// Gives values other names, everywhere.
pub(super) fn rename(graph: &mut GraphProto, names: &HashMap<String, String>) {
    if names.is_empty() {
        return;
    }
    let change = |name: &mut String| {
        if let Some(new) = names.get(name) {
            name.clone_from(new);
        }
    };
    let values = graph.input.iter_mut().chain(&mut graph.output);
    for value in values.chain(&mut graph.value_info) {
        change(&mut value.name);
    }
    for tensor in &mut graph.initializer {
        change(&mut tensor.name);
    }
    for node in &mut graph.node {
        node.input
            .iter_mut()
            .chain(&mut node.output)
            .for_each(change);
        for attribute in &mut node.attribute {
            for inner in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                rename(inner, names);
            }
        }
    }
}
