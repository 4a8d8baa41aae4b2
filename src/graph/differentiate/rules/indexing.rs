//! Operators that pick elements by index.

use super::super::super::GraphError;
use super::super::super::gradients::indexing;
use super::super::backward::{Backward, Call};
use super::super::shapes::index_of;
use super::join::Length;

type Result = std::result::Result<(), GraphError>;

/// One constant index: the gradient between zeros. Else it is added where it came from.
pub(super) fn gather(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let g = call.gradient()?.to_owned();
    let (x, indices) = (call.input(0)?, call.input(1)?);
    let axis = call.node.int("axis", 0);
    let place = w
        .shapes
        .rank(x)
        .and_then(|rank| Some((rank, index_of(axis, rank)?)));
    let index = w
        .shapes
        .integers(indices)
        .filter(|indices| indices.len() == 1);
    if let (Some((rank, at)), Some([index])) = (place, index.as_deref())
        && let Some(part) = picked_one(w, call, &g, (rank, at), *index)
    {
        w.give(call, 0, part);
        return Ok(());
    }
    let shape = w.shape_of(x);
    // a small table read along its first axis for every row of a batch comes here summed already
    let part = indexing::gather(&mut w.b, &shape, indices, &g, axis);
    w.give(call, 0, part);
    Ok(())
}

/// Of `x[.., index, ..]`
fn picked_one(
    w: &mut Backward<'_>,
    call: &Call<'_>,
    g: &str,
    (rank, at): (usize, usize),
    index: i64,
) -> Option<String> {
    let (x, indices) = (call.node.input_at(0)?, call.node.input_at(1)?);
    let whole = w.length(x, at);
    let one = Length::Number(1);
    let (before, after) = match (&whole, index) {
        (Length::Number(whole), _) => {
            let start = if index < 0 {
                index.checked_add(*whole)?
            } else {
                index
            };
            let after = whole
                .checked_sub(start.checked_add(1)?)
                .filter(|&after| after >= 0)?;
            (
                Length::Number(usize::try_from(start).ok().map(|_| start)?),
                Length::Number(after),
            )
        }
        (Length::Value(_), 0..) => {
            let taken = Length::Number(index.checked_add(1)?);
            (Length::Number(index), w.rest(&whole, &taken))
        }
        (Length::Value(_), _) => {
            let after = index.checked_neg()?.checked_sub(1)?;
            let last = w.rest(&whole, &one);
            (w.rest(&last, &Length::Number(after)), Length::Number(after))
        }
    };
    let mut g = g.to_owned();
    if w.shapes.rank(indices)? == 0 {
        let axis = w.b.ints(&[i64::try_from(at).ok()?]);
        g = w.b.call("Unsqueeze", &[&g, &axis]);
    } else if w.shapes.rank(indices)? != 1 {
        return None;
    }
    let mut pads = [vec![Length::Number(0); rank], vec![Length::Number(0); rank]];
    pads[0][at] = before;
    pads[1][at] = after;
    Some(w.padded(&g, &pads[0], &pads[1]))
}

pub(super) fn gather_elements(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let shape = w.shape_of(call.input(0)?);
    let (g, indices) = (call.gradient()?, call.input(1)?);
    let axis = call.node.int("axis", 0);
    let part = indexing::gather_elements(&mut w.b, g, &shape, indices, axis);
    w.give(call, 0, part);
    Ok(())
}

pub(super) fn gather_nd(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    if call.node.int("batch_dims", 0) != 0 {
        return Err(call.unsupported("batch dimensions have no gradient rule"));
    }
    let shape = w.shape_of(call.input(0)?);
    let part = indexing::gather_nd(&mut w.b, &shape, call.input(1)?, call.gradient()?);
    w.give(call, 0, part);
    Ok(())
}
