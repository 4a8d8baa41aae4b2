//! Gradients of layer norms over the last axis.

use super::super::GraphError;
use super::super::builder::{int, ints};
use super::super::proto::NodeProto;
use super::{Lowering, inputs, label};

/// `dx = r (h - mean h - n mean(h n))` with `n = (x - mean) r`, `h = g gamma`; the gradients of
/// gamma and beta are sums of `g n` and `g` over rows.
pub(super) fn layer_norm_grad(l: &mut Lowering, node: &NodeProto) -> Result<(), GraphError> {
    let [g, x, gamma, mean, inverse] = inputs(node)?;
    check_axis(node)?;
    let centred = l.op("Sub", &[x, mean]);
    let normal = l.op("Mul", &[&centred, inverse]);
    let h = l.op("Mul", &[g, gamma]);
    let h_mean = mean_of_rows(l, &h);
    let centred = l.op("Sub", &[&h, &h_mean]);
    input_gradient(l, node, &h, &centred, &normal, inverse);
    let gn = l.op("Mul", &[g, &normal]);
    sum_of_rows(l, node, 1, &gn, gamma);
    sum_of_rows(l, node, 2, g, gamma);
    Ok(())
}

/// As [`layer_norm_grad`], without centring and without beta.
pub(super) fn simplified_layer_norm_grad(
    l: &mut Lowering,
    node: &NodeProto,
) -> Result<(), GraphError> {
    let [g, x, gamma, inverse] = inputs(node)?;
    check_axis(node)?;
    let normal = l.op("Mul", &[x, inverse]);
    let h = l.op("Mul", &[g, gamma]);
    input_gradient(l, node, &h, &h, &normal, inverse);
    let gn = l.op("Mul", &[g, &normal]);
    sum_of_rows(l, node, 1, &gn, gamma);
    Ok(())
}

fn check_axis(node: &NodeProto) -> Result<(), GraphError> {
    match node.int("axis", -1) {
        -1 => Ok(()),
        axis => Err(GraphError::Unsupported(format!(
            "`{}` ({}): axis {axis}, expected -1",
            label(node),
            node.op_type
        ))),
    }
}

/// `r (centred - n mean(h n))`
fn input_gradient(
    l: &mut Lowering,
    node: &NodeProto,
    h: &str,
    centred: &str,
    normal: &str,
    inverse: &str,
) {
    let hn = l.op("Mul", &[h, normal]);
    let hn_mean = mean_of_rows(l, &hn);
    let along = l.op("Mul", &[normal, &hn_mean]);
    let rest = l.op("Sub", &[centred, &along]);
    l.emit(node, 0, "Mul", &[&rest, inverse], &[]);
}

fn mean_of_rows(l: &mut Lowering, value: &str) -> String {
    let attributes = [ints("axes", &[-1]), int("keepdims", 1)];
    l.graph.op("ReduceMean", &[value], &attributes)
}

/// Output `index`: the sum over all axes but the last, which is as long as `like`.
fn sum_of_rows(l: &mut Lowering, node: &NodeProto, index: usize, value: &str, like: &str) {
    let width = l.op("Shape", &[like]);
    let rows = l.graph.ints(&[-1]);
    let shape = l.graph.op("Concat", &[&rows, &width], &[int("axis", 0)]);
    let matrix = l.op("Reshape", &[value, &shape]);
    let axes = l.graph.ints(&[0]);
    l.emit(
        node,
        index,
        "ReduceSum",
        &[&matrix, &axes],
        &[int("keepdims", 0)],
    );
}
