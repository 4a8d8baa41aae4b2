//! Arithmetic and functions of single elements. Operands that were broadcast get sums.

use std::f32::consts::FRAC_2_SQRT_PI;

use super::super::super::GraphError;
use super::super::super::builder::int;
use super::super::super::proto::elem;
use super::super::backward::{Backward, Call};

type Result = std::result::Result<(), GraphError>;

impl Backward<'_> {
    /// Gives input `index` a gradient that still has the shape of the output.
    fn give_summed(&mut self, call: &Call<'_>, index: usize, g: &str) -> Result {
        let part = self.unbroadcast(g, call.output(), call.input(index)?);
        self.give(call, index, part);
        Ok(())
    }
}

/// Also the sum of many.
pub(super) fn add(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let g = call.gradient()?;
    for index in (0..call.node.input.len()).filter(|&index| call.wants(index)) {
        w.give_summed(call, index, g)?;
    }
    Ok(())
}

pub(super) fn sub(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let g = call.gradient()?;
    if call.wants(0) {
        w.give_summed(call, 0, g)?;
    }
    if call.wants(1) {
        let sum = w.unbroadcast(g, call.output(), call.input(1)?);
        let part = w.b.call("Neg", &[&sum]);
        w.give(call, 1, part);
    }
    Ok(())
}

pub(super) fn mul(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let g = call.gradient()?;
    let operands = [call.input(0)?, call.input(1)?];
    for index in (0..2).filter(|&index| call.wants(index)) {
        let product = w.b.call("Mul", &[g, operands[1 - index]]);
        w.give_summed(call, index, &product)?;
    }
    Ok(())
}

/// `g / b` and `-(g / b) y`
pub(super) fn div(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let quotient = w.b.call("Div", &[call.gradient()?, call.input(1)?]);
    if call.wants(0) {
        w.give_summed(call, 0, &quotient)?;
    }
    if call.wants(1) {
        let product = w.b.call("Mul", &[&quotient, call.output()]);
        let sum = w.unbroadcast(&product, call.output(), call.input(1)?);
        let part = w.b.call("Neg", &[&sum]);
        w.give(call, 1, part);
    }
    Ok(())
}

/// `g e x^(e - 1)` and `g y log x`, the latter where `x` is positive
pub(super) fn pow(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let g = call.gradient()?;
    let (x, exponent) = (call.input(0)?, call.input(1)?);
    if call.wants(0) {
        let known = w.shapes.float(exponent);
        let slope = if known.is_some_and(|e| e.to_bits() == 2.0_f32.to_bits()) {
            w.scaled(x, 2.0)
        } else {
            let one = w.b.scalar(1.0);
            // whole exponents come as integers too
            let exponent =
                w.b.op("Cast", &[exponent], &[int("to", elem::FLOAT.into())]);
            let less = w.b.call("Sub", &[&exponent, &one]);
            let power = w.b.call("Pow", &[x, &less]);
            w.b.call("Mul", &[&power, &exponent])
        };
        let part = w.b.call("Mul", &[g, &slope]);
        w.give_summed(call, 0, &part)?;
    }
    if call.wants(1) {
        let (zero, one) = (w.b.scalar(0.0), w.b.scalar(1.0));
        let positive = w.b.call("Greater", &[x, &zero]);
        let base = w.b.call("Where", &[&positive, x, &one]);
        let log = w.b.call("Log", &[&base]);
        let slope = w.b.call("Mul", &[call.output(), &log]);
        let part = w.b.call("Mul", &[g, &slope]);
        w.give_summed(call, 1, &part)?;
    }
    Ok(())
}

pub(super) fn sqrt(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let half = w.scaled(call.gradient()?, 0.5);
    let part = w.b.call("Div", &[&half, call.output()]);
    w.give(call, 0, part);
    Ok(())
}

pub(super) fn reciprocal(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let y = call.output();
    let square = w.b.call("Mul", &[y, y]);
    let product = w.b.call("Mul", &[call.gradient()?, &square]);
    let part = w.b.call("Neg", &[&product]);
    w.give(call, 0, part);
    Ok(())
}

