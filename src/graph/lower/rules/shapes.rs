//! Broadcasting, reductions, joins and splits.

use super::{NodeProto, Result, as_f32, bind, emit, inputs};
use crate::graph::builder::{Builder, int};
use crate::graph::gradients::broadcast;

/// `x / c` or `x * c`, with `c` of any numeric type
pub(super) fn scale(b: &mut Builder, node: &NodeProto) -> Result {
    let [x, c] = inputs(node)?;
    let c = as_f32(b, c);
    let op = if node.int("scale_down", 0) == 0 {
        "Mul"
    } else {
        "Div"
    };
    emit(b, node, 0, op, &[x, &c], &[]);
    Ok(())
}

/// `da = g / b` and `db = -g a / b^2`, each summed back to its operand's shape
pub(super) fn div(b: &mut Builder, node: &NodeProto) -> Result {
    let [g, dividend, divisor] = inputs(node)?;
    let quotient = b.call("Div", &[g, divisor]);
    let shape = b.call("Shape", &[dividend]);
    let da = broadcast::unbroadcast(b, &quotient, &shape);
    bind(b, node, 0, &da);
    let ratio = b.call("Div", &[dividend, divisor]);
    let product = b.call("Mul", &[&quotient, &ratio]);
    let negative = b.call("Neg", &[&product]);
    let shape = b.call("Shape", &[divisor]);
    let db = broadcast::unbroadcast(b, &negative, &shape);
    bind(b, node, 1, &db);
    Ok(())
}

pub(super) fn broadcast_gradient_args(b: &mut Builder, node: &NodeProto) -> Result {
    let [shape_a, shape_b] = inputs(node)?;
    let (axes_a, axes_b) = broadcast::broadcast_axes(b, shape_a, shape_b);
    bind(b, node, 0, &axes_a);
    bind(b, node, 1, &axes_b);
    Ok(())
}

/// The standard sum; without axes it keeps its meaning.
pub(super) fn reduce_sum(b: &mut Builder, node: &NodeProto) -> Result {
    let [x, axes] = inputs(node)?;
    let attributes = [
        int("keepdims", node.int("keepdims", 1)),
        int("noop_with_empty_axes", node.int("noop_with_empty_axes", 0)),
    ];
    emit(b, node, 0, "ReduceSum", &[x, axes], &attributes);
    Ok(())
}

/// The joined tensor and, if wanted, the length of each part along the axis.
pub(super) fn concat(b: &mut Builder, node: &NodeProto) -> Result {
    let [_] = inputs(node)?;
    let axis = node.int("axis", 0);
    let parts: Vec<&str> = node.input.iter().map(String::as_str).collect();
    emit(b, node, 0, "Concat", &parts, &[int("axis", axis)]);
    if node.output_at(1).is_some() {
        let index = b.ints(&[axis]);
        let mut lengths = Vec::new();
        for part in parts {
            let shape = b.call("Shape", &[part]);
            lengths.push(b.call("Gather", &[&shape, &index]));
        }
        let lengths: Vec<&str> = lengths.iter().map(String::as_str).collect();
        emit(b, node, 1, "Concat", &lengths, &[int("axis", 0)]);
    }
    Ok(())
}

/// The standard split; both take the lengths as second input. Without them the parts are equal, and
/// how many there are is told from operator set 18 on.
pub(super) fn split(b: &mut Builder, node: &NodeProto) -> Result {
    let [_] = inputs(node)?;
    let inputs: Vec<&str> = node.input.iter().map(String::as_str).collect();
    let outputs: Vec<&str> = node.output.iter().map(String::as_str).collect();
    let mut attributes = vec![int("axis", node.int("axis", 0))];
    if node.input_at(1).is_none() && b.opset() >= 18 {
        let parts = i64::try_from(outputs.len()).unwrap_or(i64::MAX);
        attributes.push(int("num_outputs", parts));
    }
    b.op_to("", "Split", &inputs, &outputs, &attributes);
    Ok(())
}
