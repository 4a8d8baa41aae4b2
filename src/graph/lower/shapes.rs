//! Broadcasting, reductions, joins and splits.

use super::super::GraphError;
use super::super::builder::int;
use super::super::proto::{NodeProto, TensorProto, attribute_type, elem};
use super::{AttributeProto, Lowering, inputs};

type Result = std::result::Result<(), GraphError>;

/// `x / c` or `x * c`, with `c` of any numeric type
pub(super) fn scale(l: &mut Lowering, node: &NodeProto) -> Result {
    let [x, c] = inputs(node)?;
    let c = l.graph.op("Cast", &[c], &[int("to", elem::FLOAT.into())]);
    let op = if node.int("scale_down", 0) == 0 {
        "Mul"
    } else {
        "Div"
    };
    l.emit(node, 0, op, &[x, &c], &[]);
    Ok(())
}

/// `da = g / b` and `db = -g a / b^2`, each summed back to its operand's shape
pub(super) fn div_grad(l: &mut Lowering, node: &NodeProto) -> Result {
    let [g, a, b] = inputs(node)?;
    let quotient = l.op("Div", &[g, b]);
    let (shape_a, shape_b) = (l.op("Shape", &[a]), l.op("Shape", &[b]));
    let (axes_a, axes_b) = broadcast_axes(l, &shape_a, &shape_b);
    let summed = [int("keepdims", 1), int("noop_with_empty_axes", 1)];
    if node.output_at(0).is_some() {
        let sum = l.graph.op("ReduceSum", &[&quotient, &axes_a], &summed);
        l.emit(node, 0, "Reshape", &[&sum, &shape_a], &[]);
    }
    if node.output_at(1).is_some() {
        let ratio = l.op("Div", &[a, b]);
        let product = l.op("Mul", &[&quotient, &ratio]);
        let negative = l.op("Neg", &[&product]);
        let sum = l.graph.op("ReduceSum", &[&negative, &axes_b], &summed);
        l.emit(node, 1, "Reshape", &[&sum, &shape_b], &[]);
    }
    Ok(())
}

pub(super) fn broadcast_gradient_args(l: &mut Lowering, node: &NodeProto) -> Result {
    let [shape_a, shape_b] = inputs(node)?;
    let (axes_a, axes_b) = broadcast_axes(l, shape_a, shape_b);
    l.emit(node, 0, "Identity", &[&axes_a], &[]);
    l.emit(node, 1, "Identity", &[&axes_b], &[]);
    Ok(())
}

/// For each of two shapes, the axes of their common shape along which it was repeated.
fn broadcast_axes(l: &mut Lowering, shape_a: &str, shape_b: &str) -> (String, String) {
    let (rank_a, rank_b) = (l.op("Shape", &[shape_a]), l.op("Shape", &[shape_b]));
    let rank = l.op("Max", &[&rank_a, &rank_b]);
    let padded_a = left_padded(l, shape_a, &rank_a, &rank);
    let padded_b = left_padded(l, shape_b, &rank_b, &rank);
    let common = l.op("Max", &[&padded_a, &padded_b]);
    (
        differing(l, &padded_a, &common),
        differing(l, &padded_b, &common),
    )
}

fn left_padded(l: &mut Lowering, shape: &str, own_rank: &str, rank: &str) -> String {
    let missing = l.op("Sub", &[rank, own_rank]);
    let ones = AttributeProto {
        name: "value".into(),
        t: Some(TensorProto::from_i64("", &[1], &[1])),
        r#type: attribute_type::TENSOR,
        ..AttributeProto::default()
    };
    let ones = l.graph.op("ConstantOfShape", &[&missing], &[ones]);
    l.graph.op("Concat", &[&ones, shape], &[int("axis", 0)])
}

fn differing(l: &mut Lowering, shape: &str, common: &str) -> String {
    let equal = l.op("Equal", &[shape, common]);
    let differs = l.op("Not", &[&equal]);
    let positions = l.op("NonZero", &[&differs]);
    let flat = l.graph.ints(&[-1]);
    l.op("Reshape", &[&positions, &flat])
}

/// The standard sum; without axes it keeps its meaning.
pub(super) fn reduce_sum_training(l: &mut Lowering, node: &NodeProto) -> Result {
    let [x, axes] = inputs(node)?;
    let attributes = [
        int("keepdims", node.int("keepdims", 1)),
        int("noop_with_empty_axes", node.int("noop_with_empty_axes", 0)),
    ];
    l.emit(node, 0, "ReduceSum", &[x, axes], &attributes);
    Ok(())
}

/// The joined tensor and, if wanted, the length of each part along the axis.
pub(super) fn concat_training(l: &mut Lowering, node: &NodeProto) -> Result {
    let [_] = inputs(node)?;
    let axis = node.int("axis", 0);
    let parts: Vec<&str> = node.input.iter().map(String::as_str).collect();
    l.emit(node, 0, "Concat", &parts, &[int("axis", axis)]);
    if node.output_at(1).is_some() {
        let index = l.graph.ints(&[axis]);
        let mut lengths = Vec::new();
        for part in parts {
            let shape = l.op("Shape", &[part]);
            lengths.push(l.op("Gather", &[&shape, &index]));
        }
        let lengths: Vec<&str> = lengths.iter().map(String::as_str).collect();
        l.emit(node, 1, "Concat", &lengths, &[int("axis", 0)]);
    }
    Ok(())
}

/// The standard split; both take the lengths as second input.
pub(super) fn split_training(l: &mut Lowering, node: &NodeProto) -> Result {
    let [x, lengths] = inputs(node)?;
    let outputs: Vec<&str> = node.output.iter().map(String::as_str).collect();
    let attributes = [int("axis", node.int("axis", 0))];
    l.graph
        .op_to("", "Split", &[x, lengths], &outputs, &attributes);
    Ok(())
}