pub(super) fn neg(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let part = w.b.call("Neg", &[call.gradient()?]);
    w.give(call, 0, part);
    Ok(())
}

/// `g f(x)` for a function of the input that one operator computes.
fn times(w: &mut Backward<'_>, call: &Call<'_>, operator: &str) -> Result {
    let slope = w.b.call(operator, &[call.input(0)?]);
    let part = w.b.call("Mul", &[call.gradient()?, &slope]);
    w.give(call, 0, part);
    Ok(())
}

pub(super) fn abs(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    times(w, call, "Sign")
}

pub(super) fn sin(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    times(w, call, "Cos")
}

pub(super) fn cos(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let sin = w.b.call("Sin", &[call.input(0)?]);
    let product = w.b.call("Mul", &[call.gradient()?, &sin]);
    let part = w.b.call("Neg", &[&product]);
    w.give(call, 0, part);
    Ok(())
}

pub(super) fn exp(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let part = w.b.call("Mul", &[call.gradient()?, call.output()]);
    w.give(call, 0, part);
    Ok(())
}

pub(super) fn log(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let part = w.b.call("Div", &[call.gradient()?, call.input(0)?]);
    w.give(call, 0, part);
    Ok(())
}

/// `g exp(-x^2) 2 / sqrt(pi)`
pub(super) fn erf(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let x = call.input(0)?;
    let square = w.b.call("Mul", &[x, x]);
    let negative = w.b.call("Neg", &[&square]);
    let bell = w.b.call("Exp", &[&negative]);
    let slope = w.scaled(&bell, FRAC_2_SQRT_PI);
    let part = w.b.call("Mul", &[call.gradient()?, &slope]);
    w.give(call, 0, part);
    Ok(())
}

/// The arithmetic mean of operands.
pub(super) fn mean(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    #[expect(clippy::cast_precision_loss, reason = "a node has few operands")]
    let share = w.scaled(call.gradient()?, 1.0 / call.node.input.len() as f32);
    for index in (0..call.node.input.len()).filter(|&index| call.wants(index)) {
        w.give_summed(call, index, &share)?;
    }
    Ok(())
}

/// `Max` and `Min`: equal shares for those that are the extreme one.
pub(super) fn extreme(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let (g, y) = (call.gradient()?, call.output());
    let mut hits = Vec::new();
    for input in &call.node.input {
        let hit = w.b.call("Equal", &[input, y]);
        hits.push(w.b.op("Cast", &[&hit], &[int("to", elem::FLOAT.into())]));
    }
    let mut count = hits[0].clone();
    for hit in &hits[1..] {
        count = w.b.call("Add", &[&count, hit]);
    }
    let share = w.b.call("Div", &[g, &count]);
    for (index, hit) in hits
        .iter()
        .enumerate()
        .filter(|(index, _)| call.wants(*index))
    {
        let part = w.b.call("Mul", &[&share, hit]);
        w.give_summed(call, index, &part)?;
    }
    Ok(())
}

/// Inside the bounds and at them the gradient passes; outside it goes to the bound.
pub(super) fn clip(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let (g, x, zero) = (call.gradient()?, call.input(0)?, w.b.scalar(0.0));
    let mut part = g.to_owned();
    for (index, beyond) in [(1, "Less"), (2, "Greater")] {
        let Some(bound) = call.node.input_at(index) else {
            continue;
        };
        let outside = w.b.call(beyond, &[x, bound]);
        part = w.b.call("Where", &[&outside, &zero, &part]);
        if call.wants(index) {
            let of_bound = w.b.call("Where", &[&outside, g, &zero]);
            w.give_summed(call, index, &of_bound)?;
        }
    }
    if call.wants(0) {
        w.give(call, 0, part);
    }
    Ok(())
}

/// `Where`
pub(super) fn choose(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let (g, condition, zero) = (call.gradient()?, call.input(0)?, w.b.scalar(0.0));
    if call.wants(1) {
        let part = w.b.call("Where", &[condition, g, &zero]);
        w.give_summed(call, 1, &part)?;
    }
    if call.wants(2) {
        let part = w.b.call("Where", &[condition, &zero, g]);
        w.give_summed(call, 2, &part)?;
    }
    Ok(())
}
