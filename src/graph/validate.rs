//! Checks a model once, when it is read, so that others may trust it.
//!
//! Afterwards every value is made once, before it is read; names are unique; dimensions are not
//! negative; tensors hold as many values as they say. Nodes in another order are sorted, as the
//! runtime does it.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::proto::{
    DimValue, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, elem,
};
use super::{GraphError, element_count};

/// Deepest nesting of graphs in attributes (`If`, `Loop`, `Scan`).
const MAX_DEPTH: usize = 16;

/// Most dimensions that a tensor may have.
const MAX_RANK: usize = 64;

/// Checks and sorts the graph.
///
/// # Errors
/// [`GraphError::Malformed`] naming the value, node or tensor at fault.
pub(super) fn structure(model: &mut ModelProto) -> Result<(), GraphError> {
    let Some(graph) = &mut model.graph else {
        return malformed("the model has no graph");
    };
    check_depth(graph, 0)?;
    normalise(graph)?;
    check_graph(graph, &mut Vec::new())
}

/// Checks that tensors hold as many values as their dimensions say.
///
/// # Errors
/// [`GraphError::Malformed`] naming the tensor.
pub(super) fn tensors(model: &ModelProto) -> Result<(), GraphError> {
    model.graph.iter().try_for_each(check_tensors)
}

/// Calls a function for each tensor of a graph, those in attributes and inner graphs included.
pub(super) fn for_each_tensor(graph: &mut GraphProto, f: &mut impl FnMut(&mut TensorProto)) {
    graph.initializer.iter_mut().for_each(&mut *f);
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        attribute.t.iter_mut().for_each(&mut *f);
        attribute.tensors.iter_mut().for_each(&mut *f);
        for inner in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            for_each_tensor(inner, f);
        }
    }
}

fn malformed<T>(what: impl Into<String>) -> Result<T, GraphError> {
    Err(GraphError::Malformed(what.into()))
}

fn check_depth(graph: &GraphProto, depth: usize) -> Result<(), GraphError> {
    if depth > MAX_DEPTH {
        let what = format!("graphs nested more than {MAX_DEPTH} deep");
        return Err(GraphError::Unsupported(what));
    }
    let mut inner = graph.node.iter().flat_map(NodeProto::graphs);
    inner.try_for_each(|graph| check_depth(graph, depth + 1))
}

/// Brings the nodes of a graph into topological order, and makes negative dimensions of its values
/// unknown ones: the runtime does both.
fn normalise(graph: &mut GraphProto) -> Result<(), GraphError> {
    let values = graph.input.iter_mut().chain(&mut graph.output);
    for value in values.chain(&mut graph.value_info) {
        let dims = value.tensor_type_mut().and_then(|t| t.shape.as_mut());
        for dim in dims.into_iter().flat_map(|shape| &mut shape.dim) {
            if matches!(dim.value, Some(DimValue::Size(..=-1))) {
                dim.value = None;
            }
        }
    }
    for inner in graph.node.iter_mut().flat_map(NodeProto::graphs_mut) {
        normalise(inner)?;
    }
    if let Some(order) = topological_order(graph)? {
        let mut nodes: Vec<Option<NodeProto>> = graph.node.drain(..).map(Some).collect();
        let sorted = order.into_iter().filter_map(|index| nodes[index].take());
        graph.node = sorted.collect();
    }
    Ok(())
}

/// The order in which nodes can run, the given one as far as possible; `None` when it is the given
/// one.
fn topological_order(graph: &GraphProto) -> Result<Option<Vec<usize>>, GraphError> {
    let inputs = graph.input.iter().map(|value| value.name.as_str());
    let constants = graph.initializer.iter().map(|tensor| tensor.name.as_str());
    let given: HashSet<&str> = inputs.chain(constants).collect();
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if given.contains(output.as_str()) || makers.insert(output, index).is_some() {
                return malformed(format!("value `{output}` is made twice"));
            }
        }
    }
    let mut needed = Vec::with_capacity(graph.node.len());
    for node in &graph.node {
        let makers = node
            .names_read()
            .into_iter()
            .filter_map(|name| makers.get(name));
        needed.push(makers.copied().collect::<BTreeSet<usize>>());
    }
    let sorted = |(index, needed): (usize, &BTreeSet<usize>)| needed.last() < Some(&index);
    if needed.iter().enumerate().all(sorted) {
        return Ok(None);
    }
    let mut followers = vec![Vec::new(); graph.node.len()];
    for (index, needed) in needed.iter().enumerate() {
        for &maker in needed {
            followers[maker].push(index);
        }
    }
    let mut missing: Vec<usize> = needed.iter().map(BTreeSet::len).collect();
    let mut ready: BTreeSet<usize> = (0..missing.len()).filter(|&i| missing[i] == 0).collect();
    let mut order = Vec::with_capacity(missing.len());
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for &follower in &followers[index] {
            missing[follower] -= 1;
            if missing[follower] == 0 {
                ready.insert(follower);
            }
        }
    }
    if let Some(index) = missing.iter().position(|&missing| missing > 0) {
        return malformed(format!(
            "the graph has a cycle, at {}",
            label(&graph.node[index])
        ));
    }
    Ok(Some(order))
}

