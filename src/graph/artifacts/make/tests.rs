use std::path::{Path, PathBuf};

use super::*;
use crate::graph::GraphError;
use crate::graph::artifacts::Artifacts;
use crate::graph::builder::{Builder, float, int};
use crate::graph::lower::{LOSS, MARGIN, PAIR_LOSS};
use crate::graph::optimizer::OptimizerSettings;
use crate::graph::proto::{GraphProto, ModelProto, TensorProto, elem};

fn forward_file(model: &str) -> PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/data/models");
    data.join(model).join("forward.onnx")
}

fn composed(model: &str, train: &str) -> Composed {
    let forward = ForwardModel::read(&forward_file(model), None).unwrap();
    let options = ComposeOptions {
        train: train.parse().unwrap(),
        ..ComposeOptions::default()
    };
    compose(forward, &options).unwrap()
}

/// The part of the model in which a parameter is, by the end of its readable name.
fn place(composed: &Composed, end: &str) -> Place {
    let at = composed
        .readable
        .iter()
        .position(|name| name.ends_with(end));
    composed.places[at.unwrap_or_else(|| panic!("no `{end}` in {:?}", composed.readable))]
}

fn trains(composed: &Composed) -> Vec<&str> {
    let both = composed.parameters.iter().zip(&composed.readable);
    let mut names: Vec<&str> = both
        .filter(|(parameter, _)| parameter.trainable)
        .map(|(_, name)| name.as_str())
        .collect();
    names.sort_unstable();
    names
}

/// A model whose output is `x * w`, `[rows, width]`.
fn linear(width: i64) -> Builder {
    let mut b = Builder::new("linear");
    b.input("x", elem::FLOAT, &["rows".into(), 4.into()]);
    let len = usize::try_from(4 * width).unwrap();
    b.f32("w.weight", &[4, width], &vec![0.5; len]);
    b.op_to("", "MatMul", &["x", "w.weight"], &["y"], &[]);
    b
}

fn edited(mut b: Builder, edit: impl FnOnce(&mut GraphProto)) -> ModelProto {
    b.output("y", elem::FLOAT, &["rows".into(), "width".into()]);
    let mut model = b.finish();
    edit(model.graph.as_mut().unwrap());
    model
}

fn refused(model: ModelProto) -> String {
    let error = ForwardModel::new(model, None).unwrap_err();
    assert!(error.hint().is_some(), "`{error}` comes with advice");
    error.to_string()
}

#[test]
fn layers_are_told_without_names_of_nodes() {
    let bert = composed("bert", "all");
    assert_eq!(
        place(&bert, "layer.0.attention.self.query.weight"),
        Place::Layer(0)
    );
    assert_eq!(place(&bert, "layer.1.output.dense.weight"), Place::Layer(1));
    assert_eq!(place(&bert, "pooler.dense.weight"), Place::After);
    assert_eq!(place(&bert, "classifier.weight"), Place::Head);
    assert_eq!(
        place(&bert, "position_embeddings.weight"),
        Place::Embeddings
    );
    for (model, per_layer) in [("llama", 9), ("qwen2", 12), ("modernbert", 6)] {
        let composed = composed(model, "all");
        let of = |layer| {
            let places = composed.places.iter();
            places
                .filter(|place| **place == Place::Layer(layer))
                .count()
        };
        assert_eq!(of(1), per_layer, "{model}");
        // the first layer of ModernBERT has no norm before its attention
        assert_eq!(
            of(0),
            per_layer - usize::from(model == "modernbert"),
            "{model}"
        );
    }
    let deberta = composed("deberta-v3", "all");
    assert_eq!(place(&deberta, "rel_embeddings.weight"), Place::Embeddings);
}

