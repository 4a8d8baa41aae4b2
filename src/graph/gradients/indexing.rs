//! Gradients of operators that pick elements: what was picked is added back where it came from.
//!
//! Additions go through `ScatterElements`, which is exact. `ScatterND` with `reduction=add` loses
//! updates on the CPU when indices repeat: its threads race.

use super::Builder;
use crate::graph::builder::{int, tensor, text};
use crate::graph::proto::{TensorProto, elem};

/// Of `Gather`: `g` added into zeros of the shape held by `shape` (i64, `[rank]`), along `axis`.
///
/// # Shapes
/// `indices`: any shape, i32 or i64, negative ones count from the end; `g`: the gathered shape, or
/// anything with as many elements.
pub fn gather(b: &mut Builder, shape: &str, indices: &str, g: &str, axis: i64) -> String {
    let before = product_of(b, shape, 0, axis);
    let position = b.ints(&[axis]);
    let length = b.call("Gather", &[shape, &position]);
    let after = if axis == -1 {
        b.ints(&[1])
    } else {
        product_of(b, shape, axis.saturating_add(1), i64::MAX)
    };
    let cube = b.op("Concat", &[&before, &length, &after], &[int("axis", 0)]);
    let sum = add_along_middle(b, &cube, indices, g, [&before, &after]);
    b.call("Reshape", &[&sum, shape])
}

/// Of `GatherElements`: `g` added into zeros of the shape held by `shape` at `indices`.
pub fn gather_elements(b: &mut Builder, g: &str, shape: &str, indices: &str, axis: i64) -> String {
    let zeros = zeros(b, shape);
    scatter_add(b, &zeros, indices, g, axis)
}

/// Of `GatherND` without batch dimensions: `g` added into zeros of the shape held by `shape`.
///
/// # Shapes
/// `indices`: i64, `[..., k]`, each the start of a position in `shape`; `g`: what was gathered.
pub fn gather_nd(b: &mut Builder, shape: &str, indices: &str, g: &str) -> String {
    let (zero, last, end) = (b.ints(&[0]), b.ints(&[-1]), b.ints(&[i64::MAX]));
    let index_shape = b.call("Shape", &[indices]);
    let depth = b.call("Gather", &[&index_shape, &last]);
    let indexed = b.call("Slice", &[shape, &zero, &depth]);
    let rest = b.call("Slice", &[shape, &depth, &end]);
    let positions = positions(b, &indexed);
    let rows = b.call("GatherND", &[&positions, indices]);
    let one = b.ints(&[1]);
    let (height, width) = (product(b, &indexed), product(b, &rest));
    let cube = b.op("Concat", &[&one, &height, &width], &[int("axis", 0)]);
    let sum = add_along_middle(b, &cube, &rows, g, [&one, &width]);
    b.call("Reshape", &[&sum, shape])
}

/// Of `Slice`: `g` in zeros of the shape held by `shape`. `starts`, `ends`, `axes` and `steps` are
/// the operator's own inputs, i32 or i64.
pub fn slice(
    b: &mut Builder,
    g: &str,
    shape: &str,
    starts: &str,
    ends: &str,
    axes: Option<&str>,
    steps: Option<&str>,
) -> String {
    let is_one = |steps: &str| {
        let known = b.known_ints(steps);
        known.is_some_and(|steps| steps.iter().all(|&step| step == 1))
    };
    if steps.is_none_or(is_one) {
        return padded(b, g, shape, starts, ends, axes);
    }
    let whole = positions(b, shape);
    let inputs = [
        &whole,
        starts,
        ends,
        axes.unwrap_or_default(),
        steps.unwrap_or_default(),
    ];
    let taken = b.call("Slice", &inputs);
    let flat = b.ints(&[-1]);
    let taken = b.call("Reshape", &[&taken, &flat]);
    let values = b.call("Reshape", &[g, &flat]);
    let size = product(b, shape);
    let zeros = zeros(b, &size);
    // no position is taken twice: nothing to add
    let inputs = [zeros.as_str(), &taken, &values];
    let filled = b.op("ScatterElements", &inputs, &[int("axis", 0)]);
    b.call("Reshape", &[&filled, shape])
}

