//! Layers of weights that neither their own name nor that of a node tells: from their neighbours.
//!
//! Exports call transposed weights `onnx::MatMul_123`, and optimizers drop the names of nodes. Then the
//! bias that is added to a product tells the layer; without one, the weight belongs to the last layer
//! among what the product's input comes from (a norm stands before it), or in the very first products
//! to the first layer behind.

use std::collections::HashMap;

use crate::graph::proto::{GraphProto, NodeProto};

use super::parameters::{Found, Linear, Place};

/// What is known of the values that a value comes from.
#[derive(Clone, Copy, Default)]
struct Before {
    layer: Option<usize>,
    /// Whether a named parameter that follows the last layer is among them.
    after: bool,
}

/// Gives nameless weights of linear layers a place and, where a bias has one, a readable name.
pub(super) fn place(graph: &GraphProto, found: &mut [Found], linear: &[Linear]) {
    let named: HashMap<String, Option<usize>> = found
        .iter()
        .filter(|f| !is_nameless(f))
        .map(|f| (f.name.clone(), layer(f.place)))
        .collect();
    let Some(last) = named.values().filter_map(|layer| *layer).max() else {
        return;
    };
    let before = before(graph, &named, last);
    let behind = behind(graph, &named);
    let biases = biases(graph);
    let mut nameless: HashMap<String, &mut Found> = found
        .iter_mut()
        .filter(|f| is_nameless(f))
        .map(|f| (f.name.clone(), f))
        .collect();
    for product in linear {
        let node = &graph.node[product.node];
        let Some(weight) = nameless.get_mut(&product.weight) else {
            continue;
        };
        let output = node.output_at(0).unwrap_or_default();
        let bias = node.input_at(2).or_else(|| biases.get(output).copied());
        if let Some(bias) = bias.filter(|bias| named.contains_key(*bias)) {
            if let Some(stem) = bias.strip_suffix(".bias") {
                weight.readable = format!("{stem}.weight");
            }
            if let Some(layer) = named[bias] {
                weight.place = Place::Layer(layer);
            }
            continue;
        }
        let from = node.input_at(0).and_then(|input| before.get(input));
        let from = from.copied().unwrap_or_default();
        if from.after {
            continue;
        }
        if let Some(layer) = from.layer.or_else(|| behind.get(output).copied()) {
            weight.place = Place::Layer(layer);
        }
    }
}

fn is_nameless(found: &Found) -> bool {
    found.place == Place::Embeddings
        && found.readable == found.name
        && found.name.starts_with("onnx::")
}

fn layer(place: Place) -> Option<usize> {
    match place {
        Place::Layer(layer) => Some(layer),
        _ => None,
    }
}

fn before<'a>(
    graph: &'a GraphProto,
    named: &HashMap<String, Option<usize>>,
    last: usize,
) -> HashMap<&'a str, Before> {
    let mut known: HashMap<&str, Before> = HashMap::new();
    for node in &graph.node {
        let mut all = Before::default();
        for input in node.input.iter().filter_map(|i| known.get(i.as_str())) {
            all.layer = all.layer.max(input.layer);
            all.after |= input.after;
        }
        let at_last = all.layer == Some(last);
        for parameter in node.input.iter().filter_map(|i| named.get(i)) {
            all.layer = all.layer.max(*parameter);
            all.after |= parameter.is_none() && at_last;
        }
        known.extend(node.output.iter().map(|o| (o.as_str(), all)));
    }
    known
}

/// The first layer among the named parameters that a value goes to.
fn behind<'a>(
    graph: &'a GraphProto,
    named: &HashMap<String, Option<usize>>,
) -> HashMap<&'a str, usize> {
    let mut known: HashMap<&str, usize> = HashMap::new();
    for node in graph.node.iter().rev() {
        let outputs = node.output.iter();
        let later = outputs.filter_map(|o| known.get(o.as_str()).copied()).min();
        let own = node.input.iter().filter_map(|i| named.get(i).copied());
        let Some(first) = own.flatten().chain(later).min() else {
            continue;
        };
        for input in &node.input {
            let entry = known.entry(input).or_insert(first);
            *entry = first.min(*entry);
        }
    }
    known
}

/// What is added to a value, where one thing is.
fn biases(graph: &GraphProto) -> HashMap<&str, &str> {
    let adds = |node: &&NodeProto| node.op_type == "Add";
    let mut biases = HashMap::new();
    for node in graph.node.iter().filter(adds) {
        if let (Some(a), Some(b)) = (node.input_at(0), node.input_at(1)) {
            biases.insert(a, b);
            biases.insert(b, a);
        }
    }
    biases
}
