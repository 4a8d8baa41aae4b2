//! Operators that cut tensors apart and join them. What was cut out goes back between zeros.

use super::super::super::GraphError;
use super::super::super::builder::{int, tensor};
use super::super::super::gradients::indexing;
use super::super::super::proto::{TensorProto, attribute_type};
use super::super::backward::{Backward, Call};
use super::super::shapes::index_of;

type Result = std::result::Result<(), GraphError>;

/// A length along one axis: a number, or a value (`[1]`, i64) that holds it.
#[derive(Clone)]
pub(super) enum Length {
    Number(i64),
    Value(String),
}

impl Backward<'_> {
    /// The size of a forward value along an axis.
    pub(super) fn length(&mut self, value: &str, axis: usize) -> Length {
        let dims = self.shapes.dims(value);
        let size = dims.and_then(|dims| dims.get(axis)?.as_ref()?.number());
        if let Some(number) = size {
            return Length::Number(number);
        }
        let shape = self.shape_of(value);
        let axis = self.b.ints(&[i64::try_from(axis).unwrap_or(i64::MAX)]);
        Length::Value(self.b.call("Gather", &[&shape, &axis]))
    }

    fn length_value(&mut self, length: &Length) -> String {
        match length {
            Length::Number(number) => self.b.ints(&[*number]),
            Length::Value(value) => value.clone(),
        }
    }

    /// `a - b`, at least 0.
    pub(super) fn rest(&mut self, a: &Length, b: &Length) -> Length {
        if let (Length::Number(a), Length::Number(b)) = (a, b) {
            return Length::Number(a.saturating_sub(*b).max(0));
        }
        if let Length::Number(0) = b {
            return a.clone();
        }
        let (a, b) = (self.length_value(a), self.length_value(b));
        Length::Value(self.b.call("Sub", &[&a, &b]))
    }

    /// Joins lengths to one i64 vector.
    fn lengths(&mut self, parts: &[Length]) -> String {
        let number = |part: &Length| match part {
            Length::Number(number) => Some(*number),
            Length::Value(_) => None,
        };
        let mut values = Vec::new();
        for run in parts.chunk_by(|a, b| number(a).is_some() && number(b).is_some()) {
            let numbers: Vec<i64> = run.iter().filter_map(number).collect();
            values.push(match &run[0] {
                Length::Value(value) => value.clone(),
                Length::Number(_) => self.b.ints(&numbers),
            });
        }
        if let [one] = values.as_slice() {
            return one.clone();
        }
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        self.b.op("Concat", &values, &[int("axis", 0)])
    }

    /// `g` with zeros before and after along axes, as many as given by axis.
    pub(super) fn padded(&mut self, g: &str, before: &[Length], after: &[Length]) -> String {
        let none = |length: &Length| matches!(length, Length::Number(0));
        if before.iter().chain(after).all(none) {
            return g.to_owned();
        }
        let pads = self.lengths(&[before, after].concat());
        self.b.call("Pad", &[g, &pads])
    }

    /// Zeros in the shape of a forward value.
    fn zeros_like(&mut self, value: &str) -> String {
        let shape = self.shape_of(value);
        let zero = tensor("value", TensorProto::from_f32("", &[1], &[0.0]));
        self.b.op("ConstantOfShape", &[&shape], &[zero])
    }
}

/// The parts of the gradient; a single wanted one is sliced out.
pub(super) fn concat(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let g = call.gradient()?.to_owned();
    let parts = &call.node.input;
    if parts.len() == 1 {
        w.give(call, 0, g);
        return Ok(());
    }
    let rank = call.rank(w.shapes, call.input(0)?)?;
    let axis = call.node.int("axis", 0);
    let at = index_of(axis, rank).ok_or_else(|| call.unsupported("its axis is out of range"))?;
    let lengths: Vec<Length> = parts.iter().map(|part| w.length(part, at)).collect();
    let wanted: Vec<usize> = (0..parts.len())
        .filter(|&index| call.wants(index))
        .collect();
    if let [index] = wanted[..] {
        let number = |length: &Length| match length {
            Length::Number(number) => Some(*number),
            Length::Value(_) => None,
        };
        let start = lengths[..index]
            .iter()
            .try_fold(0_i64, |sum, length| sum.checked_add(number(length)?));
        let end = start
            .zip(number(&lengths[index]))
            .and_then(|(start, length)| start.checked_add(length));
        let end = end.or((index + 1 == parts.len()).then_some(i64::MAX));
        if let Some((start, end)) = start.zip(end) {
            let [start, end, axis] = [start, end, axis].map(|number| w.b.ints(&[number]));
            let part = w.b.call("Slice", &[&g, &start, &end, &axis]);
            w.give(call, index, part);
            return Ok(());
        }
    }
    let lengths = w.lengths(&lengths);
    let names: Vec<String> = parts.iter().map(|_| w.b.fresh("Split")).collect();
    let outputs: Vec<&str> = names.iter().map(String::as_str).collect();
    let attributes = [int("axis", axis)];
    w.b.op_to("", "Split", &[&g, &lengths], &outputs, &attributes);
    for index in wanted {
        w.give(call, index, names[index].clone());
    }
    Ok(())
}

