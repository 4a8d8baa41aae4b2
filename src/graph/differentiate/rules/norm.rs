//! Layer norms over the last axis, and the cross-entropy loss.

use super::super::super::GraphError;
use super::super::super::gradients::{losses, norms};
use super::super::backward::{Backward, Call};
use super::super::shapes::index_of;

type Result = std::result::Result<(), GraphError>;

/// The forward node is made to give mean and inverse deviation, if it does not yet.
pub(super) fn layer_norm(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let g = call.gradient()?.to_owned();
    let (x, gamma) = (call.input(0)?, call.input(1)?);
    check(w, call)?;
    let (mean, inverse) = (w.forward_output(call, 1), w.forward_output(call, 2));
    let parts = norms::layer_norm(&mut w.b, &g, x, gamma, &mean, &inverse);
    give_wanted(w, call, [parts.x, parts.gamma, parts.beta]);
    Ok(())
}

pub(super) fn simplified_layer_norm(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let g = call.gradient()?.to_owned();
    let (x, gamma) = (call.input(0)?, call.input(1)?);
    check(w, call)?;
    let inverse = w.forward_output(call, 1);
    let parts = norms::simplified_layer_norm(&mut w.b, &g, x, gamma, &inverse);
    give_wanted(w, call, [parts.x, parts.gamma]);
    Ok(())
}

fn give_wanted<const N: usize>(w: &mut Backward<'_>, call: &Call<'_>, parts: [String; N]) {
    for (index, part) in parts
        .into_iter()
        .enumerate()
        .filter(|(i, _)| call.wants(*i))
    {
        w.give(call, index, part);
    }
}

/// The last axis alone, with a scale of that length.
fn check(w: &Backward<'_>, call: &Call<'_>) -> Result {
    let rank = call.rank(w.shapes, call.input(0)?)?;
    let axis = call.node.int("axis", -1);
    if rank == 0 || index_of(axis, rank) != Some(rank - 1) {
        return Err(call.unsupported(&format!("axis {axis}: expected the last one")));
    }
    for input in call.node.input.iter().skip(1) {
        if w.shapes.rank(input).is_some_and(|rank| rank != 1) {
            let what = format!("`{input}` has other dimensions than the last axis alone");
            return Err(call.unsupported(&what));
        }
    }
    Ok(())
}

/// `SoftmaxCrossEntropyLoss` without class weights.
pub(super) fn cross_entropy(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    if call.node.input_at(2).is_some() {
        return Err(call.unsupported("class weights have no gradient rule"));
    }
    let g = call.gradient()?.to_owned();
    let log_p = w.forward_output(call, 1);
    let reduction = call
        .node
        .attribute("reduction")
        .map_or(&b"mean"[..], |a| &a.s);
    let reduction = String::from_utf8_lossy(reduction);
    let ignored = call
        .node
        .attribute("ignore_index")
        .map(|a| w.b.ints(&[a.i]));
    let labels = call.input(1)?;
    let ignored = ignored.as_deref();
    let part = losses::softmax_cross_entropy(&mut w.b, &g, &log_p, labels, &reduction, ignored)?;
    w.give(call, 0, part);
    Ok(())
}