/// [`slice`] by steps of 1: `g` with zeros before and after it.
fn padded(
    b: &mut Builder,
    g: &str,
    shape: &str,
    starts: &str,
    ends: &str,
    axes: Option<&str>,
) -> String {
    let to_i64 = [int("to", elem::INT64.into())];
    let zero = b.constant(TensorProto::from_i64("constant", &[], &[0]));
    let axes = if let Some(axes) = axes {
        b.op("Cast", &[axes], &to_i64)
    } else {
        let count = b.op("Size", &[starts], &[]);
        let one = b.constant(TensorProto::from_i64("constant", &[], &[1]));
        b.call("Range", &[&zero, &count, &one])
    };
    let lengths = b.call("Gather", &[shape, &axes]);
    let mut bounds = [starts, ends].map(|bound| {
        let bound = b.op("Cast", &[bound], &to_i64);
        let from_end = b.call("Add", &[&bound, &lengths]);
        let negative = b.call("Less", &[&bound, &zero]);
        let bound = b.call("Where", &[&negative, &from_end, &bound]);
        let bound = b.call("Min", &[&bound, &lengths]);
        b.call("Max", &[&bound, &zero])
    });
    // an empty slice
    bounds[1] = b.call("Max", &[&bounds[0], &bounds[1]]);
    let after = b.call("Sub", &[&lengths, &bounds[1]]);
    let rank = b.call("Shape", &[shape]);
    let none = tensor("value", TensorProto::from_i64("", &[1], &[0]));
    let none = b.op("ConstantOfShape", &[&rank], &[none]);
    let pads = [&bounds[0], &after].map(|pad| b.call("ScatterElements", &[&none, &axes, pad]));
    let pads = b.op("Concat", &[&pads[0], &pads[1]], &[int("axis", 0)]);
    b.call("Pad", &[g, &pads])
}

/// `g`, seen as `[before, indices, after]`, added into zeros of the shape held by `cube` along its
/// middle.
fn add_along_middle(
    b: &mut Builder,
    cube: &str,
    indices: &str,
    g: &str,
    [before, after]: [&str; 2],
) -> String {
    let flat = b.ints(&[-1]);
    let indices = b.call("Reshape", &[indices, &flat]);
    let count = b.call("Shape", &[&indices]);
    let shape = b.op("Concat", &[before, &count, after], &[int("axis", 0)]);
    let updates = b.call("Reshape", &[g, &shape]);
    let column = b.ints(&[1, -1, 1]);
    let indices = b.call("Reshape", &[&indices, &column]);
    let indices = b.call("Expand", &[&indices, &shape]);
    let zeros = zeros(b, cube);
    scatter_add(b, &zeros, &indices, &updates, 1)
}

fn scatter_add(b: &mut Builder, to: &str, indices: &str, updates: &str, axis: i64) -> String {
    let add = text("reduction", "add");
    b.op(
        "ScatterElements",
        &[to, indices, updates],
        &[int("axis", axis), add],
    )
}

/// f32 zeros of the shape that a value holds.
fn zeros(b: &mut Builder, shape: &str) -> String {
    let zero = tensor("value", TensorProto::from_f32("", &[1], &[0.0]));
    b.op("ConstantOfShape", &[shape], &[zero])
}

/// The positions of a row-major array of the shape that a value holds, in that shape.
fn positions(b: &mut Builder, shape: &str) -> String {
    let size = b.op("ReduceProd", &[shape], &[int("keepdims", 0)]);
    let start = b.constant(TensorProto::from_i64("constant", &[], &[0]));
    let step = b.constant(TensorProto::from_i64("constant", &[], &[1]));
    let all = b.call("Range", &[&start, &size, &step]);
    b.call("Reshape", &[&all, shape])
}

/// The product (`[1]`) of the dimensions `from..to` of the shape that a value holds.
fn product_of(b: &mut Builder, shape: &str, from: i64, to: i64) -> String {
    if (from, to) == (0, 0) {
        return b.ints(&[1]);
    }
    let (from, to) = (b.ints(&[from]), b.ints(&[to]));
    let dims = b.call("Slice", &[shape, &from, &to]);
    product(b, &dims)
}

/// The product (`[1]`) of dimensions, 1 where there are none.
fn product(b: &mut Builder, dims: &str) -> String {
    // a product over nothing is not the same in every version of the operator
    let one = b.ints(&[1]);
    let dims = b.op("Concat", &[&one, dims], &[int("axis", 0)]);
    b.reduce("ReduceProd", &dims, &[0], true)
}
