//! Activations and softmax.

use super::super::super::GraphError;
use super::super::super::gradients::{activations, softmax as softmaxes};
use super::super::backward::{Backward, Call};

type Result = std::result::Result<(), GraphError>;

pub(super) fn sigmoid(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let part = activations::sigmoid(&mut w.b, call.gradient()?, call.output());
    w.give(call, 0, part);
    Ok(())
}

pub(super) fn tanh(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let part = activations::tanh(&mut w.b, call.gradient()?, call.output());
    w.give(call, 0, part);
    Ok(())
}

/// By the output, which has the sign of the input where that is positive: the input need not be kept.
pub(super) fn relu(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let part = activations::relu(&mut w.b, call.gradient()?, call.output());
    w.give(call, 0, part);
    Ok(())
}

/// By the input: with a negative slope the output has another sign.
pub(super) fn leaky_relu(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let alpha = call.node.float("alpha", 0.01);
    let part = activations::leaky_relu(&mut w.b, call.gradient()?, call.input(0)?, alpha);
    w.give(call, 0, part);
    Ok(())
}

pub(super) fn gelu(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let (g, x) = (call.gradient()?, call.input(0)?);
    let approximate = call
        .node
        .attribute("approximate")
        .map_or(&b"none"[..], |a| &a.s);
    let part = match approximate {
        b"tanh" => activations::fast_gelu(&mut w.b, g, x),
        b"none" => activations::gelu(&mut w.b, g, x),
        other => {
            let other = String::from_utf8_lossy(other);
            let what = format!("approximation `{other}`: expected `none` or `tanh`");
            return Err(call.unsupported(&what));
        }
    };
    w.give(call, 0, part);
    Ok(())
}

/// Without a bias; with one it was written out before.
pub(super) fn fast_gelu(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let part = activations::fast_gelu(&mut w.b, call.gradient()?, call.input(0)?);
    w.give(call, 0, part);
    Ok(())
}

pub(super) fn quick_gelu(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let alpha = call.node.float("alpha", 1.702);
    let part = activations::quick_gelu(&mut w.b, call.gradient()?, call.input(0)?, alpha);
    w.give(call, 0, part);
    Ok(())
}

/// `g sigmoid(x)`
pub(super) fn softplus(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let slope = w.b.call("Sigmoid", &[call.input(0)?]);
    let part = w.b.call("Mul", &[call.gradient()?, &slope]);
    w.give(call, 0, part);
    Ok(())
}

pub(super) fn softmax(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let axis = call.node.int("axis", -1);
    let part = softmaxes::softmax(&mut w.b, call.gradient()?, call.output(), axis);
    w.give(call, 0, part);
    Ok(())
}

pub(super) fn log_softmax(w: &mut Backward<'_>, call: &Call<'_>) -> Result {
    let axis = call.node.int("axis", -1);
    let part = softmaxes::log_softmax(&mut w.b, call.gradient()?, call.output(), axis);
    w.give(call, 0, part);
    Ok(())
}
