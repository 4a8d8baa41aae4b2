//! Any bytes as a model: an error, or what can be written, read again, lowered and differentiated.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use prefclean::graph::artifacts::Artifacts;
use prefclean::graph::artifacts::make::ForwardModel;
use prefclean::graph::differentiate::{differentiate, parameters_of};
use prefclean::graph::lower::{self, LoweringOptions};
use prefclean::graph::optimizer::OptimizerSettings;
use prefclean::graph::proto::ModelProto;

/// What goes with a training model.
static HEAD: LazyLock<Artifacts> = LazyLock::new(|| {
    Artifacts::from_bytes(
        include_bytes!("../../pipelines/heads/mlp/training_model.onnx"),
        include_bytes!("../../pipelines/heads/mlp/eval_model.onnx"),
        include_bytes!("../../pipelines/heads/mlp/optimizer_model.onnx"),
        include_bytes!("../../pipelines/heads/mlp/checkpoint"),
    )
    .expect("a head that comes with the crate")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = ModelProto::from_bytes(bytes) else {
        return;
    };
    let written = model.to_bytes();
    let read = ModelProto::from_bytes(&written).expect("what was written can be read");
    assert!(
        read.to_bytes() == written,
        "another model was read than written"
    );

    let _ = OptimizerSettings::of(&model);
    train(&model);
    differentiate_all(&model);
    let _ = ForwardModel::new(model, None);
});

/// Takes the model as the training model of a head.
fn train(model: &ModelProto) {
    let artifacts = Artifacts::new(
        model.clone(),
        HEAD.eval.clone(),
        HEAD.optimizer,
        HEAD.checkpoint.clone(),
    );
    if let Ok(artifacts) = artifacts {
        let options = LoweringOptions::default();
        let _ = lower::step_model(&artifacts, &options);
        let _ = lower::accumulate_model(&artifacts, &options);
    }
}

/// Differentiates the first output by all that it depends on, and by each input.
fn differentiate_all(model: &ModelProto) {
    let Some(graph) = &model.graph else { return };
    let Some(output) = graph.output.first() else {
        return;
    };
    let parameters = parameters_of(model, &output.name);
    if !parameters.is_empty() {
        let _ = differentiate(model, &output.name, &parameters);
    }
    for input in graph.input.iter().take(3) {
        let _ = differentiate(model, &output.name, std::slice::from_ref(&input.name));
    }
}
