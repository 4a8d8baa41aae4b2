//! Matrix products in half precision, all else in f32.
//!
//! Operands are rounded right before a product, each value once, and the result is widened right after
//! it: parameters, gradients, moments, norms and losses stay f32. Products of constants and data alone,
//! such as rotary angles, where rounding would lose positions, stay f32 too.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::recompute::from_matrices;
use crate::graph::builder::{MICROSOFT, int};
use crate::graph::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, elem};

/// What matrix products are computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// All in f32.
    #[default]
    F32,
    /// bfloat16, which has the range of f32. The runtime's CPU provider has no such products.
    Bf16,
    /// IEEE half precision. Operands are divided by their largest size first, and the product is
    /// multiplied with both sizes, so that small gradients do not underflow.
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

/// Name of the constant that keeps the quotient finite where an operand is all zeros.
const SMALLEST: &str = "half.smallest_size";

/// Rewrites the products of a tidy graph.
pub(super) fn rounded(graph: &mut GraphProto, precision: Precision) {
    let Some(half) = precision.elem_type() else {
        return;
    };
    let values = from_matrices(graph);
    let mut writer = Writer {
        half,
        scaled: precision == Precision::F16,
        rounded: HashMap::new(),
        nodes: Vec::with_capacity(2 * graph.node.len()),
    };
    for node in std::mem::take(&mut graph.node) {
        let touched = node.input.iter().any(|name| values.contains(name));
        if touched && is_product(&node) && !(writer.scaled && node.input_at(2).is_some()) {
            writer.product(node);
        } else {
            writer.nodes.push(node);
        }
    }
    graph.node = writer.nodes;
    if writer.scaled {
        let smallest = TensorProto::from_f32(SMALLEST, &[], &[1e-30]);
        graph.initializer.push(smallest);
    }
}

fn is_product(node: &NodeProto) -> bool {
    let known = matches!(
        (node.domain.as_str(), node.op_type.as_str()),
        ("", "MatMul" | "Gemm") | (MICROSOFT, "FusedMatMul")
    );
    known && node.output_at(0).is_some()
}

/// The nodes written so far, and the names of rounded operands.
struct Writer {
    half: i32,
    scaled: bool,
    rounded: HashMap<String, String>,
    nodes: Vec<NodeProto>,
}

impl Writer {
    fn product(&mut self, mut node: NodeProto) {
        let operands = node.input.clone();
        for input in node.input.iter_mut().filter(|name| !name.is_empty()) {
            *input = self.operand(input);
        }
        let output = std::mem::take(&mut node.output[0]);
        let half = format!("{output}.half_product");
        node.output[0].clone_from(&half);
        self.nodes.push(node);
        if self.scaled {
            let (wide, sizes) = (format!("{output}.wide"), format!("{output}.sizes"));
            self.cast(&half, &wide, elem::FLOAT);
            let [a, b] = [0, 1].map(|i| size_name(&operands[i]));
            self.op("Mul", &[&a, &b], &sizes, Vec::new());
            self.op("Mul", &[&wide, &sizes], &output, Vec::new());
        } else {
            self.cast(&half, &output, elem::FLOAT);
        }
    }

    /// The rounded value of an operand.
    fn operand(&mut self, input: &str) -> String {
        if let Some(name) = self.rounded.get(input) {
            return name.clone();
        }
        let name = format!("{input}.half");
        let half = self.half;
        if self.scaled {
            let [sizes, largest, unit] =
                ["abs", "largest", "unit"].map(|part| format!("{input}.half_{part}"));
            let size = size_name(input);
            self.op("Abs", &[input], &sizes, Vec::new());
            let whole = vec![int("keepdims", 0)];
            self.op("ReduceMax", &[&sizes], &largest, whole);
            self.op("Max", &[&largest, SMALLEST], &size, Vec::new());
            self.op("Div", &[input, &size], &unit, Vec::new());
            self.cast(&unit, &name, half);
        } else {
            self.cast(input, &name, half);
        }
        self.rounded.insert(input.to_owned(), name.clone());
        name
    }

    fn cast(&mut self, from: &str, to: &str, elem_type: i32) {
        self.op("Cast", &[from], to, vec![int("to", elem_type.into())]);
    }

    fn op(&mut self, op_type: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) {
        self.nodes.push(NodeProto {
            op_type: op_type.into(),
            name: format!("{output}_node"),
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            attribute,
            ..NodeProto::default()
        });
    }
}

/// Name of the size that an operand was divided by.
fn size_name(operand: &str) -> String {
    format!("{operand}.half_size")
}