/// Checks a sorted graph; `scopes` are the values that it sees of the graphs around it.
fn check_graph<'a>(
    graph: &'a GraphProto,
    scopes: &mut Vec<HashSet<&'a str>>,
) -> Result<(), GraphError> {
    let mut inputs = HashSet::new();
    for value in &graph.input {
        if !inputs.insert(value.name.as_str()) {
            return malformed(format!("two inputs `{}`", value.name));
        }
    }
    let mut constants = HashSet::new();
    for tensor in &graph.initializer {
        // an input of the same name has it as its default
        if !constants.insert(tensor.name.as_str()) {
            return malformed(format!("two initializers `{}`", tensor.name));
        }
    }
    inputs.extend(constants);
    if inputs.contains("") {
        return malformed("an input or initializer without a name");
    }
    scopes.push(inputs);
    check_nodes(graph, scopes)?;
    let mut outputs = HashSet::new();
    for value in &graph.output {
        if !is_seen(scopes, &value.name) {
            return malformed(format!("nothing makes the output `{}`", value.name));
        }
        if !outputs.insert(value.name.as_str()) {
            return malformed(format!("two outputs `{}`", value.name));
        }
    }
    scopes.pop();
    let values = graph.input.iter().chain(&graph.output);
    values.chain(&graph.value_info).try_for_each(check_shape)
}

fn is_seen(scopes: &[HashSet<&str>], name: &str) -> bool {
    scopes.iter().any(|scope| scope.contains(name))
}

fn check_nodes<'a>(
    graph: &'a GraphProto,
    scopes: &mut Vec<HashSet<&'a str>>,
) -> Result<(), GraphError> {
    for node in &graph.node {
        let mut attributes = HashSet::new();
        for attribute in &node.attribute {
            if !attributes.insert(attribute.name.as_str()) {
                let (name, node) = (&attribute.name, label(node));
                return malformed(format!("two attributes `{name}` of {node}"));
            }
        }
        for input in node.input.iter().filter(|name| !name.is_empty()) {
            if !is_seen(scopes, input) {
                let label = label(node);
                return malformed(format!("{label} reads `{input}`, which nothing makes"));
            }
        }
        for inner in node.graphs() {
            check_graph(inner, scopes)?;
        }
        let outputs = node.output.iter().map(String::as_str);
        if let Some(scope) = scopes.last_mut() {
            scope.extend(outputs.filter(|name| !name.is_empty()));
        }
    }
    Ok(())
}

/// A node's name and operator.
fn label(node: &NodeProto) -> String {
    format!("`{}` ({})", node.label(), node.op_type)
}

fn check_shape(value: &ValueInfoProto) -> Result<(), GraphError> {
    let shape = value.tensor_type().and_then(|t| t.shape.as_ref());
    let Some(shape) = shape else { return Ok(()) };
    let known: Vec<i64> = shape
        .dim
        .iter()
        .filter_map(|dim| match dim.value {
            Some(DimValue::Size(size)) => Some(size),
            _ => None,
        })
        .collect();
    if shape.dim.len() > MAX_RANK || elem::byte_length(elem::DOUBLE, &known).is_none() {
        return malformed(format!("dimensions {known:?} of value `{}`", value.name));
    }
    Ok(())
}

fn check_tensors(graph: &GraphProto) -> Result<(), GraphError> {
    graph.initializer.iter().try_for_each(check_tensor)?;
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        attribute.t.iter().try_for_each(check_tensor)?;
        attribute.tensors.iter().try_for_each(check_tensor)?;
        let mut inner = attribute.g.iter().chain(&attribute.graphs);
        inner.try_for_each(check_tensors)?;
    }
    Ok(())
}

fn check_tensor(tensor: &TensorProto) -> Result<(), GraphError> {
    let name = &tensor.name;
    if tensor.data_location != 0 {
        return malformed(format!("tensor `{name}` has its values in another file"));
    }
    let elements = element_count(&tensor.dims).filter(|_| tensor.dims.len() <= MAX_RANK);
    let Some(elements) = elements else {
        return malformed(format!("dimensions {:?} of tensor `{name}`", tensor.dims));
    };
    let found = match (&tensor.raw_data, tensor.data_type) {
        (Some(raw), data_type) => match elem::byte_length(data_type, &[1]) {
            Some(size) if raw.len() % size == 0 => raw.len() / size,
            Some(_) => return malformed(format!("tensor `{name}` ends within a number")),
            // other types are not computed with
            None => return Ok(()),
        },
        (None, elem::FLOAT) => tensor.float_data.len(),
        (None, elem::DOUBLE) => tensor.double_data.len(),
        (None, elem::INT64) => tensor.int64_data.len(),
        (None, elem::UINT32 | elem::UINT64) => tensor.uint64_data.len(),
        (None, elem::STRING) => tensor.string_data.len(),
        (None, data_type) => match elem::byte_length(data_type, &[1]) {
            Some(_) => tensor.int32_data.len(),
            None => return Ok(()),
        },
    };
    if found != elements {
        return malformed(format!(
            "tensor `{name}`: expected {elements} values for dimensions {:?}, found {found}",
            tensor.dims
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
