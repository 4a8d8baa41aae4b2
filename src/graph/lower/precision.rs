//! Matrix products in half precision, all else in f32.
//!
//! Operands are rounded right before a product, each value once, and the result is widened right after
//! it: parameters, gradients, moments, norms and losses stay f32. Products of constants and data alone,
//! such as rotary angles, where rounding would lose positions, stay f32 too.

use std::collections::HashMap;

use super::recompute::from_matrices;
use crate::graph::builder::{MICROSOFT, int};
use crate::graph::proto::{GraphProto, NodeProto, elem};

/// What matrix products are computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// All in f32.
    #[default]
    F32,
    /// bfloat16, which has the range of f32. The runtime's CPU provider has no such products.
    Bf16,
    /// IEEE half precision, for graphs without gradients: those would underflow.
    F16,
}

impl Precision {
    fn elem_type(self) -> Option<i32> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(elem::BFLOAT16),
            Self::F16 => Some(elem::FLOAT16),
        }
    }
}

/// Rewrites the products of a tidy graph.
pub(super) fn rounded(graph: &mut GraphProto, precision: Precision) {
    let Some(half) = precision.elem_type() else {
        return;
    };
    let values = from_matrices(graph);
    let mut rounded: HashMap<String, String> = HashMap::new();
    let mut nodes = Vec::with_capacity(2 * graph.node.len());
    for mut node in std::mem::take(&mut graph.node) {
        if !is_product(&node) || !node.input.iter().any(|name| values.contains(name)) {
            nodes.push(node);
            continue;
        }
        for input in node.input.iter_mut().filter(|name| !name.is_empty()) {
            let name = rounded.entry(input.clone()).or_insert_with(|| {
                let name = format!("{input}.half");
                nodes.push(cast(input, &name, half));
                name
            });
            input.clone_from(name);
        }
        let output = std::mem::take(&mut node.output[0]);
        node.output[0] = format!("{output}.half_product");
        let widened = cast(&node.output[0], &output, elem::FLOAT);
        nodes.extend([node, widened]);
    }
    graph.node = nodes;
}

fn is_product(node: &NodeProto) -> bool {
    let known = matches!(
        (node.domain.as_str(), node.op_type.as_str()),
        ("", "MatMul" | "Gemm") | (MICROSOFT, "FusedMatMul")
    );
    known && node.output_at(0).is_some()
}

fn cast(from: &str, to: &str, elem_type: i32) -> NodeProto {
    NodeProto {
        op_type: "Cast".into(),
        name: format!("{to}_node"),
        input: vec![from.to_owned()],
        output: vec![to.to_owned()],
        attribute: vec![int("to", elem_type.into())],
        ..NodeProto::default()
    }
}