/// The gradients of the parts joined, zeros where there is none.
pub(super) fn split(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let mut parts = Vec::new();
    for (output, gradient) in call.node.output.iter().zip(&call.gradients) {
        parts.push(match gradient {
            Some(gradient) => gradient.clone(),
            None if output.is_empty() => return Err(call.unsupported("an output is left out")),
            None => w.zeros_like(output),
        });
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let axis = int("axis", call.node.int("axis", 0));
    let part = w.b.op("Concat", &parts, &[axis]);
    w.give(call, 0, part);
    Ok(())
}

/// With steps of 1, the gradient between zeros; else it is scattered.
pub(super) fn slice(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let g = call.gradient()?.to_owned();
    let (x, y) = (call.input(0)?, call.output());
    let (starts, ends) = (call.input(1)?, call.input(2)?);
    let (axes, steps) = (call.node.input_at(3), call.node.input_at(4));
    let ones = steps.is_none_or(|name| {
        let steps = w.shapes.integers(name);
        steps.is_some_and(|steps| steps.iter().all(|&step| step == 1))
    });
    let count = |name: &str| match w.shapes.dims(name)? {
        [Some(length)] => length.number(),
        _ => None,
    };
    let known_axes = match axes {
        Some(name) => w.shapes.integers(name),
        None => count(starts)
            .or(count(ends))
            .map(|count| (0..count.min(64)).collect()),
    };
    let places = w.shapes.rank(x).zip(known_axes).and_then(|(rank, axes)| {
        let places: Option<Vec<usize>> = axes.iter().map(|&axis| index_of(axis, rank)).collect();
        Some((rank, places?))
    });
    let Some((rank, places)) = places.filter(|_| ones) else {
        let shape = w.shape_of(x);
        let part = indexing::slice(&mut w.b, &g, &shape, starts, ends, axes, steps);
        w.give(call, 0, part);
        return Ok(());
    };
    let mut before = vec![Length::Number(0); rank];
    let mut after = before.clone();
    let known_starts = w.shapes.facts(starts).contents.clone();
    for (i, axis) in places.into_iter().enumerate() {
        let same = w.shapes.dims(x).zip(w.shapes.dims(y));
        if same.is_some_and(|(x, y)| x[axis].is_some() && x.get(axis) == y.get(axis)) {
            continue;
        }
        let whole = w.length(x, axis);
        let known = known_starts
            .as_ref()
            .and_then(|starts| starts.get(i)?.as_ref()?.number());
        let start = start_length(w, known, (starts, i), &whole);
        let taken = w.length(y, axis);
        let rest = w.rest(&whole, &start);
        after[axis] = w.rest(&rest, &taken);
        before[axis] = start;
    }
    let part = w.padded(&g, &before, &after);
    w.give(call, 0, part);
    Ok(())
}

/// Where a slice starts, counted from the beginning and inside the axis.
fn start_length(
    w: &mut Backward<'_>,
    known: Option<i64>,
    (starts, i): (&str, usize),
    whole: &Length,
) -> Length {
    match (known, whole) {
        (Some(0), _) => return Length::Number(0),
        (Some(start), Length::Number(whole)) => {
            let start = if start < 0 {
                start.saturating_add(*whole)
            } else {
                start
            };
            return Length::Number(start.clamp(0, *whole));
        }
        _ => {}
    }
    let whole = w.length_value(whole);
    let zero = w.b.ints(&[0]);
    let start = if let Some(start) = known {
        w.b.ints(&[start])
    } else {
        let i = w.b.ints(&[i64::try_from(i).unwrap_or(i64::MAX)]);
        w.b.call("Gather", &[starts, &i])
    };
    let from_end = w.b.call("Add", &[&start, &whole]);
    let negative = w.b.call("Less", &[&start, &zero]);
    let start = w.b.call("Where", &[&negative, &from_end, &start]);
    let start = w.b.call("Max", &[&start, &zero]);
    Length::Value(w.b.call("Min", &[&start, &whole]))
}

/// The gradient without what was added around; by constants only.
pub(super) fn pad(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let mode = call
        .node
        .attribute("mode")
        .filter(|mode| mode.r#type == attribute_type::STRING);
    if mode.is_some_and(|mode| mode.s != b"constant") {
        return Err(call.unsupported("a mode other than `constant` has no gradient rule"));
    }
    let x = call.input(0)?;
    let rank = call.rank(w.shapes, x)?;
    let pads = w.shapes.integers(call.input(1)?);
    let axes = match call.node.input_at(3) {
        Some(axes) => w.shapes.integers(axes),
        None => Some((0..).take(rank).collect()),
    };
    let (pads, axes) = pads
        .zip(axes)
        .filter(|(pads, axes)| pads.len() == 2 * axes.len() && pads.iter().all(|&pad| pad >= 0))
        .ok_or_else(|| call.unsupported("its lengths are not constant or negative"))?;
    let mut ends = Vec::new();
    for (&start, &axis) in pads.iter().zip(&axes) {
        let at = index_of(axis, rank).ok_or_else(|| call.unsupported("an axis is out of range"))?;
        ends.push(match w.length(x, at) {
            Length::Number(size) => Length::Number(start.saturating_add(size)),
            Length::Value(size) => {
                let start = w.b.ints(&[start]);
                Length::Value(w.b.call("Add", &[&start, &size]))
            }
        });
    }
    if axes.is_empty() {
        let part = call.gradient()?.to_owned();
        w.give(call, 0, part);
        return Ok(());
    }
    let (starts, ends) = (w.b.ints(&pads[..axes.len()]), w.lengths(&ends));
    let axes = w.b.ints(&axes);
    let part =
        w.b.call("Slice", &[call.gradient()?, &starts, &ends, &axes]);
    w.give(call, 0, part);
    Ok(())
}