#[test]
fn what_trains_is_what_was_asked_for() {
    assert_eq!(
        trains(&composed("bert", "head")),
        ["model.classifier.weight"]
    );
    assert_eq!(trains(&composed("bert-encoder", "head")), [HEAD_WEIGHT]);
    let last = composed("bert", "last:1");
    let names = trains(&last);
    assert!(names.iter().all(|name| {
        ["layer.1.", "pooler", "classifier"]
            .iter()
            .any(|part| name.contains(part))
    }));
    assert_eq!(names.len(), 16 + 2 + 1);
    assert_eq!(
        trains(&composed("bert", "all")).len(),
        last.parameters.len()
    );

    let lora = composed("llama", "lora:1:*");
    let factors = trains(&lora);
    assert_eq!(
        factors
            .iter()
            .filter(|name| name.ends_with(".lora_a"))
            .count(),
        15
    );
    for parameter in lora
        .parameters
        .iter()
        .filter(|p| p.name.ends_with(".lora_b"))
    {
        assert!(parameter.data.iter().all(|v| *v == 0.0));
    }
    for train in [Train::Last(9), Train::Last(3)] {
        let forward = ForwardModel::read(&forward_file("bert"), None).unwrap();
        let options = ComposeOptions {
            train,
            ..ComposeOptions::default()
        };
        let error = compose(forward, &options).unwrap_err();
        assert!(
            error.to_string().contains("the model has 2 layers"),
            "{error}"
        );
    }
}

#[test]
fn artifacts_follow_the_conventions_of_the_generator() {
    let composed = composed("bert-encoder", "last:1");
    let trainable = composed.parameters.iter().filter(|p| p.trainable).count();
    let frozen = composed.parameters.len() - trainable;
    assert!(composed.parameters[..trainable].iter().all(|p| p.trainable));
    let made = composed.artifacts(OptimizerSettings::default()).unwrap();
    let graph = made.training.graph.as_ref().unwrap();
    let inputs: Vec<&str> = graph.input.iter().map(|v| v.name.as_str()).collect();
    let data = ["input_ids", "attention_mask", "response_mask"];
    assert_eq!(inputs[..3], data);
    assert_eq!(inputs.len(), 3 + 2 * trainable + frozen + 1);
    let first = &made.checkpoint.parameters[0];
    assert_eq!(inputs[3], first.name);
    let buffer = inputs[3 + trainable + frozen];
    assert_eq!(buffer, format!("{}_grad.accumulation.buffer", first.name));
    assert_eq!(inputs.last(), Some(&"lazy_reset_grad"));
    assert_eq!(graph.output[0].name, LOSS);
    assert_eq!(graph.output.len(), 1 + trainable);
    assert!((17..=21).contains(&made.training.opset()));
    assert!(made.training.ir_version <= 10);
    let outputs = &made.eval.graph.as_ref().unwrap().output;
    let outputs: Vec<&str> = outputs.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(outputs, [LOSS, MARGIN, PAIR_LOSS, REWARD]);

    let folder = tempfile::tempdir().unwrap();
    made.write(folder.path()).unwrap();
    assert_eq!(Artifacts::read(folder.path()).unwrap(), made);
}

#[test]
fn outputs_are_told_apart() {
    let gives = |model: ModelProto| ForwardModel::new(model, None).unwrap().gives();
    let features = edited(linear(5), |_| {});
    assert_eq!(gives(features.clone()), Gives::Features { width: 5 });
    assert_eq!(gives(edited(linear(1), |_| {})), Gives::Reward);
    let options = ComposeOptions {
        train: Train::All,
        ..ComposeOptions::default()
    };
    let forward = ForwardModel::new(features, None).unwrap();
    let composed = compose(forward, &options).unwrap();
    assert_eq!(trains(&composed), [HEAD_WEIGHT, "w.weight"]);
    composed.artifacts(OptimizerSettings::default()).unwrap();

    let llama = ForwardModel::read(&forward_file("llama"), None).unwrap();
    assert!(llama.causal());
    assert!(
        !ForwardModel::read(&forward_file("bert"), None)
            .unwrap()
            .causal()
    );
}

