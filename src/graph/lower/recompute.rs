//! Trades time for memory: what a backward pass reads of a layer is computed again instead of kept.
//!
//! The input of every norm is kept; from norm to norm lies a segment. Where the backward pass first
//! reads a value of a segment, the segment is computed once more from what was kept, and the backward
//! pass reads that copy. The copy waits for the gradients of the parameters behind it: what was kept
//! reaches it through a `Reshape` whose shape depends on those gradients, in name only. Otherwise the
//! runtime would compute the copy early, or merge it with the first one; it would also leave the
//! gradients of all parameters for the end, and keep all that they are made of. Results stay the same
//! bit for bit.

use std::collections::{HashMap, HashSet};

use super::tidy::rename_in;
use super::{LOSS, MARGIN, PAIR_LOSS};
use crate::graph::proto::{DimValue, GraphProto, NodeProto, elem};

/// Operators whose first input is kept.
const NORMS: [&str; 3] = [
    "LayerNormalization",
    "RMSNormalization",
    "SimplifiedLayerNormalization",
];

/// Rewrites a tidy graph, in which `gradients` are the values that hold the parameters' gradients.
pub(super) fn recomputed(graph: &mut GraphProto, gradients: &[String]) {
    let roles = Roles::of(graph);
    let segments = Segments::of(graph, &roles);
    let mut renamed: HashMap<String, String> = HashMap::new();
    let mut met = HashSet::new();
    let gradients: HashSet<&String> = gradients.iter().collect();
    let mut made: Vec<String> = Vec::new();
    let mut nodes = Vec::with_capacity(graph.node.len());
    for index in roles.shapes_last(graph) {
        let mut node = graph.node[index].clone();
        if roles.is_forward[index] {
            nodes.push(node);
            continue;
        }
        if !roles.is_shape[index] {
            for segment in segments.read_by(&node) {
                if made.is_empty() || !met.insert(segment) {
                    continue;
                }
                let mut late = Late::after(std::mem::take(&mut made), segment);
                segments.copy(graph, segment, &mut late, &mut renamed);
                nodes.append(&mut late.nodes);
            }
            let outputs = node.output.iter();
            made.extend(outputs.filter(|name| gradients.contains(name)).cloned());
        }
        for input in &mut node.input {
            if let Some(other) = renamed.get(input) {
                input.clone_from(other);
            }
        }
        nodes.push(node);
    }
    graph.node = nodes;
}

/// Values that wait for gradients.
struct Late {
    segment: usize,
    nodes: Vec<NodeProto>,
    /// A 0 that is there once the gradients are.
    zero: String,
    values: HashMap<String, String>,
}

impl Late {
    fn after(gradients: Vec<String>, segment: usize) -> Self {
        let mut nodes = Vec::new();
        let mut sizes = Vec::new();
        for gradient in gradients {
            let size = format!("{gradient}.size.{segment}");
            nodes.push(call("Size", &[&gradient], &size));
            sizes.push(size);
        }
        let sizes: Vec<&str> = sizes.iter().map(String::as_str).collect();
        let [largest, zero] = ["largest", "zero"].map(|what| format!("gradients.{what}.{segment}"));
        nodes.push(call("Max", &sizes, &largest));
        nodes.push(call("Sub", &[&largest, &largest], &zero));
        Self {
            segment,
            nodes,
            zero,
            values: HashMap::new(),
        }
    }

    /// Adds the value of that name, later.
    fn add(&mut self, name: &str) {
        if self.values.contains_key(name) {
            return;
        }
        let segment = self.segment;
        let [shape, same, value] =
            ["shape", "same", "late"].map(|what| format!("{name}.{what}.{segment}"));
        self.nodes.push(call("Shape", &[name], &shape));
        self.nodes.push(call("Add", &[&shape, &self.zero], &same));
        self.nodes.push(call("Reshape", &[name, &same], &value));
        self.values.insert(name.to_owned(), value);
    }
}

/// What the nodes of a graph are for.
struct Roles {
    /// By node: whether loss or margins depend on it.
    is_forward: Vec<bool>,
    /// By node: whether it only computes with shapes and constants.
    is_shape: Vec<bool>,
    /// The node that makes a value.
    makers: HashMap<String, usize>,
}

