//! What broadcasting repeated, summed again.

use super::Builder;
use crate::graph::builder::{int, tensor};
use crate::graph::proto::TensorProto;

/// The sum of `g` over the axes along which an operand of the shape held by `shape` (i64, `[rank]`)
/// was repeated, in exactly that shape.
pub fn unbroadcast(b: &mut Builder, g: &str, shape: &str) -> String {
    let common = b.call("Shape", &[g]);
    let (rank, own_rank) = (b.call("Shape", &[&common]), b.call("Shape", &[shape]));
    let padded = left_padded(b, shape, &own_rank, &rank);
    let axes = differing(b, &padded, &common);
    let sum = b.sum_axes(g, &axes, true);
    b.call("Reshape", &[&sum, shape])
}

/// For each of two shapes (i64, `[rank]`), the axes of their common shape along which it was repeated
/// (i64, `[n]`, may be empty).
pub fn broadcast_axes(b: &mut Builder, shape_a: &str, shape_b: &str) -> (String, String) {
    let (rank_a, rank_b) = (b.call("Shape", &[shape_a]), b.call("Shape", &[shape_b]));
    let rank = b.call("Max", &[&rank_a, &rank_b]);
    let padded_a = left_padded(b, shape_a, &rank_a, &rank);
    let padded_b = left_padded(b, shape_b, &rank_b, &rank);
    let common = b.call("Max", &[&padded_a, &padded_b]);
    (
        differing(b, &padded_a, &common),
        differing(b, &padded_b, &common),
    )
}

fn left_padded(b: &mut Builder, shape: &str, own_rank: &str, rank: &str) -> String {
    let missing = b.call("Sub", &[rank, own_rank]);
    let one = tensor("value", TensorProto::from_i64("", &[1], &[1]));
    let ones = b.op("ConstantOfShape", &[&missing], &[one]);
    b.op("Concat", &[&ones, shape], &[int("axis", 0)])
}

fn differing(b: &mut Builder, shape: &str, common: &str) -> String {
    let equal = b.call("Equal", &[shape, common]);
    let differs = b.call("Not", &[&equal]);
    let positions = b.call("NonZero", &[&differs]);
    let flat = b.ints(&[-1]);
    b.call("Reshape", &[&positions, &flat])
}
