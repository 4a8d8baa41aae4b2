//! Gradients of softmax and its logarithm along one axis.

use super::Builder;

/// `y (g - sum(g y))`
pub fn softmax(b: &mut Builder, g: &str, y: &str, axis: i64) -> String {
    let gy = b.call("Mul", &[g, y]);
    let sum = b.reduce("ReduceSum", &gy, &[axis], true);
    let centred = b.call("Sub", &[g, &sum]);
    b.call("Mul", &[y, &centred])
}

/// `g - exp(y) sum(g)`
pub fn log_softmax(b: &mut Builder, g: &str, y: &str, axis: i64) -> String {
    let sum = b.reduce("ReduceSum", g, &[axis], true);
    let p = b.call("Exp", &[y]);
    let share = b.call("Mul", &[&p, &sum]);
    b.call("Sub", &[g, &share])
}