impl Roles {
    fn of(graph: &GraphProto) -> Self {
        let mut makers = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for name in node.output.iter().filter(|name| !name.is_empty()) {
                makers.insert(name.clone(), index);
            }
        }
        let mut is_forward = vec![false; graph.node.len()];
        let measures = [LOSS, MARGIN, PAIR_LOSS].map(str::to_owned);
        let mut queue: Vec<usize> = measures
            .iter()
            .filter_map(|m| makers.get(m).copied())
            .collect();
        while let Some(index) = queue.pop() {
            if !std::mem::replace(&mut is_forward[index], true) {
                let names = graph.node[index].names_read().into_iter();
                queue.extend(names.filter_map(|name| makers.get(name).copied()));
            }
        }
        let constants: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
        let mut is_shape = vec![false; graph.node.len()];
        for (index, node) in graph.node.iter().enumerate() {
            let derived = |name: &String| {
                let maker = makers.get(name).copied();
                name.is_empty()
                    || constants.contains(name.as_str())
                    || maker.is_some_and(|maker| maker < index && is_shape[maker])
            };
            is_shape[index] = ["Shape", "Size", "Constant"].contains(&node.op_type.as_str())
                || node.input.iter().all(derived);
        }
        Self {
            is_forward,
            is_shape,
            makers,
        }
    }

    /// What a norm normalises, where a node is one, or the part of one spelled out that shows it:
    /// `x - mean(x)`, or the mean of `x^2`.
    fn norm_input<'g>(&self, graph: &'g GraphProto, node: &'g NodeProto) -> Option<&'g str> {
        let maker = |name: Option<&str>, op_types: &[&str]| {
            let node = &graph.node[*self.makers.get(name?)?];
            op_types.contains(&node.op_type.as_str()).then_some(node)
        };
        let x = node.input_at(0);
        match node.op_type.as_str() {
            op_type if NORMS.contains(&op_type) => x,
            "Sub" => {
                let mean = maker(node.input_at(1), &["ReduceMean"])?;
                x.filter(|_| mean.input_at(0) == x)
            }
            "ReduceMean" => {
                let square = maker(x, &["Pow", "Mul"])?.input_at(0);
                square.filter(|_| maker(square, &["Sub"]).is_none())
            }
            _ => None,
        }
    }

    /// The nodes in an order in which those that compute with shapes come right before they are
    /// needed, so that none of them asks for a value before its gradient is there.
    fn shapes_last(&self, graph: &GraphProto) -> Vec<usize> {
        let mut order = Vec::with_capacity(graph.node.len());
        let mut done = vec![false; graph.node.len()];
        let waits = |index: usize| self.is_shape[index] && !self.is_forward[index];
        let all = (0..graph.node.len()).filter(|&index| !waits(index));
        // what only outputs need comes last
        for root in all.chain((0..graph.node.len()).filter(|&index| waits(index))) {
            let mut stack = vec![(root, false)];
            while let Some((index, ready)) = stack.pop() {
                if done[index] {
                    continue;
                }
                if ready {
                    done[index] = true;
                    order.push(index);
                    continue;
                }
                stack.push((index, true));
                for name in graph.node[index].names_read() {
                    if let Some(&maker) = self.makers.get(name)
                        && waits(maker)
                    {
                        stack.push((maker, false));
                    }
                }
            }
        }
        order
    }
}

/// The forward nodes that may be computed again, in segments.
struct Segments {
    /// The segment of a value that is not kept.
    of_value: HashMap<String, usize>,
    /// The nodes of each segment, in order.
    nodes: Vec<Vec<usize>>,
    /// Values that depend on matrices of parameters: the activations.
    activations: HashSet<String>,
}

