//! Matrix products in half precision; everything else, and every stored value, stays f32.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::super::builder::{Builder, int};
use super::super::proto::{GraphProto, ModelProto, NodeProto, elem};

/// What matrix products are computed in. Parameters, moments, sums and norms are f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compute {
    /// Single precision.
    #[default]
    F32,
    /// Half precision. Operands are divided by their largest size before they are cast, so that small
    /// gradients do not vanish.
    F16,
    /// `bfloat16`: the range of f32, 8 bits of precision.
    Bf16,
}

/// Operators that are products of matrices.
const PRODUCTS: [&str; 3] = ["FusedMatMul", "Gemm", "MatMul"];

/// Keeps the quotient finite where an operand is all zeros.
const SMALLEST: f32 = 1e-30;

/// Rewrites the products of a graph.
pub(super) fn products_in(mut model: ModelProto, compute: Compute) -> ModelProto {
    let to = match compute {
        Compute::F32 => return model,
        Compute::F16 => elem::FLOAT16,
        Compute::Bf16 => elem::BFLOAT16,
    };
    let opset = model.opset();
    let Some(graph) = model.graph.take() else {
        return model;
    };
    let mut casts = Casts {
        b: Builder::with_opset(&graph.name, opset),
        to,
        scaled: compute == Compute::F16,
        known: HashMap::new(),
    };
    let GraphProto {
        node,
        initializer,
        input,
        output,
        ..
    } = graph;
    let names = node.iter().flat_map(|n| &n.output);
    let names = names.chain(input.iter().map(|v| &v.name));
    casts.b.reserve(names.map(String::as_str));
    for tensor in initializer {
        casts.b.initializer(tensor);
    }
    for node in node {
        let fits = node.op_type != "Gemm" || node.input_at(2).is_none();
        if PRODUCTS.contains(&node.op_type.as_str()) && fits {
            casts.product(node);
        } else {
            casts.b.node(node);
        }
    }
    let mut graph = casts.b.finish().graph.unwrap_or_default();
    graph.input = input;
    graph.output = output;
    model.graph = Some(graph);
    model
}

/// The graph under construction, and the operands cast so far.
struct Casts {
    b: Builder,
    to: i32,
    scaled: bool,
    known: HashMap<String, Operand>,
}

/// An operand in half precision, and the size that it was divided by.
#[derive(Clone)]
struct Operand {
    value: String,
    size: Option<String>,
}

impl Casts {
    fn product(&mut self, mut node: NodeProto) {
        let operands: Vec<Operand> = node.input.iter().map(|name| self.operand(name)).collect();
        node.input = operands.iter().map(|o| o.value.clone()).collect();
        let target = node.output[0].clone();
        let half = self.b.fresh(&format!("{target}.half"));
        node.output[0].clone_from(&half);
        self.b.node(node);
        let back = [int("to", elem::FLOAT.into())];
        let sizes: Vec<&String> = operands.iter().filter_map(|o| o.size.as_ref()).collect();
        let [first, second] = sizes[..] else {
            self.b.op_to("", "Cast", &[&half], &[&target], &back);
            return;
        };
        let full = self.b.op("Cast", &[&half], &back);
        let size = self.b.call("Mul", &[first, second]);
        self.b.op_to("", "Mul", &[&full, &size], &[&target], &[]);
    }

    fn operand(&mut self, name: &str) -> Operand {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let cast = [int("to", self.to.into())];
        let operand = if self.scaled {
            let sizes = self.b.call("Abs", &[name]);
            let flat = self.b.ints(&[-1]);
            let sizes = self.b.call("Reshape", &[&sizes, &flat]);
            let largest = self.b.reduce("ReduceMax", &sizes, &[0], false);
            let smallest = self.b.scalar(SMALLEST);
            let size = self.b.call("Max", &[&largest, &smallest]);
            let unit = self.b.call("Div", &[name, &size]);
            Operand {
                value: self.b.op("Cast", &[&unit], &cast),
                size: Some(size),
            }
        } else {
            Operand {
                value: self.b.op("Cast", &[name], &cast),
                size: None,
            }
        };
        self.known.insert(name.to_owned(), operand.clone());
        operand
    }
}