#[test]
fn models_that_cannot_train_are_refused_with_advice() {
    let half = TensorProto::from_raw("h", 10, &[10, 10], vec![0; 200]);
    let mut b = linear(5);
    b.initializer(half);
    assert!(refused(edited(b, |_| {})).contains("`h` is float16"));

    let quantized = edited(linear(5), |g| g.node[0].op_type = "MatMulInteger".into());
    assert!(refused(quantized).contains("a quantized model"));

    let cache = edited(linear(5), |g| {
        g.input[0].name = "past_key_values.0.key".into();
    });
    assert!(refused(cache).contains("cache of past keys"));

    let mut fixed = Builder::new("fixed");
    fixed.input("x", elem::FLOAT, &[8.into(), 4.into()]);
    fixed.op_to("", "Relu", &["x"], &["y"], &[]);
    assert!(refused(edited(fixed, |_| {})).contains("fixed number of rows, 8"));

    let mut words = Builder::new("words");
    words.input(
        "x",
        elem::FLOAT,
        &["rows".into(), "tokens".into(), 4.into()],
    );
    words.op_to("", "Relu", &["x"], &["logits"], &[]);
    let dims = ["rows".into(), "tokens".into(), 30_000.into()];
    words.output("logits", elem::FLOAT, &dims);
    assert!(refused(words.finish()).contains("each token of the vocabulary"));

    let mut huge = Builder::new("huge");
    huge.input("x", elem::FLOAT, &["rows".into(), 4.into()]);
    huge.op_to("", "Relu", &["x"], &["z"], &[]);
    huge.output("z", elem::FLOAT, &["rows".into(), (1 << 60).into()]);
    assert!(refused(huge.finish()).contains("expected an f32 output"));

    let mut old = edited(linear(5), |_| {});
    old.opset_import[0].version = 10;
    assert!(refused(old).contains("operator set 10"));
}

#[test]
fn equal_vectors_are_copied_and_tied_matrices_stay_one() {
    let mut b = Builder::new("shared");
    b.input("x", elem::FLOAT, &["rows".into(), 4.into()]);
    let square: Vec<f32> = (0..16u8).map(f32::from).collect();
    b.f32("first.weight", &[4, 4], &square);
    b.f32("first.scale", &[4], &[1.0; 4]);
    b.f32("shift", &[4], &[0.0; 4]);
    b.op_to("", "Identity", &["first.weight"], &["second.weight"], &[]);
    b.op_to("", "Identity", &["first.scale"], &["second.scale"], &[]);
    let mut x = "x".to_owned();
    for layer in ["first", "second"] {
        x = b.call("MatMul", &[&x, &format!("{layer}.weight")]);
        let scale = format!("{layer}.scale");
        let norm = [float("epsilon", 1e-5), int("axis", -1)];
        x = b.op("LayerNormalization", &[&x, &scale, "shift"], &norm);
    }
    b.op_to("", "Identity", &[&x], &["y"], &[]);
    let forward = ForwardModel::new(edited(b, |_| {}), None).unwrap();
    let graph = forward.graph();
    let norms = graph
        .node
        .iter()
        .filter(|n| n.op_type == "LayerNormalization");
    assert!(norms.clone().all(|n| n.output.len() == 3));
    assert_eq!(forward.gives(), Gives::Features { width: 4 });
    let options = ComposeOptions {
        train: Train::All,
        ..ComposeOptions::default()
    };
    let composed = compose(forward, &options).unwrap();
    let expected = [
        "first.scale",
        "first.weight",
        HEAD_WEIGHT,
        "second.scale",
        "shift",
    ];
    assert_eq!(trains(&composed), expected);
    composed.artifacts(OptimizerSettings::default()).unwrap();
}

