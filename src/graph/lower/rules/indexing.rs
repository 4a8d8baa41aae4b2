//! Gathers and slices.

use super::{NodeProto, Result, bind, inputs, unsupported};
use crate::graph::builder::{Builder, int};
use crate::graph::gradients::indexing as formulas;

pub(super) fn gather(b: &mut Builder, node: &NodeProto) -> Result {
    let [shape, indices, g] = inputs(node)?;
    let axis = node.int("axis", 0);
    let dx = if axis == 0 {
        let g = without_repeats(b, shape, indices, g);
        formulas::gather(b, shape, indices, &g, axis)
    } else {
        formulas::gather(b, shape, indices, g, axis)
    };
    bind(b, node, 0, &dx);
    Ok(())
}

/// The gradient of a gather along axis 0, one row for each index.
///
/// Where its shape inference loses a dimension, the generator of artifacts misses a broadcast, and the
/// gradient has a row for each repetition: those are summed.
fn without_repeats(b: &mut Builder, shape: &str, indices: &str, g: &str) -> String {
    let flat = b.ints(&[-1]);
    let indices = b.call("Reshape", &[indices, &flat]);
    let count = b.call("Shape", &[&indices]);
    let (one, end) = (b.ints(&[1]), b.ints(&[i64::MAX]));
    let rest = b.call("Slice", &[shape, &one, &end]);
    let cube = b.op("Concat", &[&flat, &count, &rest], &[int("axis", 0)]);
    let repeats = b.call("Reshape", &[g, &cube]);
    b.reduce("ReduceSum", &repeats, &[0], false)
}

pub(super) fn gather_elements(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, shape, indices] = inputs(node)?;
    let dx = formulas::gather_elements(b, g, shape, indices, node.int("axis", 0));
    bind(b, node, 0, &dx);
    Ok(())
}

pub(super) fn gather_nd(b: &mut Builder, node: &NodeProto) -> Result {
    let [shape, indices, g] = inputs(node)?;
    let batch_dims = node.int("batch_dims", 0);
    if batch_dims != 0 {
        let what = format!("`batch_dims` {batch_dims}: expected 0");
        return Err(unsupported(node, &what));
    }
    let dx = formulas::gather_nd(b, shape, indices, g);
    bind(b, node, 0, &dx);
    Ok(())
}

pub(super) fn slice(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, shape, starts, ends] = inputs(node)?;
    let (axes, steps) = (node.input_at(4), node.input_at(5));
    let dx = formulas::slice(b, g, shape, starts, ends, axes, steps);
    bind(b, node, 0, &dx);
    Ok(())
}
