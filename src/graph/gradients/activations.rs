//! Gradients of activations.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use super::Builder;

/// Cubic coefficient of the tanh approximation of GELU.
const GELU_CUBIC: f32 = 0.044_715;

/// `g * y * (1 - y)`
pub fn sigmoid(b: &mut Builder, g: &str, y: &str) -> String {
    let one = b.scalar(1.0);
    let gy = b.call("Mul", &[g, y]);
    let rest = b.call("Sub", &[&one, y]);
    b.call("Mul", &[&gy, &rest])
}

/// `g * (1 - y^2)`
pub fn tanh(b: &mut Builder, g: &str, y: &str) -> String {
    let one = b.scalar(1.0);
    let square = b.call("Mul", &[y, y]);
    let slope = b.call("Sub", &[&one, &square]);
    b.call("Mul", &[g, &slope])
}

/// `g` where `x > 0`, else 0. The output serves as `x` too.
pub fn relu(b: &mut Builder, g: &str, x: &str) -> String {
    let zero = b.scalar(0.0);
    let above = b.call("Greater", &[x, &zero]);
    b.call("Where", &[&above, g, &zero])
}

/// `g` where `y > 0`, else `alpha * g`
pub fn leaky_relu(b: &mut Builder, g: &str, y: &str, alpha: f32) -> String {
    let (zero, alpha) = (b.scalar(0.0), b.scalar(alpha));
    let above = b.call("Greater", &[y, &zero]);
    let leaked = b.call("Mul", &[g, &alpha]);
    b.call("Where", &[&above, g, &leaked])
}

/// Of `x (1 + erf(x / sqrt 2)) / 2`: `g ((1 + erf u) / 2 + u exp(-u^2) / sqrt pi)` with
/// `u = x / sqrt 2`.
pub fn gelu(b: &mut Builder, g: &str, x: &str) -> String {
    let (scale, half, one) = (b.scalar(FRAC_1_SQRT_2), b.scalar(0.5), b.scalar(1.0));
    let u = b.call("Mul", &[x, &scale]);
    let erf = b.call("Erf", &[&u]);
    let erf = b.call("Add", &[&erf, &one]);
    let share = b.call("Mul", &[&erf, &half]);
    let square = b.call("Mul", &[&u, &u]);
    let negative = b.call("Neg", &[&square]);
    let bell = b.call("Exp", &[&negative]);
    let bell = b.call("Mul", &[&bell, &u]);
    let height = b.scalar(FRAC_2_SQRT_PI / 2.0);
    let bell = b.call("Mul", &[&bell, &height]);
    let slope = b.call("Add", &[&share, &bell]);
    b.call("Mul", &[g, &slope])
}

/// Of the tanh approximation of GELU: `g (1 + t + x (1 - t^2) (k + 3 c k x^2)) / 2` with
/// `k = sqrt(2 / pi)`, `t = tanh(k x + c k x^3)`.
pub fn fast_gelu(b: &mut Builder, g: &str, x: &str) -> String {
    let slope_at_0 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
    let (one, half, linear) = (b.scalar(1.0), b.scalar(0.5), b.scalar(slope_at_0));
    let (cubic, steep) = (
        b.scalar(slope_at_0 * GELU_CUBIC),
        b.scalar(3.0 * slope_at_0 * GELU_CUBIC),
    );
    let square = b.call("Mul", &[x, x]);
    let bend = b.call("Mul", &[&square, &cubic]);
    let factor = b.call("Add", &[&bend, &linear]);
    let inner = b.call("Mul", &[x, &factor]);
    let tanh = b.call("Tanh", &[&inner]);
    let square_of_tanh = b.call("Mul", &[&tanh, &tanh]);
    let rest = b.call("Sub", &[&one, &square_of_tanh]);
    let bend = b.call("Mul", &[&square, &steep]);
    let inner_slope = b.call("Add", &[&bend, &linear]);
    let product = b.call("Mul", &[&rest, &inner_slope]);
    let product = b.call("Mul", &[&product, x]);
    let sum = b.call("Add", &[&product, &tanh]);
    let sum = b.call("Add", &[&sum, &one]);
    let slope = b.call("Mul", &[&sum, &half]);
    b.call("Mul", &[g, &slope])
}

/// Of `x sigmoid(alpha x)`: `g s (1 + alpha x (1 - s))` with `s = sigmoid(alpha x)`. `SiLU` has
/// `alpha` 1.
pub fn quick_gelu(b: &mut Builder, g: &str, x: &str, alpha: f32) -> String {
    let (one, alpha) = (b.scalar(1.0), b.scalar(alpha));
    let scaled = b.call("Mul", &[x, &alpha]);
    let s = b.call("Sigmoid", &[&scaled]);
    let rest = b.call("Sub", &[&one, &s]);
    let product = b.call("Mul", &[&scaled, &rest]);
    let sum = b.call("Add", &[&product, &one]);
    let slope = b.call("Mul", &[&s, &sum]);
    b.call("Mul", &[g, &slope])
}
