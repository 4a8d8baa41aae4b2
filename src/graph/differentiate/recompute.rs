//! Layers whose inner values are made again for the backward pass, so that they need not be kept.
//!
//! A layer is what lies between two places where few values are alive, one attention softmax apart.
//! Its nodes are written a second time, behind a selection that changes nothing but waits for the
//! gradient that enters the layer from above: neither can a runtime merge the two copies, nor can the
//! second one run before its turn. The last layer is not made again, as its backward pass comes at
//! once.

use std::collections::HashMap;

use super::super::builder::Builder;
use super::super::proto::{GraphProto, NodeProto, TensorProto};
use super::path::Path;

/// The layers that are made again.
#[derive(Debug, Default)]
pub(super) struct Recomputed {
    layers: Vec<Layer>,
    /// For nodes of the graph, by position: the layer, and the copy's place in it.
    copies: HashMap<usize, (usize, usize)>,
}

#[derive(Debug)]
struct Layer {
    copies: Vec<NodeProto>,
    /// Values from before the layer, and their names behind the selection.
    enters: Vec<(String, String)>,
    written: bool,
}

impl Recomputed {
    /// Finds the layers and names their values anew. Gives with them the new names, each with the old.
    pub(super) fn layers(
        graph: &GraphProto,
        path: &Path<'_>,
        b: &mut Builder,
    ) -> (Self, Vec<(String, String)>) {
        let (mut found, mut renamed) = (Self::default(), Vec::new());
        let bounds = bounds(graph, path);
        for (from, to) in bounds.iter().zip(bounds.iter().skip(1)) {
            let positions = &path.nodes[from + 1..=*to];
            let layer = layer(graph, path, positions, b, &mut renamed);
            let places = positions.iter().enumerate();
            let number = found.layers.len();
            found
                .copies
                .extend(places.map(|(place, &position)| (position, (number, place))));
            found.layers.push(layer);
        }
        (found, renamed)
    }

    /// The copy of the node at a position, if it has one; its layer is written when `gradient`, which
    /// comes from above, first reaches it.
    pub(super) fn copy(
        &mut self,
        position: usize,
        gradient: &str,
        b: &mut Builder,
    ) -> Option<NodeProto> {
        let &(number, place) = self.copies.get(&position)?;
        let layer = &mut self.layers[number];
        if !layer.written {
            layer.written = true;
            layer.write(gradient, b);
        }
        layer.copies.get(place).cloned()
    }
}

impl Layer {
    fn write(&self, gradient: &str, b: &mut Builder) {
        let flat = b.ints(&[-1]);
        let first = b.constant(TensorProto::from_i64("constant", &[], &[0]));
        let elements = b.call("Reshape", &[gradient, &flat]);
        let element = b.call("Gather", &[&elements, &first]);
        let either = b.call("IsNaN", &[&element]);
        for (value, name) in &self.enters {
            b.op_to("", "Where", &[&either, value, value], &[name], &[]);
        }
        for copy in &self.copies {
            b.node(copy.clone());
        }
    }
}

fn layer(
    graph: &GraphProto,
    path: &Path<'_>,
    positions: &[usize],
    b: &mut Builder,
    renamed: &mut Vec<(String, String)>,
) -> Layer {
    let mut names: HashMap<&str, String> = HashMap::new();
    let mut enters = Vec::new();
    let made_before = |name: &str| path.made.get(name).is_some_and(|at| *at < positions[0]);
    let mut copies = Vec::new();
    for &position in positions {
        let node = &graph.node[position];
        let mut copy = node.clone();
        for input in &mut copy.input {
            let old = input.clone();
            if let Some(name) = names.get(old.as_str()) {
                input.clone_from(name);
            } else if made_before(&old) {
                let name = b.fresh(&format!("{old}.again"));
                let (old, _) = path
                    .made
                    .get_key_value(old.as_str())
                    .expect("it was found above");
                names.insert(old, name.clone());
                enters.push(((*old).to_owned(), name.clone()));
                *input = name;
            }
        }
        for output in copy.output.iter_mut().filter(|name| !name.is_empty()) {
            *output = b.fresh(&format!("{output}.again"));
        }
        copy.name = copy
            .output_at(0)
            .map_or_else(String::new, |output| format!("{output}_node"));
        names.extend(
            node.output
                .iter()
                .map(String::as_str)
                .zip(copy.output.iter().cloned()),
        );
        with_statistics(&mut copy, b);
        copies.push(copy);
    }
    names.remove("");
    renamed.extend(names.into_iter().map(|(old, new)| (new, old.to_owned())));
    Layer {
        copies,
        enters,
        written: false,
    }
}

/// Gives a norm all its outputs, which its gradient wants.
fn with_statistics(node: &mut NodeProto, b: &mut Builder) {
    let outputs = match node.op_type.as_str() {
        "LayerNormalization" => 3,
        "SimplifiedLayerNormalization" | "SoftmaxCrossEntropyLoss" => 2,
        _ => return,
    };
    node.output
        .resize(outputs.max(node.output.len()), String::new());
    let base = node.output[0].clone();
    for (index, output) in node.output.iter_mut().enumerate() {
        if output.is_empty() {
            *output = b.fresh(&format!("{base}_{index}"));
        }
    }
}

/// Places in the path after which few values are alive: one before the first softmax, one between each
/// two.
fn bounds(graph: &GraphProto, path: &Path<'_>) -> Vec<usize> {
    let alive = alive(graph, path);
    let softmaxes: Vec<usize> = (0..path.nodes.len())
        .filter(|&place| graph.node[path.nodes[place]].op_type == "Softmax")
        .collect();
    let mut from = 0;
    let mut bounds = Vec::new();
    for &softmax in &softmaxes {
        let places = from..softmax;
        // the last one of the best
        bounds.extend(places.rev().min_by_key(|&place| alive[place]));
        from = softmax;
    }
    bounds
}

/// For each node of the path, how many values that it or earlier ones made are read by later ones.
fn alive(graph: &GraphProto, path: &Path<'_>) -> Vec<usize> {
    let places: HashMap<usize, usize> = path
        .nodes
        .iter()
        .enumerate()
        .map(|(place, &position)| (position, place))
        .collect();
    let mut ends: HashMap<&str, usize> = HashMap::new();
    for (place, &position) in path.nodes.iter().enumerate() {
        for input in &graph.node[position].input {
            if path.made.contains_key(input.as_str()) {
                ends.insert(input, place);
            }
        }
    }
    let mut change = vec![0_isize; path.nodes.len() + 1];
    for (name, end) in ends {
        if let Some(start) = path
            .made
            .get(name)
            .and_then(|position| places.get(position))
        {
            change[*start] += 1;
            change[end] -= 1;
        }
    }
    let mut alive = 0_isize;
    let counts = change.iter().take(path.nodes.len()).map(|change| {
        alive += change;
        alive.unsigned_abs()
    });
    counts.collect()
}
