//! What is known of values before a graph runs: element types, dimensions, contents of small integers.
//!
//! It only serves to write fewer nodes. Whatever is not known for sure is unknown, and the caller
//! then lets the runtime find out. Sizes are products of a number and named sizes, so that a
//! reshaped `[batch, tokens, 384]` keeps its names; two sizes of the same name are the same size, as
//! ONNX has it. A size that is not known gets a name that no other has. Declared shapes of inner values
//! are not trusted, but for their rank.

use std::collections::HashMap;

use super::super::proto::{
    DimProto, DimValue, GraphProto, NodeProto, TensorProto, ValueInfoProto, elem,
};

mod infer;
mod moves;
mod size;

#[cfg(test)]
mod tests;

pub(super) use infer::{broadcast, index_of};
pub(super) use size::Size;

/// Most integers of a value whose contents are followed.
const MAX_CONTENTS: usize = 64;

/// Longest name of a size that is followed.
const MAX_NAME_BYTES: usize = 64;

/// A dimension; `None` is unknown.
pub(super) type Dim = Option<Size>;

/// What is known of one value.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The element type.
    pub(super) elem: Option<i32>,
    /// The dimensions.
    pub(super) dims: Option<Vec<Dim>>,
    /// The contents of a scalar or vector of integers or booleans.
    pub(super) contents: Option<Vec<Dim>>,
}

impl Facts {
    fn new(elem: Option<i32>, dims: Option<Vec<Dim>>) -> Self {
        Self {
            elem,
            dims,
            contents: None,
        }
    }
}

/// What is known of the values of a graph.
#[derive(Debug, Default)]
pub(super) struct Shapes<'a> {
    facts: HashMap<&'a str, Facts>,
    constants: HashMap<&'a str, &'a TensorProto>,
    /// Names of copies, each with the name of what it copies.
    copies: HashMap<String, String>,
    unknown_sizes: usize,
    nothing: Facts,
}

impl<'a> Shapes<'a> {
    /// Goes through a graph once, in the order of its nodes.
    pub(super) fn of(graph: &'a GraphProto) -> Self {
        let mut shapes = Self::default();
        for value in &graph.input {
            let facts = shapes.with_names(declared(value));
            shapes.facts.insert(&value.name, facts);
        }
        for tensor in &graph.initializer {
            shapes.constant(&tensor.name, tensor);
        }
        let ranks: HashMap<&str, Facts> = graph
            .value_info
            .iter()
            .map(|value| (value.name.as_str(), only_rank(declared(value))))
            .collect();
        for node in &graph.node {
            shapes.node(node, &ranks);
        }
        shapes
    }

    fn constant(&mut self, name: &'a str, tensor: &'a TensorProto) {
        let sizes = tensor.dims.iter().map(|&dim| Size::known(dim)).collect();
        let possible = tensor.dims.iter().all(|&dim| dim >= 0);
        let mut facts = Facts::new(Some(tensor.data_type), possible.then_some(sizes));
        facts.contents = small_integers(tensor);
        self.facts.insert(name, facts);
        self.constants.insert(name, tensor);
    }

    fn node(&mut self, node: &'a NodeProto, ranks: &HashMap<&str, Facts>) {
        if let ("Constant", [output], Some(value)) = (
            node.op_type.as_str(),
            node.output.as_slice(),
            node.attribute("value").and_then(|a| a.t.as_ref()),
        ) {
            self.constant(output, value);
            return;
        }
        if let (true, Some(&tensor)) = (
            node.op_type == "Identity",
            node.input_at(0).and_then(|name| self.constants.get(name)),
        ) {
            self.constants
                .extend(node.output_at(0).map(|o| (o, tensor)));
        }
        let found = infer::outputs(node, self);
        for (index, name) in node.output.iter().enumerate() {
            let mut facts = found.get(index).cloned().unwrap_or_default();
            if let (None, Some(declared)) = (&facts.dims, ranks.get(name.as_str())) {
                facts.dims.clone_from(&declared.dims);
                facts.elem = facts.elem.or(declared.elem);
            }
            // a size that no tensor can have is a mistake of the model; the runtime will say so
            let number = |dim: &Dim| dim.as_ref().and_then(Size::number);
            let possible = |dim: &Dim| number(dim).is_none_or(|size| size >= 0);
            facts.dims = facts.dims.filter(|dims| dims.iter().all(possible));
            if !name.is_empty() {
                let facts = self.with_names(facts);
                self.facts.insert(name, facts);
            }
        }
    }

