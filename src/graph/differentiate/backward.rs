//! The backward pass under construction, as the rules see it.

use std::collections::HashMap;

use super::super::GraphError;
use super::super::builder::{Builder, MICROSOFT, float, int};
use super::super::gradients;
use super::super::proto::NodeProto;
use super::shapes::{Dim, Shapes, Size};

/// Nodes written so far, and the parts of gradients that they make.
pub(super) struct Backward<'a> {
    /// Writes the nodes.
    pub(super) b: Builder,
    /// What is known of the forward values.
    pub(super) shapes: &'a Shapes<'a>,
    /// Output lists of forward nodes that now make more than before, by position.
    pub(super) extended: HashMap<usize, Vec<String>>,
    /// Parts of the gradient of each forward value, to be summed.
    parts: HashMap<String, Vec<String>>,
    shape_values: HashMap<String, String>,
}

/// A forward node in the backward pass.
pub(super) struct Call<'a> {
    /// The node.
    pub(super) node: &'a NodeProto,
    /// Its place in the graph.
    pub(super) position: usize,
    /// The gradient of each output; `None` where the scalar does not depend on it.
    pub(super) gradients: Vec<Option<String>>,
    /// Whether the gradient of each input is asked for.
    pub(super) wanted: Vec<bool>,
}

impl<'a> Call<'a> {
    /// The value that is input `index`.
    pub(super) fn input(&self, index: usize) -> Result<&'a str, GraphError> {
        self.node.input_at(index).ok_or_else(|| {
            GraphError::Malformed(format!(
                "`{}` ({}) lacks input {index}",
                self.node.label(),
                self.node.op_type
            ))
        })
    }

    /// The value that is the first output.
    pub(super) fn output(&self) -> &'a str {
        self.node.output_at(0).unwrap_or("")
    }

    /// Whether the gradient of input `index` is asked for.
    pub(super) fn wants(&self, index: usize) -> bool {
        self.wanted.get(index).copied().unwrap_or(false)
    }

    /// The gradient of the first output, of a node whose other outputs have none.
    pub(super) fn gradient(&self) -> Result<&str, GraphError> {
        if self.gradients.iter().skip(1).any(Option::is_some) {
            return Err(self.unsupported("outputs after the first have no gradient"));
        }
        let first = self.gradients.first().and_then(Option::as_deref);
        first.ok_or_else(|| self.unsupported("outputs after the first have no gradient"))
    }

    /// Something about this node that has no rule.
    pub(super) fn unsupported(&self, what: &str) -> GraphError {
        let (name, operator) = (self.node.label(), &self.node.op_type);
        GraphError::Unsupported(format!("`{name}` ({operator}): {what}"))
    }

    /// Refuses a node without known rank of a value.
    pub(super) fn rank(&self, shapes: &Shapes<'_>, value: &str) -> Result<usize, GraphError> {
        let unknown = || format!("the number of dimensions of `{value}` cannot be told");
        shapes
            .rank(value)
            .ok_or_else(|| self.unsupported(&unknown()))
    }
}

impl<'a> Backward<'a> {
    /// An empty backward pass.
    pub(super) fn new(b: Builder, shapes: &'a Shapes<'a>) -> Self {
        Self {
            b,
            shapes,
            extended: HashMap::new(),
            parts: HashMap::new(),
            shape_values: HashMap::new(),
        }
    }

    /// Adds a part of the gradient of a forward value.
    pub(super) fn add_part(&mut self, value: &str, part: String) {
        self.parts.entry(value.to_owned()).or_default().push(part);
    }

    /// Adds a part of the gradient of input `index`, of that input's shape.
    pub(super) fn give(&mut self, call: &Call<'_>, index: usize, part: String) {
        if let Some(value) = call.node.input_at(index) {
            self.add_part(value, part);
        }
    }

    /// The whole gradient of a value; every part must have been added.
    pub(super) fn gradient(&mut self, value: &str) -> Option<String> {
        let mut parts = self.parts.remove(value)?.into_iter();
        let first = parts.next()?;
        // not one Sum: on the CPU, that one runs on a single thread
        Some(parts.fold(first, |sum, part| self.b.call("Add", &[&sum, &part])))
    }

    /// Output `index` of a forward node, which is made to have one.
    pub(super) fn forward_output(&mut self, call: &Call<'_>, index: usize) -> String {
        let node = call.node;
        if let Some(output) = node.output_at(index) {
            return output.to_owned();
        }
        let outputs = self
            .extended
            .entry(call.position)
            .or_insert_with(|| node.output.clone());
        if outputs.len() <= index {
            outputs.resize(index + 1, String::new());
        }
        if outputs[index].is_empty() {
            let base = outputs.first().map_or("value", String::as_str);
            outputs[index] = self.b.fresh(&format!("{base}_{index}"));
        }
        outputs[index].clone()
    }

    /// A value that holds the shape of a forward value: a constant where the shape is known.
    pub(super) fn shape_of(&mut self, value: &str) -> String {
        if let Some(numbers) = self.shapes.numbers(value) {
            return self.b.ints(&numbers);
        }
        if let Some(shape) = self.shape_values.get(value) {
            return shape.clone();
        }
        let shape = self.b.call("Shape", &[value]);
        self.shape_values.insert(value.to_owned(), shape.clone());
        shape
    }

