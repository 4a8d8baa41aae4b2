use std::collections::HashMap;
use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use super::*;

const HIDDEN: usize = 4;

/// Writes a one-layer model with every weight that the architecture needs.
fn write_model(folder: &Path, model_type: &str) {
    let config = format!(
        r#"{{"model_type": "{model_type}", "hidden_size": 4, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 6, "vocab_size": 10,
            "max_position_embeddings": 9, "pad_token_id": 1}}"#
    );
    fs::write(folder.join("config.json"), config).unwrap();
    let names = if model_type == "bert" {
        &BERT_LAYER
    } else {
        &MPNET_LAYER
    };
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("embeddings.word_embeddings.weight".into(), vec![10, HIDDEN]),
        (
            "embeddings.position_embeddings.weight".into(),
            vec![9, HIDDEN],
        ),
        (
            "embeddings.token_type_embeddings.weight".into(),
            vec![2, HIDDEN],
        ),
        ("encoder.relative_attention_bias.weight".into(), vec![32, 2]),
    ];
    let mut linear = |name: &str, from: usize, to: usize| {
        shapes.push((format!("{name}.weight"), vec![to, from]));
        shapes.push((format!("{name}.bias"), vec![to]));
    };
    for part in [names.query, names.key, names.value, names.attention_output] {
        linear(&format!("encoder.layer.0.{part}"), HIDDEN, HIDDEN);
    }
    linear("encoder.layer.0.intermediate.dense", HIDDEN, 6);
    linear("encoder.layer.0.output.dense", 6, HIDDEN);
    let norms = [
        "embeddings.LayerNorm".to_owned(),
        format!("encoder.layer.0.{}", names.attention_norm),
        "encoder.layer.0.output.LayerNorm".to_owned(),
    ];
    for name in norms {
        shapes.push((format!("{name}.weight"), vec![HIDDEN]));
        shapes.push((format!("{name}.bias"), vec![HIDDEN]));
    }
    let data = vec![0u8; 4 * 10 * 32];
    let tensors: HashMap<String, TensorView<'_>> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let bytes = 4 * shape.iter().product::<usize>();
            let view = TensorView::new(Dtype::F32, shape, &data[..bytes]).unwrap();
            (name, view)
        })
        .collect();
    let bytes = safetensors::serialize(tensors, None).unwrap();
    fs::write(folder.join("model.safetensors"), bytes).unwrap();
}

fn values_defined(model: &ModelProto) {
    let graph = model.graph.as_ref().unwrap();
    let mut known: std::collections::HashSet<&str> = graph
        .input
        .iter()
        .map(|v| v.name.as_str())
        .chain(graph.initializer.iter().map(|t| t.name.as_str()))
        .collect();
    for node in &graph.node {
        for input in node.input.iter().filter(|name| !name.is_empty()) {
            assert!(
                known.contains(input.as_str()),
                "`{input}` used before it is made"
            );
        }
        for output in &node.output {
            assert!(known.insert(output), "`{output}` made twice");
        }
    }
    assert!(graph.output.iter().all(|v| known.contains(v.name.as_str())));
}

#[test]
fn graphs_are_well_formed() {
    for (model_type, architecture, positions) in [
        ("bert", Architecture::Bert, 9),
        ("mpnet", Architecture::Mpnet, 7),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write_model(folder.path(), model_type);
        let backbone = backbone_model(folder.path()).unwrap();
        assert_eq!(backbone.architecture, architecture);
        assert_eq!(
            (backbone.hidden, backbone.max_positions),
            (HIDDEN, positions)
        );
        let model = ModelProto::from_bytes(&backbone.onnx).unwrap();
        values_defined(&model);
        assert_eq!(model.opset(), crate::graph::builder::OPSET);
        let graph = model.graph.unwrap();
        let inputs: Vec<_> = graph.input.iter().map(|v| v.name.as_str()).collect();
        assert_eq!(inputs, [INPUT_IDS, ATTENTION_MASK, RESPONSE_MASK]);
        let norms = graph
            .node
            .iter()
            .filter(|n| n.op_type == "LayerNormalization");
        assert!(norms.clone().all(|n| n.output.len() == 3));
        assert_eq!(norms.count(), 3);
        assert!(!graph.node.iter().any(|n| n.op_type == "Range"));
    }
}

#[test]
fn a_wrong_model_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let message = |folder: &Path| {
        let error = backbone_model(folder).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", cause.unwrap_or_default())
    };
    assert!(message(folder.path()).contains("config.json"));

    write_model(folder.path(), "bert");
    let weights = folder.path().join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    for cut in [0, 4, 8, 100, bytes.len() - 1] {
        fs::write(&weights, &bytes[..cut]).unwrap();
        assert!(message(folder.path()).contains("not a safetensors file"));
    }
    fs::write(&weights, &bytes).unwrap();

    let config = folder.path().join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    for (from, to, expected) in [
        ("\"bert\"", "\"t5\"", "model type `t5`"),
        (
            "\"num_attention_heads\": 2",
            "\"num_attention_heads\": 3",
            "no encoder",
        ),
        (
            "\"vocab_size\": 10",
            "\"vocab_size\": 11",
            "expected shape [11, 4], found [10, 4]",
        ),
        (
            "\"num_hidden_layers\": 1",
            "\"num_hidden_layers\": 2",
            "encoder.layer.1",
        ),
        ("{", "", "not an encoder's settings"),
    ] {
        fs::write(&config, text.replacen(from, to, 1)).unwrap();
        let message = message(folder.path());
        assert!(message.contains(expected), "{message}");
    }
}
