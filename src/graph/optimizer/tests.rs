use super::*;
use crate::graph::builder::{float, text};
use crate::graph::proto::AttributeProto;

fn model(nodes: &[(&str, Vec<AttributeProto>)]) -> ModelProto {
    let mut b = Builder::new("optimizer");
    for (op_type, attributes) in nodes {
        b.op_in("com.microsoft", op_type, &["in"], attributes);
    }
    b.finish()
}

#[test]
fn settings_are_read_from_the_nodes() {
    let adamw = model(&[
        ("InplaceClipGradNorm", vec![float("max_norm", 0.5)]),
        (
            "AdamWOptimizer",
            vec![
                float("alpha", 0.8),
                float("epsilon", 1e-5),
                int("adam_mode", 1),
            ],
        ),
    ]);
    let expected = AdamWSettings {
        beta1: 0.8,
        epsilon: 1e-5,
        weight_decay: 1e-2,
        max_gradient_norm: Some(0.5),
        ..AdamWSettings::default()
    };
    let settings = OptimizerSettings::of(&adamw).unwrap();
    assert_eq!(settings, OptimizerSettings::AdamW(expected));
    assert_eq!(settings.moments(), 2);

    let sgd = model(&[("SGDOptimizerV2", vec![])]);
    let settings = OptimizerSettings::of(&sgd).unwrap();
    let expected = OptimizerSettings::Sgd {
        max_gradient_norm: None,
    };
    assert_eq!(settings, expected);
    assert_eq!(settings.moments(), 0);
    let error = settings.with_weight_decay(0.1).unwrap_err().to_string();
    assert!(error.contains("SGD"), "{error}");
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    let refused = |nodes: &[(&str, Vec<AttributeProto>)]| {
        OptimizerSettings::of(&model(nodes))
            .unwrap_err()
            .to_string()
    };
    let error = refused(&[("LambOptimizer", vec![])]);
    assert!(error.contains("`LambOptimizer`"), "{error}");
    let error = refused(&[]);
    assert!(error.contains("without AdamW or SGD"), "{error}");
    let error = refused(&[("AdamWOptimizer", vec![int("adam_mode", 2)])]);
    assert!(error.contains("adam mode 2"), "{error}");
    let uncorrected = vec![int("adam_mode", 0), int("correct_bias", 0)];
    let error = refused(&[("AdamWOptimizer", uncorrected)]);
    assert!(error.contains("without bias correction"), "{error}");
    let error = refused(&[("InplaceClipGradNorm", vec![text("norm_type", "inf")])]);
    assert!(error.contains("`inf`"), "{error}");
}
