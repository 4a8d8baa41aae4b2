//! Names of values in graphs with subgraphs: renaming, and what an output needs.

use std::collections::HashMap;

use crate::graph::proto::GraphProto;

/// Drops nodes, initializers and inputs that no output depends on.
pub(super) fn prune(graph: &mut GraphProto) {
    let needed = graph.prune();
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
        node.graphs_mut().for_each(|inner| rename(inner, names));
    }
}
