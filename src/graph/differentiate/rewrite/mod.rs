//! Changes to the forward graph between parameters and scalar, before it is differentiated.
//!
//! Operators that runtimes fused and that have no gradient of their own are written out
//! ([`decompose`]); then groups of nodes that have a short gradient as one operator become that
//! operator ([`fuse`]), for speed and because fewer values are kept for the backward pass. Elsewhere
//! the graph stays as it is: what is frozen is best left to the runtime's own optimizer.

use std::collections::{HashMap, HashSet};

use super::super::builder::Builder;
use super::super::proto::{GraphProto, NodeProto};
use super::path::{Path, reserve_names};
use super::shapes::Shapes;
use super::{is_discrete, known_domain};

mod decompose;
mod fuse;

/// What replaces a node: it writes to a builder the nodes that make the same outputs, and says so.
type Replacement = fn(&Around<'_>, &NodeProto, &mut Builder) -> bool;

/// Writes out and fuses the operators on the way.
pub(super) fn rewrite(graph: &mut GraphProto, of: &str, with_respect_to: &[String]) {
    replace(graph, of, with_respect_to, decompose::written_out);
    let made = |name: &String| graph.node.iter().any(|node| node.output.contains(name));
    // an inner value whose gradient is asked for might vanish inside an operator
    if !with_respect_to.iter().any(made) {
        replace(graph, of, with_respect_to, fuse::fused);
    }
}

/// What a replacement may look at.
struct Around<'a> {
    shapes: &'a Shapes<'a>,
    makers: HashMap<&'a str, &'a NodeProto>,
    readers: HashMap<&'a str, usize>,
}

impl<'a> Around<'a> {
    fn new(graph: &'a GraphProto, shapes: &'a Shapes<'a>) -> Self {
        let mut makers = HashMap::new();
        let mut readers = HashMap::new();
        for node in &graph.node {
            makers.extend(node.output.iter().map(|name| (name.as_str(), node)));
            for name in node.names_read() {
                *readers.entry(name).or_default() += 1;
            }
        }
        for value in &graph.output {
            *readers.entry(value.name.as_str()).or_default() += 1;
        }
        Self {
            shapes,
            makers,
            readers,
        }
    }

    /// The node that makes a value, if it is a standard operator of that type; casts of f32 to f32 in
    /// between are nothing.
    fn maker(&self, value: &str, op_type: &str) -> Option<&'a NodeProto> {
        let node = self.makers.get(self.behind_casts(value))?;
        (node.op_type == op_type && known_domain(node)).then_some(*node)
    }

    fn behind_casts<'v>(&self, value: &'v str) -> &'v str
    where
        'a: 'v,
    {
        let mut value = value;
        while let Some(node) = self.makers.get(value)
            && node.op_type == "Cast"
            && let Some(input) = node.input_at(0)
            && self.shapes.elem(input).is_some()
            && self.shapes.elem(input) == self.shapes.elem(value)
        {
            value = input;
        }
        value
    }
}

fn replace(graph: &mut GraphProto, of: &str, with_respect_to: &[String], replacement: Replacement) {
    let Some((new, read_before)) = replaced(graph, of, with_respect_to, replacement) else {
        return;
    };
    graph.node = new.node;
    graph.initializer.extend(new.initializer);
    let keep = with_respect_to.iter().map(String::as_str).chain([of]);
    drop_unread(graph, &read_before, keep);
}

/// All nodes with those in place of others, new constants, and the names that were read before;
/// `None` when nothing changes.
fn replaced(
    graph: &GraphProto,
    of: &str,
    with_respect_to: &[String],
    replacement: Replacement,
) -> Option<(GraphProto, HashSet<String>)> {
    let shapes = Shapes::of(graph);
    let path = Path::between(graph, &shapes, of, with_respect_to);
    let around = Around::new(graph, &shapes);
    let mut builder = Builder::new("forward");
    reserve_names(&mut builder, graph);
    let on_path: HashSet<usize> = path.nodes.iter().copied().collect();
    let mut changed = false;
    for (position, node) in graph.node.iter().enumerate() {
        let replace = on_path.contains(&position) && known_domain(node);
        if replace && replacement(&around, node, &mut builder) {
            changed = true;
        } else {
            builder.node(node.clone());
        }
    }
    let new = builder.finish().graph.filter(|_| changed)?;
    let read = around.readers.keys().map(|&name| name.to_owned());
    Some((new, read.collect()))
}

/// Drops the nodes that were read before and are not any more.
fn drop_unread<'a>(
    graph: &mut GraphProto,
    read_before: &HashSet<String>,
    keep: impl Iterator<Item = &'a str>,
) {
    let mut read: HashSet<String> = keep.map(str::to_owned).collect();
    read.extend(graph.output.iter().map(|value| value.name.clone()));
    let mut kept = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node).into_iter().rev() {
        let now = node.output.iter().any(|name| read.contains(name));
        let before = node.output.iter().any(|name| read_before.contains(name));
        if now || !before {
            read.extend(node.names_read().into_iter().map(str::to_owned));
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
}

/// Whether a value certainly is a vector.
fn is_vector(shapes: &Shapes<'_>, value: &str) -> bool {
    shapes.rank(value) == Some(1) && !is_discrete(shapes.elem(value))
}
