//! What is done to a lowered graph at the end: nodes that nothing needs are dropped, and those that
//! only rename a value.

use std::collections::{HashMap, HashSet};

use crate::graph::GraphError;
use crate::graph::proto::{GraphProto, ModelProto, NodeProto};

/// The model without nodes and constants that no output depends on, such as the gradients of the
/// data, and without needless `Identity` nodes.
///
/// # Errors
/// [`GraphError::Malformed`] when nodes do not come after those they depend on, as in a cycle.
pub(super) fn tidied(model: ModelProto) -> Result<ModelProto, GraphError> {
    tidied_with(model, &mut [])
}

/// As [`tidied`]; the names of values are changed where the values are.
///
/// # Errors
/// As [`tidied`].
pub(super) fn tidied_with(
    mut model: ModelProto,
    values: &mut [String],
) -> Result<ModelProto, GraphError> {
    if let Some(graph) = &mut model.graph {
        graph.prune();
        collapse(graph, values);
        check_order(graph)?;
        tell_apart(graph);
    }
    Ok(model)
}

/// Gives nodes of the same name names of their own, as the runtime demands: a value that was renamed
/// leaves its node's name behind, which an added node may have too.
fn tell_apart(graph: &mut GraphProto) {
    let mut taken: HashSet<String> = graph.node.iter().map(|node| node.name.clone()).collect();
    let mut seen = HashSet::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for node in graph.node.iter_mut().filter(|node| !node.name.is_empty()) {
        if seen.insert(node.name.clone()) {
            continue;
        }
        let base = node.name.clone();
        let number = numbers.entry(base.clone()).or_default();
        while !taken.insert(node.name.clone()) {
            *number += 1;
            node.name = format!("{base}.{number}");
        }
    }
}

/// Removes `Identity` nodes: their readers read the source, and a graph's output is made under its
/// name at once.
fn collapse(graph: &mut GraphProto, values: &mut [String]) {
    let outputs: HashSet<&str> = graph.output.iter().map(|v| v.name.as_str()).collect();
    let made: HashSet<&String> = graph.node.iter().flat_map(|node| &node.output).collect();
    let mut sources: HashMap<String, String> = HashMap::new();
    let mut names: HashMap<String, String> = HashMap::new();
    let mut dropped = HashSet::new();
    for (index, node) in graph.node.iter().enumerate() {
        let ("Identity", "", [input], [output]) = (
            node.op_type.as_str(),
            node.domain.as_str(),
            node.input.as_slice(),
            node.output.as_slice(),
        ) else {
            continue;
        };
        let input = sources.get(input).unwrap_or(input).clone();
        if !outputs.contains(output.as_str()) {
            sources.insert(output.clone(), input);
        } else if made.contains(&input)
            && !outputs.contains(input.as_str())
            && !names.contains_key(&input)
        {
            names.insert(input, output.clone());
        } else {
            continue;
        }
        dropped.insert(index);
    }
    let renamed = |name: &str| -> String {
        let name = sources.get(name).map_or(name, String::as_str);
        names.get(name).map_or(name, String::as_str).to_owned()
    };
    for value in values {
        *value = renamed(value);
    }
    let mut kept = Vec::with_capacity(graph.node.len() - dropped.len());
    for (index, mut node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
        if !dropped.contains(&index) {
            rename_in(&mut node, &renamed);
            kept.push(node);
        }
    }
    graph.node = kept;
}

/// Changes the names of values that a node reads and makes, inside its subgraphs too.
pub(super) fn rename_in(node: &mut NodeProto, rename: &dyn Fn(&str) -> String) {
    for name in node.input.iter_mut().chain(&mut node.output) {
        if !name.is_empty() {
            *name = rename(name);
        }
    }
    for graph in node.graphs_mut() {
        for inner in &mut graph.node {
            rename_in(inner, rename);
        }
        for value in &mut graph.output {
            value.name = rename(&value.name);
        }
    }
}

fn check_order(graph: &GraphProto) -> Result<(), GraphError> {
    let inputs = graph.input.iter().map(|v| v.name.as_str());
    let constants = graph.initializer.iter().map(|t| t.name.as_str());
    let mut known: HashSet<&str> = inputs.chain(constants).collect();
    for node in &graph.node {
        if let Some(name) = node
            .input
            .iter()
            .find(|name| !name.is_empty() && !known.contains(name.as_str()))
        {
            return Err(GraphError::Malformed(format!(
                "`{name}` is used by `{}` ({}) before it is made",
                node.label(),
                node.op_type
            )));
        }
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            if !known.insert(name) {
                return Err(GraphError::Malformed(format!("`{name}` is made twice")));
            }
        }
    }
    let missing = |v: &&crate::graph::proto::ValueInfoProto| !known.contains(v.name.as_str());
    match graph.output.iter().find(missing) {
        None => Ok(()),
        Some(value) => Err(GraphError::Malformed(format!(
            "output `{}` is not made",
            value.name
        ))),
    }
}
