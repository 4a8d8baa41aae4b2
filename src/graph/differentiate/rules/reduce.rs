//! Reductions: the gradient of the result is spread over what was reduced.

use super::super::super::GraphError;
use super::super::super::builder::int;
use super::super::super::proto::elem;
use super::super::backward::{Backward, Call};
use super::super::shapes::{Dim, Size, index_of};

type Result = std::result::Result<(), GraphError>;

/// `value`, of the shape of the result, with the reduced axes kept as 1: it then broadcasts with the
/// input. Gives its dimensions too, where they are known.
fn kept(w: &mut Backward<'_>, call: &Call<'_>, value: &str) -> (String, Option<Vec<Dim>>) {
    let node = call.node;
    let (x, y) = (node.input_at(0).unwrap_or(""), call.output());
    let attribute = node.attribute("axes").map(|axes| axes.ints.clone());
    let axes = attribute.or_else(|| w.shapes.integers(node.input_at(1)?));
    let named = node.attribute("axes").is_some() || node.input_at(1).is_some();
    let own = w.shapes.dims(y).map(<[Dim]>::to_vec);
    if node.int("keepdims", 1) != 0 || !named {
        // all axes reduced away: a scalar
        return (value.to_owned(), own);
    }
    let dims = w
        .shapes
        .dims(x)
        .zip(axes.as_ref())
        .and_then(|(dims, axes)| {
            let mut dims = dims.to_vec();
            for &axis in axes {
                let axis = index_of(axis, dims.len())?;
                dims[axis] = Size::known(1);
            }
            Some(dims)
        });
    let axes = match axes {
        Some(axes) if axes.is_empty() => return (value.to_owned(), own),
        Some(axes) => w.b.ints(&axes),
        None => node.input_at(1).unwrap_or("").to_owned(),
    };
    (w.b.call("Unsqueeze", &[value, &axes]), dims)
}

pub(super) fn sum(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let (g, dims) = kept(w, call, call.gradient()?);
    let part = w.expanded(&g, dims.as_deref(), call.input(0)?);
    w.give(call, 0, part);
    Ok(())
}

/// The share of each element is one over the number of those reduced to one.
pub(super) fn mean(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let (x, y) = (call.input(0)?, call.output());
    let (g, dims) = kept(w, call, call.gradient()?);
    let elements = |value: &str| {
        let numbers = w.shapes.numbers(value)?;
        super::super::super::element_count(&numbers)
    };
    let count = match (elements(x), elements(y)) {
        (Some(all), Some(means)) => all.checked_div(means),
        _ => reduced_elements(w, call),
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "the operator itself divides by an f32"
    )]
    let share = if let Some(count) = count.filter(|&count| count > 0) {
        w.scaled(&g, 1.0 / count as f32)
    } else {
        let [all, means] = [x, y].map(|value| {
            let size = w.b.call("Size", &[value]);
            w.b.op("Cast", &[&size], &[int("to", elem::FLOAT.into())])
        });
        let count = w.b.call("Div", &[&all, &means]);
        w.b.call("Div", &[&g, &count])
    };
    let part = w.expanded(&share, dims.as_deref(), x);
    w.give(call, 0, part);
    Ok(())
}

/// The product of the reduced axes' sizes, when these are known while others may not be.
fn reduced_elements(w: &Backward<'_>, call: &Call<'_>) -> Option<usize> {
    let dims = w.shapes.dims(call.node.input_at(0)?)?;
    let attribute = call.node.attribute("axes").map(|axes| axes.ints.clone());
    let axes = attribute.or_else(|| w.shapes.integers(call.node.input_at(1)?))?;
    if axes.is_empty() {
        return None;
    }
    let size = |axis: i64| dims[index_of(axis, dims.len())?].as_ref()?.number();
    let sizes: Option<Vec<i64>> = axes.into_iter().map(size).collect();
    super::super::super::element_count(&sizes?)
}

/// `ReduceMax` and `ReduceMin`: equal shares for those that are the extreme one.
pub(super) fn extreme(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let x = call.input(0)?;
    let (g, _) = kept(w, call, call.gradient()?);
    let (y, _) = kept(w, call, call.output());
    let hit = w.b.call("Equal", &[x, &y]);
    let hit = w.b.op("Cast", &[&hit], &[int("to", elem::FLOAT.into())]);
    let count = again(w, call, "ReduceSum", &hit);
    let share = w.b.call("Div", &[&g, &count]);
    let part = w.b.call("Mul", &[&share, &hit]);
    w.give(call, 0, part);
    Ok(())
}

/// Another reduction of a value over the axes of the node, which are kept.
fn again(w: &mut Backward<'_>, call: &Call<'_>, operator: &str, value: &str) -> String {
    let node = call.node;
    let noop = int("noop_with_empty_axes", node.int("noop_with_empty_axes", 0));
    let keepdims = int("keepdims", 1);
    let axes = match (node.attribute("axes"), node.input_at(1)) {
        (Some(axes), _) if axes.ints.is_empty() => None,
        (Some(axes), _) => Some(w.b.ints(&axes.ints)),
        (None, axes) => axes.map(str::to_owned),
    };
    match axes {
        Some(axes) => w.b.op(operator, &[value, &axes], &[keepdims, noop]),
        None => w.b.op(operator, &[value], &[keepdims, noop]),
    }
}

/// `g sign(x)`
pub(super) fn l1(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let (g, _) = kept(w, call, call.gradient()?);
    let sign = w.b.call("Sign", &[call.input(0)?]);
    let part = w.b.call("Mul", &[&g, &sign]);
    w.give(call, 0, part);
    Ok(())
}

/// `g x / y`, 0 where the norm is 0
pub(super) fn l2(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let (g, _) = kept(w, call, call.gradient()?);
    let (y, _) = kept(w, call, call.output());
    let (zero, one) = (w.b.scalar(0.0), w.b.scalar(1.0));
    let positive = w.b.call("Greater", &[&y, &zero]);
    let norm = w.b.call("Where", &[&positive, &y, &one]);
    let share = w.b.call("Div", &[&g, &norm]);
    let part = w.b.call("Mul", &[&share, call.input(0)?]);
    w.give(call, 0, part);
    Ok(())
}

/// `2 g x`
pub(super) fn sum_square(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let (g, _) = kept(w, call, call.gradient()?);
    let twice = w.scaled(&g, 2.0);
    let part = w.b.call("Mul", &[&twice, call.input(0)?]);
    w.give(call, 0, part);
    Ok(())
}

/// `g exp(x - y)`
pub(super) fn log_sum_exp(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let (g, _) = kept(w, call, call.gradient()?);
    let (y, _) = kept(w, call, call.output());
    let difference = w.b.call("Sub", &[call.input(0)?, &y]);
    let share = w.b.call("Exp", &[&difference]);
    let part = w.b.call("Mul", &[&g, &share]);
    w.give(call, 0, part);
    Ok(())
}