impl Segments {
    fn of(graph: &GraphProto, roles: &Roles) -> Self {
        let activations = activations(graph);
        let mut kept: HashSet<&str> = graph.output.iter().map(|v| v.name.as_str()).collect();
        let forward = || (0..graph.node.len()).filter(|&index| roles.is_forward[index]);
        kept.extend(forward().filter_map(|index| roles.norm_input(graph, &graph.node[index])));
        // how many kept values lie before a node, along the longest way
        let mut depths: HashMap<&str, usize> = HashMap::new();
        let mut depth_of = vec![0; graph.node.len()];
        for index in forward() {
            let node = &graph.node[index];
            let before = |name: &&str| {
                let depth = depths.get(name).copied().unwrap_or(0);
                depth + usize::from(kept.contains(name) && activations.contains(*name))
            };
            let depth = node.names_read().iter().map(before).max().unwrap_or(0);
            depth_of[index] = depth;
            depths.extend(node.output.iter().map(|name| (name.as_str(), depth)));
        }
        // what a later segment reads is kept too, such as a bias that all layers share
        for index in forward() {
            for name in graph.node[index].names_read() {
                if depths
                    .get(name)
                    .is_some_and(|&depth| depth < depth_of[index])
                {
                    kept.insert(name);
                }
            }
        }
        let count = depth_of.iter().max().map_or(0, |last| last + 1);
        let mut nodes = vec![Vec::new(); count];
        let mut of_value = HashMap::new();
        for index in forward().filter(|&index| !roles.is_shape[index]) {
            let node = &graph.node[index];
            let depth = depth_of[index];
            let large = |name: &&String| activations.contains(*name);
            // the embeddings are not worth it, random numbers would be others
            if depth == 0 || !node.output.iter().any(|o| large(&o)) || node.op_type == "Dropout" {
                kept.extend(node.output.iter().map(String::as_str));
                continue;
            }
            nodes[depth].push(index);
            let values = node
                .output
                .iter()
                .filter(|name| !kept.contains(name.as_str()));
            of_value.extend(values.map(|name| (name.clone(), depth)));
        }
        Self {
            of_value,
            nodes,
            activations,
        }
    }

    /// The segments of which a node reads values that are not kept.
    fn read_by(&self, node: &NodeProto) -> Vec<usize> {
        let segments = node.input.iter().filter_map(|name| self.of_value.get(name));
        let mut segments: Vec<usize> = segments.copied().collect();
        segments.sort_unstable();
        segments.dedup();
        segments
    }

    /// The nodes of a segment once more, from values that are there later; `renamed` learns the names
    /// of their values.
    fn copy(
        &self,
        graph: &GraphProto,
        segment: usize,
        late: &mut Late,
        renamed: &mut HashMap<String, String>,
    ) {
        let is_own = |name: &str| self.of_value.get(name) == Some(&segment);
        let mut copies = Vec::new();
        for &index in &self.nodes[segment] {
            for name in graph.node[index].names_read() {
                if !is_own(name) && self.activations.contains(name) {
                    late.add(name);
                }
            }
            let mut node = graph.node[index].clone();
            for name in node.output.iter().filter(|name| is_own(name)) {
                renamed.insert(name.clone(), format!("{name}.again"));
            }
            let outputs = node.output.iter().map(|name| match name.as_str() {
                "" => String::new(),
                name => format!("{name}.again"),
            });
            let outputs = outputs.collect();
            rename_in(&mut node, &|name| {
                let copy = renamed.get(name).filter(|_| is_own(name));
                copy.or_else(|| late.values.get(name))
                    .map_or(name, String::as_str)
                    .to_owned()
            });
            node.output = outputs;
            node.name = format!("{}.again", node.name);
            copies.push(node);
        }
        late.nodes.append(&mut copies);
    }
}

fn call(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op_type.into(),
        name: output.into(),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// The values that depend on a matrix of parameters, without the matrices.
fn activations(graph: &GraphProto) -> HashSet<String> {
    let mut found = from_matrices(graph);
    let inputs = graph.input.iter().map(|v| &v.name);
    for name in inputs.chain(graph.initializer.iter().map(|t| &t.name)) {
        found.remove(name);
    }
    found
}

/// Matrices of f32 among constants and inputs of known size, and the values that depend on them.
pub(super) fn from_matrices(graph: &GraphProto) -> HashSet<String> {
    let is_matrix = |dims: &mut dyn Iterator<Item = i64>| dims.filter(|&dim| dim > 1).count() > 1;
    let mut found = HashSet::new();
    for tensor in &graph.initializer {
        if tensor.data_type == elem::FLOAT && is_matrix(&mut tensor.dims.iter().copied()) {
            found.insert(tensor.name.clone());
        }
    }
    for input in &graph.input {
        let Some(tensor) = input.tensor_type() else {
            continue;
        };
        let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
        let mut sizes = dims.filter_map(|dim| match dim.value {
            Some(DimValue::Size(size)) => Some(size),
            _ => None,
        });
        if tensor.elem_type == elem::FLOAT && is_matrix(&mut sizes) {
            found.insert(input.name.clone());
        }
    }
    for node in &graph.node {
        let is_shape = ["Shape", "Size"].contains(&node.op_type.as_str());
        if !is_shape && node.names_read().iter().any(|&name| found.contains(name)) {
            found.extend(node.output.iter().cloned());
        }
    }
    found
}
