//! The order of nodes. ONNX Runtime goes back from the last node that nobody reads, and computes first
//! what that one needs: the order decides for how long activations are kept.

use std::collections::{HashMap, HashSet};

use crate::graph::proto::GraphProto;

/// Puts the nodes that end in gradients last, those of the deepest parameters first among them. The
/// gradients of each layer are then computed before those of the layer below, and what the layer kept
/// is freed; otherwise the gradients of all weights are left for the end.
pub(super) fn gradients_last(graph: &mut GraphProto, gradients: &[String]) {
    let gradients: HashSet<&str> = gradients.iter().map(String::as_str).collect();
    let nodes = std::mem::take(&mut graph.node);
    let read: HashSet<String> = nodes.iter().flat_map(|node| node.input.clone()).collect();
    let (mut ends, others): (Vec<_>, Vec<_>) = nodes.into_iter().partition(|node| {
        let is_end = |name: &String| gradients.contains(name.as_str()) && !read.contains(name);
        node.output.iter().all(is_end)
    });
    ends.reverse();
    graph.node = others;
    graph.node.append(&mut ends);
}

/// Puts each node that makes a gradient right behind the last node that it reads from.
pub(super) fn gradients_soonest(graph: &mut GraphProto, gradients: &[String]) {
    let gradients: HashSet<&str> = gradients.iter().map(String::as_str).collect();
    let nodes = std::mem::take(&mut graph.node);
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        makers.extend(node.output.iter().map(|name| (name.as_str(), index)));
    }
    let place = |index: usize| {
        let node = &nodes[index];
        let makes = |name: &String| gradients.contains(name.as_str());
        if !node.output.iter().any(makes) {
            return (index, false, index);
        }
        let read = node
            .input
            .iter()
            .filter_map(|name| makers.get(name.as_str()));
        (read.copied().max().unwrap_or(0), true, index)
    };
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by_key(|&index| place(index));
    graph.node = order
        .into_iter()
        .map(|index| nodes[index].clone())
        .collect();
}
