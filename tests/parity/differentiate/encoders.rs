//! The encoders that the crate writes from weights, with every parameter.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use prefclean::graph::backbone::{
    ATTENTION_MASK, INPUT_IDS, RESPONSE_MASK, backbone_model, training_forward,
};
use prefclean::graph::differentiate::parameters_of;
use prefclean::graph::proto::ModelProto;
use safetensors::tensor::{Dtype, TensorView};

use super::models::{WHOLE_MODEL, promote};
use super::{Feed, Feeds, Subject, check, integers, noise};
use crate::runtime::runtime;

const HIDDEN: usize = 8;
const WIDE: usize = 12;
const LAYERS: usize = 2;

/// Writes a small model with every weight that the architecture needs.
fn write_model(folder: &Path, model_type: &str) {
    let config = format!(
        r#"{{"model_type": "{model_type}", "hidden_size": {HIDDEN}, "num_hidden_layers": {LAYERS},
            "num_attention_heads": 2, "intermediate_size": {WIDE}, "vocab_size": 10,
            "max_position_embeddings": 9, "pad_token_id": 1, "layer_norm_eps": 1e-5}}"#
    );
    fs::write(folder.join("config.json"), config).unwrap();
    let names = match model_type {
        "bert" => [
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
            "attention.output.LayerNorm",
        ],
        _ => [
            "attention.attn.q",
            "attention.attn.k",
            "attention.attn.v",
            "attention.attn.o",
            "attention.LayerNorm",
        ],
    };
    let mut shapes = vec![
        (
            "embeddings.word_embeddings.weight".to_owned(),
            vec![10, HIDDEN],
        ),
        (
            "embeddings.position_embeddings.weight".to_owned(),
            vec![9, HIDDEN],
        ),
        (
            "embeddings.token_type_embeddings.weight".to_owned(),
            vec![2, HIDDEN],
        ),
        (
            "encoder.relative_attention_bias.weight".to_owned(),
            vec![32, 2],
        ),
    ];
    let mut add = |name: String, weight: Vec<usize>, out: usize| {
        shapes.push((format!("{name}.weight"), weight));
        shapes.push((format!("{name}.bias"), vec![out]));
    };
    add("embeddings.LayerNorm".into(), vec![HIDDEN], HIDDEN);
    for layer in 0..LAYERS {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        for part in &names[..4] {
            add(name(part), vec![HIDDEN, HIDDEN], HIDDEN);
        }
        add(name("intermediate.dense"), vec![WIDE, HIDDEN], WIDE);
        add(name("output.dense"), vec![HIDDEN, WIDE], HIDDEN);
        add(name(names[4]), vec![HIDDEN], HIDDEN);
        add(name("output.LayerNorm"), vec![HIDDEN], HIDDEN);
    }
    let data: Vec<(String, Vec<usize>, Vec<u8>)> = (0_u64..)
        .zip(shapes)
        .map(|(seed, (name, shape))| {
            // scales of norms around 1
            let centre = if name.ends_with("LayerNorm.weight") {
                1.0
            } else {
                0.0
            };
            let values = noise(seed + 1, shape.iter().product());
            let bytes = values.iter().flat_map(|v| (0.5 * v + centre).to_le_bytes());
            (name, shape, bytes.collect())
        })
        .collect();
    let tensors: HashMap<&str, TensorView<'_>> = data
        .iter()
        .map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
            (name.as_str(), view)
        })
        .collect();
    let bytes = safetensors::serialize(tensors, None).unwrap();
    fs::write(folder.join("model.safetensors"), bytes).unwrap();
}

fn check_all(mut model: ModelProto, what: &str, parameters: usize) {
    let Some(environment) = runtime() else {
        return;
    };
    let mut feeds: Feeds = vec![
        (
            INPUT_IDS.into(),
            integers(&[2, 4], &[3, 9, 2, 7, 5, 3, 1, 1]),
        ),
        (
            ATTENTION_MASK.into(),
            integers(&[2, 4], &[1, 1, 1, 1, 1, 1, 0, 0]),
        ),
        (
            RESPONSE_MASK.into(),
            Feed::Floats(vec![2, 4], vec![0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0]),
        ),
    ];
    let graph = model.graph.as_ref().unwrap();
    feeds.retain(|(name, _)| graph.input.iter().any(|input| input.name == *name));
    let y = graph.output[0].name.clone();
    let found: Vec<String> = parameters_of(&model, &y)
        .into_iter()
        .filter(|name| name.contains('.'))
        .collect();
    assert_eq!(found.len(), parameters, "{what}: {found:?}");
    promote(&mut model, &found, &mut feeds);
    check(
        environment,
        &Subject { model, y, feeds },
        &found,
        WHOLE_MODEL,
        what,
    );
}

#[test]
fn encoders_written_by_the_crate() {
    // tables and norm of the embeddings; weight and bias of four products and two norms in each layer
    for (model_type, tables) in [("bert", 2), ("mpnet", 3)] {
        let folder = tempfile::tempdir().unwrap();
        write_model(folder.path(), model_type);
        let parameters = tables + 2 + LAYERS * 12;
        let features = ModelProto::from_bytes(&backbone_model(folder.path()).unwrap().onnx);
        check_all(
            features.unwrap(),
            &format!("features of {model_type}"),
            parameters,
        );
        let states = training_forward(folder.path()).unwrap();
        check_all(states, &format!("token states of {model_type}"), parameters);
    }
}
