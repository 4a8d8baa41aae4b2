//! Matrix products.

use super::super::super::GraphError;
use super::super::super::builder::int;
use super::super::super::proto::attribute_type;
use super::super::backward::{Backward, Call};
use super::super::shapes::{Dim, Size, broadcast};

type Result = std::result::Result<(), GraphError>;

/// `MatMul`, with vectors as operands too.
pub(super) fn matmul(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let (rank_a, rank_b) = (call.rank(w.shapes, a)?, call.rank(w.shapes, b)?);
    if rank_a == 0 || rank_b == 0 {
        return Err(call.unsupported("an operand is a scalar"));
    }
    if rank_a > 1 && rank_b > 1 {
        return products(w, call, call.gradient()?, [false; 2], 1.0);
    }
    let mut g = call.gradient()?.to_owned();
    if rank_a == 1 && rank_b == 1 {
        // a scalar times each vector
        for (index, other) in [b, a]
            .into_iter()
            .enumerate()
            .filter(|(i, _)| call.wants(*i))
        {
            let part = w.b.call("Mul", &[&g, other]);
            w.give(call, index, part);
        }
    } else if rank_a == 1 {
        // a is a row: [k] x [.., k, n] -> [.., n]
        let (before_last, last) = (w.b.ints(&[-2]), w.b.ints(&[-1]));
        if call.wants(0) {
            let column = w.b.call("Unsqueeze", &[&g, &last]);
            let product = w.b.call("MatMul", &[b, &column]);
            let rows = w.b.call("Squeeze", &[&product, &last]);
            let lead: Vec<i64> = (0..).take(rank_b - 2).collect();
            let part = if lead.is_empty() {
                rows
            } else {
                w.b.reduce("ReduceSum", &rows, &lead, false)
            };
            w.give(call, 0, part);
        }
        if call.wants(1) {
            g = w.b.call("Unsqueeze", &[&g, &before_last]);
            let column = w.b.call("Unsqueeze", &[a, &last]);
            let part = w.b.call("Mul", &[&column, &g]);
            w.give(call, 1, part);
        }
    } else {
        // b is a column: [.., m, k] x [k] -> [.., m]
        let last = w.b.ints(&[-1]);
        let column = w.b.call("Unsqueeze", &[&g, &last]);
        if call.wants(0) {
            let part = w.b.call("Mul", &[&column, b]);
            w.give(call, 0, part);
        }
        if call.wants(1) {
            let product = w.b.call("Mul", &[&column, a]);
            let lead: Vec<i64> = (0..).take(rank_a - 1).collect();
            let part = w.b.reduce("ReduceSum", &product, &lead, false);
            w.give(call, 1, part);
        }
    }
    Ok(())
}

/// `FusedMatMul`: operands transposed in their last two dimensions, and a factor.
pub(super) fn fused(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let node = call.node;
    let alpha = node.float("alpha", 1.0);
    let transposed = ["transA", "transB"].map(|name| node.int(name, 0) != 0);
    let (rank_a, rank_b) = (
        call.rank(w.shapes, call.input(0)?)?,
        call.rank(w.shapes, call.input(1)?)?,
    );
    if node.int("transBatchA", 0) != 0 || node.int("transBatchB", 0) != 0 {
        return Err(call.unsupported("transposed batches have no gradient"));
    }
    if rank_a < 2 || rank_b < 2 {
        return Err(call.unsupported("a vector as operand has no gradient"));
    }
    products(w, call, call.gradient()?, transposed, alpha)
}

/// `alpha a b + beta c`
pub(super) fn gemm(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let node = call.node;
    let typed = |name: &str| {
        node.attribute(name)
            .is_none_or(|a| a.r#type != attribute_type::INT)
    };
    if !typed("alpha") || !typed("beta") {
        return Err(call.unsupported("a factor is no float"));
    }
    let g = call.gradient()?;
    let transposed = ["transA", "transB"].map(|name| node.int(name, 0) != 0);
    products(w, call, g, transposed, node.float("alpha", 1.0))?;
    if call.wants(2) {
        let sum = w.unbroadcast(g, call.output(), call.input(2)?);
        let part = w.scaled(&sum, node.float("beta", 1.0));
        w.give(call, 2, part);
    }
    Ok(())
}

/// The gradients of `y = alpha op(a) op(b)` with respect to `a` and `b`, of two dimensions or more.
fn products(
    w: &mut Backward<'_>,
    call: &Call<'_>,
    g: &str,
    [turned_a, turned_b]: [bool; 2],
    alpha: f32,
) -> Result {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let ranks = (w.shapes.rank(a), w.shapes.rank(b));
    if call.wants(0) {
        let product = if turned_a {
            w.product([b, g], [turned_b, true], alpha)
        } else {
            w.product([g, b], [false, !turned_b], alpha)
        };
        let part = summed_over_batches(w, call, &product, a);
        w.give(call, 0, part);
    }
    if call.wants(1) {
        let part = if ranks.1 == Some(2) && ranks.0.is_some_and(|rank| rank > 2) && !turned_a {
            // a weight: one product over all rows
            let [a, g] = [a, g].map(|value| w.b.op("Flatten", &[value], &[int("axis", -1)]));
            if turned_b {
                w.product([&g, &a], [true, false], alpha)
            } else {
                w.product([&a, &g], [true, false], alpha)
            }
        } else {
            let product = if turned_b {
                w.product([g, a], [true, turned_a], alpha)
            } else {
                w.product([a, g], [!turned_a, false], alpha)
            };
            summed_over_batches(w, call, &product, b)
        };
        w.give(call, 1, part);
    }
    Ok(())
}

/// A product with the batch dimensions of the result, summed to the shape of an operand.
fn summed_over_batches(
    w: &mut Backward<'_>,
    call: &Call<'_>,
    product: &str,
    operand: &str,
) -> String {
    let shapes = w.shapes;
    let dims = |index: usize| shapes.dims(call.node.input_at(index).unwrap_or(""));
    let batches = |dims: &[Dim]| dims[..dims.len().saturating_sub(2)].to_vec();
    // the last two sizes are those of the operand, known or not
    let matrix = || ["rows", "columns"].map(|name| Some(Size::named(name)));
    let with_matrix = |batches: Vec<Dim>| batches.into_iter().chain(matrix()).collect();
    let from = dims(0)
        .zip(dims(1))
        .map(|(a, b)| broadcast(&batches(a), &batches(b)));
    let to = shapes.dims(operand).map(batches);
    w.unbroadcast_dims(product, from.map(with_matrix), to.map(with_matrix), operand)
}
