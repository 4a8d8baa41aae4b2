use super::*;
use crate::graph::optimizer::{AdamMode, AdamWSettings};

#[test]
fn bundled_heads_are_those_of_the_folder() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/heads");
    for name in BUNDLED {
        let loaded = Head::load(&root.join(name)).unwrap();
        let bundled = Head::bundled(name).unwrap();
        assert_eq!(loaded.artifacts, bundled.artifacts);
        assert_eq!(loaded.width(), 8);
        assert_eq!(loaded.hidden(), (name != "linear").then_some(4));
    }
    assert!(
        Head::bundled("none")
            .unwrap_err()
            .to_string()
            .contains("mlp-layernorm")
    );
}

#[test]
fn settings_are_those_of_the_optimizer_model() {
    let expected = AdamWSettings {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-6,
        weight_decay: 0.0,
        correct_bias: true,
        mode: AdamMode::HuggingFace,
        max_gradient_norm: None,
    };
    let head = Head::bundled("mlp").unwrap();
    assert_eq!(head.artifacts.optimizer, OptimizerSettings::AdamW(expected));
}

#[test]
fn resizing_draws_new_values_from_the_seed() {
    let head = Head::bundled("mlp-layernorm").unwrap();
    let resized = head.resized(100, 30, 7).unwrap();
    assert_eq!((resized.width(), resized.hidden()), (100, Some(30)));
    let parameter = |head: &Head, name: &str| {
        let found = head.parameters().iter().find(|p| p.name == name);
        found.cloned().unwrap()
    };
    assert_eq!(parameter(&resized, "norm.gamma").data, vec![1.0; 100]);
    assert_eq!(parameter(&resized, "norm.beta").data, vec![0.0; 100]);
    assert_eq!(parameter(&resized, "hidden.bias").data, vec![0.0; 30]);
    let weight = parameter(&resized, "hidden.weight");
    assert_eq!(weight.dims, [100, 30]);
    assert!(weight.data.iter().all(|v| v.abs() <= 0.1));
    let spread: f32 = weight.data.iter().map(|v| v * v).sum::<f32>() / 3000.0;
    assert!(
        (spread - 0.01 / 3.0).abs() < 3e-4,
        "variance of a uniform: {spread}"
    );

    let again = head.resized(100, 30, 7).unwrap();
    assert_eq!(again.parameters(), resized.parameters());
    let other = head.resized(100, 30, 8).unwrap();
    assert_ne!(parameter(&other, "hidden.weight").data, weight.data);
    // sizes that swap roles
    let swapped = head.resized(4, 8, 7).unwrap();
    assert_eq!(parameter(&swapped, "hidden.weight").dims, [4, 8]);
    assert_eq!(parameter(&swapped, "norm.gamma").dims, [4]);
    assert!(head.resized(0, 8, 1).is_err());
}

#[test]
fn a_size_in_a_constant_is_refused() {
    let mut head = Head::bundled("mlp").unwrap();
    let graph = head.artifacts.training.graph.as_mut().unwrap();
    let shape = crate::graph::proto::TensorProto::from_i64("shape", &[2], &[-1, 8]);
    graph.initializer.push(shape);
    let error = head.resized(16, 8, 1).unwrap_err().to_string();
    assert!(error.contains("constant `shape`"), "{error}");
    assert!(head.resized(8, 8, 1).is_ok(), "the width is unchanged");
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = Head::load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("optimizer_model.onnx"), "{error}");
}
