//! Gradients of layer norms over the last axis.

use super::Builder;
use crate::graph::builder::int;

/// Gradients of the inputs of a layer norm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerNormGradients {
    /// Of the normalised values.
    pub x: String,
    /// Of the scale, `[width]`.
    pub gamma: String,
    /// Of the shift, `[width]`.
    pub beta: String,
}

/// Gradients of the inputs of a layer norm that does not centre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimplifiedLayerNormGradients {
    /// Of the normalised values.
    pub x: String,
    /// Of the scale, `[width]`.
    pub gamma: String,
}

/// `dx = r (h - mean h - n mean(h n))` with `n = (x - mean) r`, `h = g gamma`; the gradients of gamma
/// and beta are the sums of `g n` and `g` over rows.
///
/// # Shapes
/// `g`, `x`: `[..., width]`; `gamma`: `[width]`; `mean` and `inverse`, the reciprocal of the standard
/// deviation: `[..., 1]`.
pub fn layer_norm(
    b: &mut Builder,
    g: &str,
    x: &str,
    gamma: &str,
    mean: &str,
    inverse: &str,
) -> LayerNormGradients {
    let centred = b.call("Sub", &[x, mean]);
    let normal = b.call("Mul", &[&centred, inverse]);
    let h = b.call("Mul", &[g, gamma]);
    let h_mean = b.reduce("ReduceMean", &h, &[-1], true);
    let centred = b.call("Sub", &[&h, &h_mean]);
    let x = input_gradient(b, &h, &centred, &normal, inverse);
    let gn = b.call("Mul", &[g, &normal]);
    LayerNormGradients {
        x,
        gamma: sum_of_rows(b, &gn, gamma),
        beta: sum_of_rows(b, g, gamma),
    }
}

/// As [`layer_norm`] without centring and without beta: `n = x r`, `dx = r (h - n mean(h n))`.
pub fn simplified_layer_norm(
    b: &mut Builder,
    g: &str,
    x: &str,
    gamma: &str,
    inverse: &str,
) -> SimplifiedLayerNormGradients {
    let normal = b.call("Mul", &[x, inverse]);
    let h = b.call("Mul", &[g, gamma]);
    let x = input_gradient(b, &h, &h, &normal, inverse);
    let gn = b.call("Mul", &[g, &normal]);
    SimplifiedLayerNormGradients {
        x,
        gamma: sum_of_rows(b, &gn, gamma),
    }
}

/// `r (centred - n mean(h n))`
fn input_gradient(b: &mut Builder, h: &str, centred: &str, normal: &str, inverse: &str) -> String {
    let hn = b.call("Mul", &[h, normal]);
    let hn_mean = b.reduce("ReduceMean", &hn, &[-1], true);
    let along = b.call("Mul", &[normal, &hn_mean]);
    let rest = b.call("Sub", &[centred, &along]);
    b.call("Mul", &[&rest, inverse])
}

/// The sum over all axes but the last, which is as long as `like`.
fn sum_of_rows(b: &mut Builder, value: &str, like: &str) -> String {
    let width = b.call("Shape", &[like]);
    let rows = b.ints(&[-1]);
    let shape = b.op("Concat", &[&rows, &width], &[int("axis", 0)]);
    let matrix = b.call("Reshape", &[value, &shape]);
    b.reduce("ReduceSum", &matrix, &[0], false)
}