    /// `g`, which has the shape of the forward value `from`, in the shape of `to`.
    pub(super) fn reshaped(&mut self, g: &str, from: &str, to: &str) -> String {
        let shape = self.known_target(from, to);
        let shape = match shape {
            Some(shape) => self.b.ints(&shape),
            None => self.shape_of(to),
        };
        self.b.call("Reshape", &[g, &shape])
    }

    /// The shape of `to` as a reshaping of `from` may state it: with 0 for a size that stays in its
    /// place, and -1 for one that follows from the rest.
    fn known_target(&self, from: &str, to: &str) -> Option<Vec<i64>> {
        let from = self.shapes.dims(from).unwrap_or(&[]);
        let mut target = Vec::new();
        for (i, dim) in self.shapes.dims(to)?.iter().enumerate() {
            target.push(match dim.as_ref().and_then(Size::number) {
                Some(0) => return None,
                Some(number) => number,
                None if dim.is_some() && from.get(i) == Some(dim) => 0,
                None if target.contains(&-1) => return None,
                None => -1,
            });
        }
        Some(target)
    }

    /// `g`, which has the shape of the forward value `from`, summed to the shape of `to`, which was
    /// broadcast to it.
    pub(super) fn unbroadcast(&mut self, g: &str, from: &str, to: &str) -> String {
        let dims = |value: &str| self.shapes.dims(value).map(<[Dim]>::to_vec);
        let (from, to_dims) = (dims(from), dims(to));
        self.unbroadcast_dims(g, from, to_dims, to)
    }

    /// As [`Backward::unbroadcast`], for the dimensions of `g` and of `to`.
    pub(super) fn unbroadcast_dims(
        &mut self,
        g: &str,
        from: Option<Vec<Dim>>,
        to_dims: Option<Vec<Dim>>,
        to: &str,
    ) -> String {
        let axes = from
            .zip(to_dims)
            .and_then(|(from, to)| repeated(&from, &to));
        let Some((lead, repeated)) = axes else {
            let shape = self.shape_of(to);
            return gradients::broadcast::unbroadcast(&mut self.b, g, &shape);
        };
        if lead.is_empty() && repeated.is_empty() {
            return g.to_owned();
        }
        if repeated.is_empty() {
            return self.b.reduce("ReduceSum", g, &lead, false);
        }
        let all = [lead.as_slice(), &repeated].concat();
        let sum = self.b.reduce("ReduceSum", g, &all, true);
        if lead.is_empty() {
            return sum;
        }
        let lead = self.b.ints(&lead);
        self.b.call("Squeeze", &[&sum, &lead])
    }

    /// `g`, of the dimensions `from`, repeated to the shape of the forward value `to`.
    pub(super) fn expanded(&mut self, g: &str, from: Option<&[Dim]>, to: &str) -> String {
        let target = from.zip(self.shapes.dims(to)).and_then(|(from, to)| {
            let lead = to.len().checked_sub(from.len())?;
            let size = |(i, dim): (usize, &Dim)| {
                let own = i.checked_sub(lead).and_then(|i| from.get(i));
                match dim.as_ref()?.number() {
                    Some(number) => Some(number),
                    None if own == Some(dim) => Some(1),
                    None => None,
                }
            };
            to.iter()
                .enumerate()
                .map(size)
                .collect::<Option<Vec<i64>>>()
        });
        let shape = match target {
            Some(target) => self.b.ints(&target),
            None => self.shape_of(to),
        };
        self.b.call("Expand", &[g, &shape])
    }

    /// The matrix product of `x` and `y`, each transposed in its last two dimensions on request,
    /// times `alpha`. Operands have two dimensions or more.
    pub(super) fn product(
        &mut self,
        [x, y]: [&str; 2],
        transposed: [bool; 2],
        alpha: f32,
    ) -> String {
        if transposed == [false; 2] && is_one(alpha) {
            return self.b.call("MatMul", &[x, y]);
        }
        let mut attributes = vec![
            int("transA", transposed[0].into()),
            int("transB", transposed[1].into()),
        ];
        if !is_one(alpha) {
            attributes.push(float("alpha", alpha));
        }
        self.b.op_in(MICROSOFT, "FusedMatMul", &[x, y], &attributes)
    }

    /// `g` times a number.
    pub(super) fn scaled(&mut self, g: &str, by: f32) -> String {
        if is_one(by) {
            return g.to_owned();
        }
        let by = self.b.scalar(by);
        self.b.call("Mul", &[g, &by])
    }
}

/// The axes of `from` that `to` lacks, and those along which it was or may have been repeated from 1;
/// `None` when that is not certain.
fn repeated(from: &[Dim], to: &[Dim]) -> Option<(Vec<i64>, Vec<i64>)> {
    let missing = from.len().checked_sub(to.len())?;
    let number = |dim: &Dim| dim.as_ref().and_then(Size::number);
    let mut repeated = Vec::new();
    for (i, (own, whole)) in to.iter().zip(&from[missing..]).enumerate() {
        match number(own) {
            // summing over a single element changes nothing
            Some(1) if number(whole) == Some(1) => {}
            Some(1) => repeated.push(i64::try_from(missing + i).ok()?),
            Some(_) => {}
            None if own.is_some() && own == whole => {}
            None => return None,
        }
    }
    Some(((0..i64::try_from(missing).ok()?).collect(), repeated))
}

/// Whether a factor is 1, exactly.
pub(super) fn is_one(factor: f32) -> bool {
    factor.to_bits() == 1.0_f32.to_bits()
}
