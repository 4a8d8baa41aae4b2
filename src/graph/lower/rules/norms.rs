//! Layer norms.

use super::{NodeProto, Result, bind, inputs};
use crate::graph::builder::{Builder, int};
use crate::graph::gradients::norms;

pub(super) fn layer_norm(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, x, gamma, mean, inverse] = inputs(node)?;
    if node.int("axis", -1) == -1 {
        let gradients = norms::layer_norm(b, g, x, gamma, mean, inverse);
        bind(b, node, 0, &gradients.x);
        bind(b, node, 1, &gradients.gamma);
        bind(b, node, 2, &gradients.beta);
        return Ok(());
    }
    let rows = Rows::new(b, x, gamma);
    let [g, x] = [g, x].map(|value| rows.matrix(b, value));
    let [mean, inverse] = [mean, inverse].map(|value| column(b, value));
    let gradients = norms::layer_norm(b, &g, &x, &rows.gamma, &mean, &inverse);
    rows.bind(b, node, 0, &gradients.x);
    rows.bind(b, node, 1, &gradients.gamma);
    rows.bind(b, node, 2, &gradients.beta);
    Ok(())
}

pub(super) fn simplified_layer_norm(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, x, gamma, inverse] = inputs(node)?;
    if node.int("axis", -1) == -1 {
        let gradients = norms::simplified_layer_norm(b, g, x, gamma, inverse);
        bind(b, node, 0, &gradients.x);
        bind(b, node, 1, &gradients.gamma);
        return Ok(());
    }
    let rows = Rows::new(b, x, gamma);
    let [g, x] = [g, x].map(|value| rows.matrix(b, value));
    let inverse = column(b, inverse);
    let gradients = norms::simplified_layer_norm(b, &g, &x, &rows.gamma, &inverse);
    rows.bind(b, node, 0, &gradients.x);
    rows.bind(b, node, 1, &gradients.gamma);
    Ok(())
}

/// A norm over several axes as one over the rows of a matrix.
struct Rows {
    x_shape: String,
    gamma_shape: String,
    /// The scale, `[width]`.
    gamma: String,
    /// The shape that a matrix is asked for with: `[-1, width]`.
    matrix: String,
}

impl Rows {
    fn new(b: &mut Builder, x: &str, gamma: &str) -> Self {
        let flat = b.ints(&[-1]);
        let x_shape = b.call("Shape", &[x]);
        let gamma_shape = b.call("Shape", &[gamma]);
        let gamma = b.call("Reshape", &[gamma, &flat]);
        let width = b.call("Shape", &[&gamma]);
        let matrix = b.op("Concat", &[&flat, &width], &[int("axis", 0)]);
        Self {
            x_shape,
            gamma_shape,
            gamma,
            matrix,
        }
    }

    fn matrix(&self, b: &mut Builder, value: &str) -> String {
        b.call("Reshape", &[value, &self.matrix])
    }

    /// Output 0 has the shape of the normalised values, the others that of the scale.
    fn bind(&self, b: &mut Builder, node: &NodeProto, index: usize, value: &str) {
        let shape = match index {
            0 => &self.x_shape,
            _ => &self.gamma_shape,
        };
        super::emit(b, node, index, "Reshape", &[value, shape], &[]);
    }
}

fn column(b: &mut Builder, value: &str) -> String {
    let shape = b.ints(&[-1, 1]);
    b.call("Reshape", &[value, &shape])
}
