//! Whole models: tiny exports of the usual architectures, and the encoder that the crate writes.

use std::fs;
use std::path::{Path, PathBuf};

use prefclean::graph::differentiate::{differentiate, parameters_of};
use prefclean::graph::proto::{ModelProto, ValueInfoProto};

use super::{Feed, Feeds, Subject, Tolerance, check, with_scalar};
use crate::runtime::runtime;

pub const WHOLE_MODEL: Tolerance = Tolerance {
    step: 1e-2,
    relative: 1e-2,
    absolute: 3e-4,
    coordinates: 4,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/data/models")
}

/// Two rows of tokens, the second one shorter.
fn tokens(model: &ModelProto) -> Feeds {
    let ids = vec![5, 9, 3, 9, 2, 7, 8, 4, 1, 1];
    let mask = vec![1, 1, 1, 1, 1, 1, 1, 1, 0, 0];
    let graph = model.graph.as_ref().unwrap();
    let feed = |value: &ValueInfoProto| {
        let values = match value.name.as_str() {
            "input_ids" => ids.clone(),
            "attention_mask" => mask.clone(),
            "token_type_ids" => vec![0; 10],
            other => panic!("input `{other}`"),
        };
        (value.name.clone(), Feed::Ints(vec![2, 5], values))
    };
    graph.input.iter().map(feed).collect()
}

/// Makes initializers inputs, so that they can be moved.
pub fn promote(model: &mut ModelProto, names: &[String], feeds: &mut Feeds) {
    let graph = model.graph.as_mut().unwrap();
    let (parameters, others) = std::mem::take(&mut graph.initializer)
        .into_iter()
        .partition(|tensor| names.contains(&tensor.name));
    graph.initializer = others;
    for tensor in parameters {
        let dims = tensor.dims.iter().map(|&dim| dim.into()).collect();
        let value = ValueInfoProto::tensor(&tensor.name, tensor.data_type, dims);
        graph.input.retain(|input| input.name != tensor.name);
        graph.input.push(value);
        let values = tensor.to_f32().unwrap();
        feeds.push((tensor.name, Feed::Floats(tensor.dims, values)));
    }
}

fn check_export(name: &str) {
    let Some(environment) = runtime() else {
        return;
    };
    let path = folder().join(name).join("forward.onnx");
    let bytes = fs::read(&path).unwrap();
    let mut model = ModelProto::from_bytes(&bytes).unwrap();
    let mut feeds = tokens(&model);
    let y = model.graph.as_ref().unwrap().output[0].name.clone();
    let mut parameters = parameters_of(&model, &y);
    // single numbers are constants of the formulas
    let tensors = &model.graph.as_ref().unwrap().initializer;
    let is_scalar = |name: &String| tensors.iter().any(|t| t.name == *name && t.dims.is_empty());
    parameters.retain(|name| !is_scalar(name));
    assert!(parameters.len() > 10, "{name}: {parameters:?}");
    promote(&mut model, &parameters, &mut feeds);
    // the head of DistilBERT has kinks that a larger step meets
    let step = if name == "distilbert" {
        2e-3
    } else {
        WHOLE_MODEL.step
    };
    let tolerance = Tolerance {
        step,
        ..WHOLE_MODEL
    };
    check(
        environment,
        &Subject { model, y, feeds },
        &parameters,
        tolerance,
        name,
    );
}

macro_rules! exports {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            check_export($name);
        })*
    };
}

exports! {
    bert: "bert",
    bert_encoder: "bert-encoder",
    bert_opset_14: "bert-opset14",
    bert_opset_20: "bert-opset20",
    built_opset_13: "built-opset13",
    built_opset_17: "built-opset17",
    built_opset_18: "built-opset18",
    built_opset_19: "built-opset19",
    built_opset_20: "built-opset20",
    built_opset_21: "built-opset21",
    built_opset_22: "built-opset22",
    bert_with_shared_constants: "bert-shared",
    deberta_v3: "deberta-v3",
    distilbert: "distilbert",
    gpt2: "gpt2",
    gpt2_with_fused_operators: "gpt2-fused",
    llama: "llama",
    modernbert: "modernbert",
    mpnet: "mpnet",
    mpnet_encoder: "mpnet-encoder",
    qwen2: "qwen2",
    roberta: "roberta",
}

#[test]
fn fused_attention_is_refused_with_a_way_out() {
    let path = folder().join("bert-fused/forward.onnx");
    let model = ModelProto::from_bytes(&fs::read(path).unwrap()).unwrap();
    let y = model.graph.as_ref().unwrap().output[0].name.clone();
    let parameters = parameters_of(&model, &y);
    let error = differentiate(&model, &y, &parameters[..1]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "operator `com.microsoft.Attention` of node `Attention_0` is not supported"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains("attn_implementation=\"eager\"")
    );
    // what comes after the last attention can be trained all the same
    let last: Vec<String> = parameters_of(&model, &y)
        .into_iter()
        .filter(|name| name.starts_with("model.classifier") || name.contains("layer.1.output"))
        .collect();
    assert!(last.len() >= 4, "{last:?}");
    let scalar = with_scalar(&model, &y, &[2, 1], &[1.0, -1.0]);
    differentiate(&scalar.0, &scalar.1, &last).unwrap();
}