    /// Gives unknown sizes names of their own: what has the same shape by the meaning of an operator
    /// is then known to have it.
    fn with_names(&mut self, mut facts: Facts) -> Facts {
        for dim in facts.dims.iter_mut().flatten().filter(|dim| dim.is_none()) {
            *dim = Some(Size::unknown(self.unknown_sizes));
            self.unknown_sizes += 1;
        }
        facts
    }

    /// What is known of a value.
    pub(super) fn facts(&self, name: &str) -> &Facts {
        self.facts.get(self.original(name)).unwrap_or(&self.nothing)
    }

    /// Says which values are copies: new names with the old.
    pub(super) fn add_copies(&mut self, copies: Vec<(String, String)>) {
        self.copies.extend(copies);
    }

    /// The value that another is a copy of, or the value itself.
    pub(super) fn original<'n>(&'n self, name: &'n str) -> &'n str {
        self.copies.get(name).map_or(name, String::as_str)
    }

    /// The dimensions of a value, when its rank is known.
    pub(super) fn dims(&self, name: &str) -> Option<&[Dim]> {
        self.facts(name).dims.as_deref()
    }

    /// The number of dimensions of a value.
    pub(super) fn rank(&self, name: &str) -> Option<usize> {
        self.dims(name).map(<[Dim]>::len)
    }

    /// The element type of a value.
    pub(super) fn elem(&self, name: &str) -> Option<i32> {
        self.facts(name).elem
    }

    /// The sizes of a value when all are numbers.
    pub(super) fn numbers(&self, name: &str) -> Option<Vec<i64>> {
        numbers(self.dims(name)?)
    }

    /// The integers in a value when all are numbers.
    pub(super) fn integers(&self, name: &str) -> Option<Vec<i64>> {
        numbers(self.facts(name).contents.as_deref()?)
    }

    /// The number in a constant f32 value of one element.
    pub(super) fn float(&self, name: &str) -> Option<f32> {
        let tensor = self.constants.get(name)?;
        if super::super::element_count(&tensor.dims) != Some(1) {
            return None;
        }
        match tensor.to_f32().ok()?.as_slice() {
            [value] => Some(*value),
            _ => None,
        }
    }
}

fn numbers(dims: &[Dim]) -> Option<Vec<i64>> {
    dims.iter().map(|dim| dim.as_ref()?.number()).collect()
}

/// What the declaration of a value says.
fn declared(value: &ValueInfoProto) -> Facts {
    let Some(tensor) = value.tensor_type() else {
        return Facts::default();
    };
    let dim = |dim: &DimProto| match &dim.value {
        Some(DimValue::Size(size)) if *size >= 0 => Size::known(*size),
        Some(DimValue::Name(name))
            if (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.starts_with(size::UNKNOWN) =>
        {
            Some(Size::named(name))
        }
        _ => None,
    };
    let dims = tensor.shape.as_ref();
    Facts::new(
        (tensor.elem_type != 0).then_some(tensor.elem_type),
        dims.map(|shape| shape.dim.iter().map(dim).collect()),
    )
}

fn only_rank(mut facts: Facts) -> Facts {
    for dim in facts.dims.iter_mut().flatten() {
        *dim = None;
    }
    facts
}

/// The contents of a short integer vector or scalar.
fn small_integers(tensor: &TensorProto) -> Option<Vec<Dim>> {
    let elements = super::super::element_count(&tensor.dims)?;
    if tensor.dims.len() > 1 || elements > MAX_CONTENTS {
        return None;
    }
    let values = match tensor.data_type {
        elem::INT64 => tensor.to_i64().ok()?,
        elem::INT32 | elem::BOOL => narrow_integers(tensor),
        _ => return None,
    };
    (values.len() == elements).then(|| values.into_iter().map(Size::known).collect())
}

fn narrow_integers(tensor: &TensorProto) -> Vec<i64> {
    match (&tensor.raw_data, tensor.data_type) {
        (Some(raw), elem::BOOL) if tensor.int32_data.is_empty() => {
            raw.iter().map(|&byte| i64::from(byte)).collect()
        }
        (Some(raw), _) if tensor.int32_data.is_empty() => {
            let chunks = raw.as_chunks::<4>().0;
            chunks
                .iter()
                .map(|bytes| i64::from(i32::from_le_bytes(*bytes)))
                .collect()
        }
        _ => tensor.int32_data.iter().map(|&v| i64::from(v)).collect(),
    }
}
