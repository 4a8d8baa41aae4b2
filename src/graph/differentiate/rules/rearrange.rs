//! Operators that reshape, reorder or repeat elements.

use super::super::super::GraphError;
use super::super::super::builder::{int, ints};
use super::super::super::proto::elem;
use super::super::backward::{Backward, Call};
use super::super::shapes::index_of;

type Result = std::result::Result<(), GraphError>;

pub(super) fn identity(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let part = call.gradient()?.to_owned();
    w.give(call, 0, part);
    Ok(())
}

/// Between types that both carry gradients.
pub(super) fn cast(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let from = w.shapes.elem(call.input(0)?).unwrap_or(elem::FLOAT);
    let part = if w.shapes.elem(call.output()) == Some(from) {
        call.gradient()?.to_owned()
    } else {
        w.b.op("Cast", &[call.gradient()?], &[int("to", from.into())])
    };
    w.give(call, 0, part);
    Ok(())
}

/// As it is when a model is used: nothing is dropped.
pub(super) fn dropout(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let training = call.node.input_at(2);
    if training.is_some_and(|name| w.shapes.integers(name).as_deref() != Some(&[0])) {
        return Err(call.unsupported("in training mode; export the model in evaluation mode"));
    }
    identity(w, call)
}

/// Also of `Flatten`.
pub(super) fn reshape(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let part = w.reshaped(call.gradient()?, call.output(), call.input(0)?);
    w.give(call, 0, part);
    Ok(())
}

pub(super) fn squeeze(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let g = call.gradient()?;
    let part = match call.node.input_at(1) {
        Some(axes) => w.b.call("Unsqueeze", &[g, axes]),
        None => w.reshaped(g, call.output(), call.input(0)?),
    };
    w.give(call, 0, part);
    Ok(())
}

pub(super) fn unsqueeze(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let part = w.b.call("Squeeze", &[call.gradient()?, call.input(1)?]);
    w.give(call, 0, part);
    Ok(())
}

pub(super) fn transpose(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let g = call.gradient()?;
    let Some(order) = call.node.attribute("perm") else {
        let part = w.b.call("Transpose", &[g]);
        w.give(call, 0, part);
        return Ok(());
    };
    let mut inverse = vec![-1; order.ints.len()];
    for (to, &from) in (0_i64..).zip(&order.ints) {
        let from = index_of(from, inverse.len());
        let from = from.ok_or_else(|| call.unsupported("its order names an axis too many"))?;
        inverse[from] = to;
    }
    if inverse.contains(&-1) {
        return Err(call.unsupported("its order names an axis twice"));
    }
    let part = w.b.op("Transpose", &[g], &[ints("perm", &inverse)]);
    w.give(call, 0, part);
    Ok(())
}

pub(super) fn expand(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let part = w.unbroadcast(call.gradient()?, call.output(), call.input(0)?);
    w.give(call, 0, part);
    Ok(())
}

/// The copies along axis i are seen as an axis before it, and summed.
pub(super) fn tile(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let x = call.input(0)?;
    let rank = call.rank(w.shapes, x)?;
    let shape = w.shape_of(x);
    let (axis, flat) = (w.b.ints(&[1]), w.b.ints(&[-1]));
    let [repeats, sizes] =
        [call.input(1)?, &shape].map(|value| w.b.call("Unsqueeze", &[value, &axis]));
    let pairs = w.b.op("Concat", &[&repeats, &sizes], &[int("axis", 1)]);
    let split = w.b.call("Reshape", &[&pairs, &flat]);
    let split = w.b.call("Reshape", &[call.gradient()?, &split]);
    let copies: Vec<i64> = (0..).step_by(2).take(rank).collect();
    let part = if copies.is_empty() {
        split
    } else {
        w.b.reduce("ReduceSum", &split, &copies, false)
    };
    w.give(call, 0, part);
    Ok(())
}

/// The same triangle of the gradient.
pub(super) fn trilu(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let mut inputs = vec![call.gradient()?];
    inputs.extend(call.node.input_at(1));
    let part =
        w.b.op("Trilu", &inputs, &[int("upper", call.node.int("upper", 1))]);
    w.give(call, 0, part);
    Ok(())
}