#[test]
fn names_with_a_meaning_are_freed() {
    let model = edited(linear(1), |g| {
        g.node[0].output[0] = REWARD.into();
        g.node[0].input[1] = LOSS.into();
        g.initializer[0].name = LOSS.into();
        g.output[0].name = REWARD.into();
    });
    let forward = ForwardModel::new(model, None).unwrap();
    let options = ComposeOptions {
        train: Train::All,
        ..ComposeOptions::default()
    };
    let composed = compose(forward, &options).unwrap();
    assert_eq!(trains(&composed), ["forward.loss"]);
    composed.artifacts(OptimizerSettings::default()).unwrap();
}

#[test]
fn options_out_of_range_are_refused() {
    let compose_with = |options: ComposeOptions| {
        let forward = ForwardModel::read(&forward_file("bert-encoder"), None).unwrap();
        compose(forward, &options).unwrap_err()
    };
    let noise = |label_noise| ComposeOptions {
        loss: LossOptions {
            label_noise,
            ..LossOptions::default()
        },
        ..ComposeOptions::default()
    };
    for share in [0.5, -0.1, f32::NAN] {
        let error = compose_with(noise(share)).to_string();
        assert!(error.contains("expected 0 to below 0.5"), "{error}");
    }
    let narrow = ComposeOptions {
        head: HeadStart::Given(vec![0.0; 35]),
        ..ComposeOptions::default()
    };
    let error = compose_with(narrow).to_string();
    assert!(error.contains("expected 36 finite numbers"), "{error}");
    let high = ComposeOptions {
        train: "lora:13".parse().unwrap(),
        ..ComposeOptions::default()
    };
    let error = compose_with(high);
    assert!(matches!(error, GraphError::Forward { .. }), "{error}");
    assert!(error.to_string().contains("rank 13"), "{error}");
}

#[test]
fn an_exported_model_is_a_forward_model_again() {
    let composed = composed("bert-encoder", "lora:2");
    let made = composed.artifacts(OptimizerSettings::default()).unwrap();
    let mut checkpoint = made.checkpoint.clone();
    let exported = export(&made.eval, checkpoint.clone()).unwrap();
    let again = ForwardModel::new(exported, None).unwrap();
    assert_eq!(again.gives(), Gives::Reward);
    assert_eq!(again.output(), REWARD);
    // and it can be trained on
    let options = ComposeOptions {
        train: "last:1".parse().unwrap(),
        ..ComposeOptions::default()
    };
    let twice = compose(again, &options).unwrap();
    assert!(
        trains(&twice)
            .iter()
            .any(|name| name.contains("head.weight"))
    );
    twice.artifacts(OptimizerSettings::default()).unwrap();

    checkpoint
        .parameters
        .retain(|p| !p.name.contains("position"));
    let error = export(&made.eval, checkpoint).unwrap_err();
    assert!(
        error.to_string().contains("the checkpoint lacks parameter"),
        "{error}"
    );
}

/// Bytes of a real model with a few changed: an error or artifacts, never a panic.
#[test]
fn damaged_models_are_errors() {
    let rounds = std::env::var("PREFCLEAN_DAMAGED_MODELS").ok();
    let rounds: u64 = rounds.and_then(|n| n.parse().ok()).unwrap_or(150);
    for model in ["bert-encoder", "gpt2", "deberta-v3"] {
        let bytes = std::fs::read(forward_file(model)).unwrap();
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..rounds {
            let mut damaged = bytes.clone();
            for _ in 0..=random(4) {
                let at = random(damaged.len());
                damaged[at] = u8::try_from(random(256)).unwrap();
            }
            let Ok(model) = ModelProto::from_bytes(&damaged) else {
                continue;
            };
            let Ok(forward) = ForwardModel::new(model, None) else {
                continue;
            };
            let options = ComposeOptions {
                train: ["all", "last:1", "lora:1", "head"][random(4)]
                    .parse()
                    .unwrap(),
                ..ComposeOptions::default()
            };
            let made = compose(forward, &options)
                .and_then(|composed| composed.artifacts(OptimizerSettings::default()));
            if let Ok(made) = made {
                // weights may be damaged into what is no number
                let _ = export(&made.eval, made.checkpoint);
            }
        }
    }
}
