//! Writes `optimizer_model.onnx` as the generator does: one optimizer node on sequences of tensors,
//! after a node that clips where gradients are clipped.

use crate::graph::builder::{MICROSOFT, float, int};
use crate::graph::optimizer::{AdamMode, AdamWSettings, OptimizerSettings};
use crate::graph::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetId, SequenceType, TensorType,
    TypeProto, TypeValue, ValueInfoProto, elem,
};

/// Newest version of the format that onnxruntime-training 1.19.2 reads.
const IR_VERSION: i64 = 10;
const LEARNING_RATE: &str = "learning_rate";
const STEP: &str = "step";
const PARAMETERS: &str = "params";
const GRADIENTS: &str = "gradients";
const CLIPPED: &str = "clipped_gradients";
const MOMENTS: [&str; 2] = ["first_order_moments", "second_order_moments"];
const UPDATED: &str = "updated";

/// The optimizer's update as a model of the training build.
pub(super) fn optimizer_model(settings: &OptimizerSettings, opset: i64) -> ModelProto {
    let mut graph = GraphProto {
        name: "optimizer".into(),
        ..GraphProto::default()
    };
    let one = || vec![1.into()];
    graph.input = vec![
        ValueInfoProto::tensor(LEARNING_RATE, elem::FLOAT, one()),
        ValueInfoProto::tensor(STEP, elem::INT64, one()),
    ];
    let sequences = match settings {
        OptimizerSettings::AdamW(_) => &[PARAMETERS, GRADIENTS, MOMENTS[0], MOMENTS[1]][..],
        // the generator declares the first moment, which nothing reads, with SGD too
        OptimizerSettings::Sgd { .. } => &[PARAMETERS, GRADIENTS, MOMENTS[0]],
    };
    graph
        .input
        .extend(sequences.iter().map(|name| sequence(name)));
    let mut gradients = GRADIENTS;
    if let Some(norm) = settings.max_gradient_norm() {
        let attributes = vec![float("max_norm", norm)];
        let clip = node("InplaceClipGradNorm", &[GRADIENTS], CLIPPED, attributes);
        graph.node.push(clip);
        graph.value_info.push(sequence(CLIPPED));
        gradients = CLIPPED;
    }
    graph.node.push(match settings {
        OptimizerSettings::AdamW(settings) => adamw_node(settings, gradients),
        OptimizerSettings::Sgd { .. } => {
            let inputs = [LEARNING_RATE, PARAMETERS, gradients];
            node("SGDOptimizerV2", &inputs, UPDATED, Vec::new())
        }
    });
    let updated = ValueInfoProto::tensor(UPDATED, elem::BOOL, one());
    graph.output.push(updated);
    let import = |domain: &str, version| OperatorSetId {
        domain: domain.into(),
        version,
    };
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        opset_import: vec![import("", opset), import(MICROSOFT, 1)],
        ..ModelProto::default()
    }
}

fn adamw_node(settings: &AdamWSettings, gradients: &str) -> NodeProto {
    let mode = match settings.mode {
        AdamMode::Torch => 0,
        AdamMode::HuggingFace => 1,
    };
    let [first, second] = MOMENTS;
    let inputs = [LEARNING_RATE, STEP, PARAMETERS, gradients, first, second];
    let attributes = vec![
        float("alpha", settings.beta1),
        float("beta", settings.beta2),
        float("epsilon", settings.epsilon),
        float("weight_decay", settings.weight_decay),
        int("correct_bias", i64::from(settings.correct_bias)),
        int("adam_mode", mode),
    ];
    node("AdamWOptimizer", &inputs, UPDATED, attributes)
}

fn node(op_type: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        name: op_type.to_owned(),
        op_type: op_type.to_owned(),
        domain: MICROSOFT.to_owned(),
        attribute,
        ..NodeProto::default()
    }
}

/// A sequence of f32 tensors of any shape.
fn sequence(name: &str) -> ValueInfoProto {
    let tensor = TensorType {
        elem_type: elem::FLOAT,
        shape: None,
    };
    let elements = TypeProto {
        value: Some(TypeValue::Tensor(tensor)),
    };
    let sequence = SequenceType {
        elem_type: Some(Box::new(elements)),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(TypeValue::Sequence(sequence)),
        }),
        ..ValueInfoProto::default()
    }
}
