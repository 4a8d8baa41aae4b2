//! Reward models made of forward models: what pooling, head and loss compute, their gradients, and
//! what is exported.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;
use prefclean::graph::artifacts::Artifacts;
use prefclean::graph::artifacts::make::{
    ComposeOptions, Correction, ForwardModel, Gives, HEAD_WEIGHT, HeadStart, LossOptions, Pool,
    PoolOver, REWARD, Standardisation, TARGET_MARGIN, Train, WEIGHT, compose, export,
};
use prefclean::graph::backbone::{
    ATTENTION_MASK, FEATURES, INPUT_IDS, RESPONSE_MASK, backbone_model, training_forward,
};
use prefclean::graph::builder::{int, ints, tensor};
use prefclean::graph::lower::{self, LoweringOptions, gradient_name};
use prefclean::graph::optimizer::OptimizerSettings;
use prefclean::graph::proto::{
    GraphProto, ModelProto, NodeProto, OperatorSetId, TensorProto, ValueInfoProto, elem,
};
use prefclean::setup::Backbone;

use crate::runtime::{model_folder, runtime, session};

const PAIRS: usize = 3;
const TOKENS: usize = 9;

type Values = HashMap<String, Vec<f32>>;

fn forward(model: &str) -> PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/data/models");
    data.join(model).join("forward.onnx")
}

/// Small numbers without a pattern that a model could share.
fn number(i: usize) -> f32 {
    let mixed = u16::try_from((i * 7919 + 104_729) % 1999).unwrap();
    f32::from(mixed) / 999.5 - 1.0
}

fn artifacts(model: &str, options: &ComposeOptions) -> Artifacts {
    let forward = ForwardModel::read(&forward(model), None).unwrap();
    let composed = compose(forward, options).unwrap();
    let mut made = composed.artifacts(OptimizerSettings::default()).unwrap();
    // low-rank products begin at zero, where half of their gradients are zero too
    for parameter in &mut made.checkpoint.parameters {
        if parameter.name.ends_with(".lora_b") {
            let numbers = parameter.data.iter_mut().enumerate();
            numbers.for_each(|(i, value)| *value = 0.2 * number(i));
        }
    }
    made
}

/// Everything that a graph may take as data; the texts have different lengths.
fn data(session: &Session, vocabulary: usize) -> Vec<(String, SessionInputValue<'static>)> {
    let rows = 2 * PAIRS;
    let length = |row: usize| TOKENS - row % 4;
    let cells = (0..rows).flat_map(|row| (0..TOKENS).map(move |place| (row, place)));
    let (mut ids, mut attention, mut response) = (Vec::new(), Vec::new(), Vec::new());
    for (row, place) in cells {
        let inside = place < length(row);
        let id = 3 + (row * 31 + place * 17 + row * place) % (vocabulary - 3);
        ids.push(i64::try_from(if inside { id } else { 1 }).unwrap());
        attention.push(i64::from(inside));
        // one text has no response
        let responds = inside && place > row % 3 && row != 4;
        response.push(f32::from(u8::from(responds)));
    }
    let per_pair = |first: f32| -> Vec<f32> { (0..PAIRS).map(|i| first + number(i)).collect() };
    let shape = [rows, TOKENS];
    let all: [(&str, SessionInputValue<'static>); 5] = [
        (INPUT_IDS, Tensor::from_array((shape, ids)).unwrap().into()),
        (
            ATTENTION_MASK,
            Tensor::from_array((shape, attention)).unwrap().into(),
        ),
        (
            RESPONSE_MASK,
            Tensor::from_array((shape, response)).unwrap().into(),
        ),
        (
            WEIGHT,
            Tensor::from_array(([PAIRS], per_pair(1.5))).unwrap().into(),
        ),
        (
            TARGET_MARGIN,
            Tensor::from_array(([PAIRS], per_pair(0.2))).unwrap().into(),
        ),
    ];
    let takes = |name: &str| session.inputs().iter().any(|input| input.name() == name);
    let taken = all.into_iter().filter(|(name, _)| takes(name));
    taken
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Runs a graph on the data and the parameters that it takes.
fn run(session: &mut Session, artifacts: Option<&Artifacts>, values: &Values) -> Values {
    let mut inputs = data(session, 30);
    for parameter in artifacts.iter().flat_map(|a| a.parameters()) {
        let name = parameter.name.as_str();
        if session.inputs().iter().any(|input| input.name() == name) {
            let values = values.get(name).unwrap_or(&parameter.data).clone();
            let tensor = Tensor::from_array((parameter.dims.clone(), values)).unwrap();
            inputs.push((name.to_owned(), tensor.into()));
        }
    }
    let outputs = session.run(inputs).unwrap();
    outputs
        .iter()
        .map(|(name, value)| {
            let (_, data) = value.try_extract_tensor::<f32>().unwrap();
            (name.to_owned(), data.to_vec())
        })
        .collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, f32::max)
}

/// Holds the gradient of every parameter to differences of the loss along it.
fn gradients_are_right(environment: &Environment, name: &str, artifacts: &Artifacts) {
    let model = lower::gradient_model(artifacts, &LoweringOptions::default()).unwrap();
    let mut session = session(environment, &model.to_bytes(), 1);
    let start = run(&mut session, Some(artifacts), &Values::new());
    let trainable = || artifacts.parameters().iter().filter(|p| p.trainable);
    let norm = |values: &[f32]| {
        let sum: f64 = values.iter().map(|v| f64::from(*v).powi(2)).sum();
        sum.sqrt()
    };
    let gradient = |p: &str| &start[&gradient_name(p)];
    let most = trainable()
        .map(|p| norm(gradient(&p.name)))
        .fold(0.0, f64::max);
    assert!(most > 1e-3, "{name}: gradients of {most}");
    for parameter in trainable() {
        let gradient = gradient(&parameter.name);
        assert_eq!(gradient.len(), parameter.data.len());
        let size = norm(gradient).max(1e-6);
        // along the gradient where it counts, with something of every element
        #[expect(clippy::cast_possible_truncation, reason = "directions are f32")]
        let direction: Vec<f32> = (gradient.iter().enumerate())
            .map(|(i, g)| (f64::from(*g) / size) as f32 + 0.02 * number(i))
            .collect();
        let step = 3e-3f32;
        let loss = |session: &mut Session, sign: f32| {
            let moved = parameter.data.iter().zip(&direction);
            let moved = moved.map(|(v, d)| v + sign * step * d).collect();
            let values = Values::from([(parameter.name.clone(), moved)]);
            f64::from(run(session, Some(artifacts), &values)[lower::LOSS][0])
        };
        let found = (loss(&mut session, 1.0) - loss(&mut session, -1.0)) / (2.0 * f64::from(step));
        let products = gradient.iter().zip(&direction);
        let expected: f64 = products.map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
        assert!(
            (found - expected).abs() < 0.02 * expected.abs() + 2e-3 * most,
            "{name}, `{}`: {expected} by the graph, {found} by differences",
            parameter.name
        );
    }
}

#[test]
fn gradients_of_every_choice_are_right() {
    let Some(environment) = runtime() else { return };
    let train = |text: &str| text.parse::<Train>().unwrap();
    let pooled = |pools: &[Pool], over| ComposeOptions {
        train: Train::All,
        pools: pools.to_vec(),
        pool_over: over,
        ..ComposeOptions::default()
    };
    let all_pools = [Pool::Cls, Pool::Mean, Pool::Max, Pool::Last];
    let width = 4 * 12;
    let standardised = ComposeOptions {
        standardisation: Some(Standardisation {
            mean: (0..width).map(number).collect(),
            scale: (0..width)
                .map(|i| f32::from(u8::from(i % 3 > 0)) * (1.5 + number(i)))
                .collect(),
        }),
        ..pooled(&all_pools, PoolOver::Response)
    };
    let noisy = |correction| ComposeOptions {
        loss: LossOptions {
            label_noise: 0.2,
            correction,
            target_margin: true,
            weight: true,
        },
        ..pooled(&[Pool::Mean], PoolOver::Text)
    };
    let only = |text: &str| ComposeOptions {
        train: train(text),
        ..ComposeOptions::default()
    };
    for (name, model, options) in [
        (
            "pools",
            "bert-encoder",
            pooled(&all_pools, PoolOver::Response),
        ),
        (
            "pools of texts",
            "bert-encoder",
            pooled(&all_pools, PoolOver::Text),
        ),
        ("standardised", "bert-encoder", standardised),
        ("smoothed", "bert-encoder", noisy(Correction::Smoothing)),
        ("robust", "mpnet-encoder", noisy(Correction::Robust)),
        ("last layer", "mpnet-encoder", only("last:1")),
        ("low rank", "bert-encoder", only("lora:2")),
        ("low rank, decoder", "llama", only("lora:2")),
        ("low rank, transposed", "bert", only("lora:2:*pooler*")),
    ] {
        gradients_are_right(environment, name, &artifacts(model, &options));
    }
}

#[test]
fn what_is_exported_gives_the_rewards_of_training() {
    let Some(environment) = runtime() else { return };
    for (model, train) in [
        ("bert-encoder", "all"),
        ("bert-encoder", "lora:3"),
        ("mpnet-encoder", "lora:2:*attn*"),
        ("bert", "lora:1:*"),
        ("llama", "lora:2"),
        ("gpt2", "lora:2"),
        ("deberta-v3", "lora:2"),
        ("modernbert", "last:1"),
    ] {
        let options = ComposeOptions {
            train: train.parse().unwrap(),
            ..ComposeOptions::default()
        };
        let made = artifacts(model, &options);
        let exported = export(&made.eval, made.checkpoint.clone()).unwrap();
        let graph = exported.graph.as_ref().unwrap();
        assert!(!graph.initializer.iter().any(|t| t.name.contains(".lora_")));
        let mut eval = session(environment, &made.eval.to_bytes(), 1);
        let trained = run(&mut eval, Some(&made), &Values::new());
        let mut alone = session(environment, &exported.to_bytes(), 1);
        let found = run(&mut alone, None, &Values::new());
        assert_eq!(found.len(), 1);
        let apart = largest_difference(&trained[REWARD], &found[REWARD]);
        assert!(apart < 5e-6, "{model}, {train}: {apart}");
        for (pair, margin) in trained[lower::MARGIN].iter().enumerate() {
            let rewards = &found[REWARD];
            let expected = rewards[2 * pair] - rewards[2 * pair + 1];
            assert!((margin - expected).abs() < 1e-5, "{model}, {train}");
        }
    }
}

/// One definition of a model: what is trained whole gives the features that heads are trained on.
#[test]
fn encoders_give_the_features_that_heads_see() {
    let Some(environment) = runtime() else { return };
    for backbone in [Backbone::MiniLm, Backbone::Mpnet] {
        let Some(folder) = model_folder(&backbone) else {
            continue;
        };
        let inference = backbone_model(&folder).unwrap();
        let width = 3 * inference.hidden;
        let weight: Vec<f32> = (0..width).map(number).collect();
        let mean: Vec<f32> = (0..width).map(|i| 0.1 * number(i + 5)).collect();
        let scale: Vec<f32> = (0..width).map(|i| number(i + 9).max(0.0)).collect();
        let options = ComposeOptions {
            head: HeadStart::Given(weight.clone()),
            standardisation: Some(Standardisation {
                mean: mean.clone(),
                scale: scale.clone(),
            }),
            ..ComposeOptions::default()
        };
        let forward = ForwardModel::new(training_forward(&folder).unwrap(), None).unwrap();
        let hidden = inference.hidden;
        assert_eq!(forward.gives(), Gives::TokenStates { width: hidden });
        let composed = compose(forward, &options).unwrap();
        assert_eq!(composed.parameters[0].name, HEAD_WEIGHT);
        let made = composed.artifacts(OptimizerSettings::default()).unwrap();
        let exported = export(&made.eval, made.checkpoint).unwrap();
        let mut trained = session(environment, &exported.to_bytes(), 2);
        let rewards = run(&mut trained, None, &Values::new());
        let mut features = session(environment, &inference.onnx, 2);
        let features = run(&mut features, None, &Values::new());
        for (row, reward) in features[FEATURES].chunks(width).zip(&rewards[REWARD]) {
            let expected: f64 = (0..width)
                .map(|i| f64::from((row[i] - mean[i]) * scale[i]) * f64::from(weight[i]))
                .sum();
            let apart = (expected - f64::from(*reward)).abs();
            assert!(apart < 2e-5, "{backbone}: {expected} is not {reward}");
        }
    }
}

/// A forward model of an old operator set, with what exports of the time had.
fn old_model(opset: i64) -> ModelProto {
    let node = |op_type: &str, inputs: &[&str], outputs: &[&str], attribute| NodeProto {
        op_type: op_type.into(),
        name: outputs[0].into(),
        input: inputs.iter().map(|&i| i.to_owned()).collect(),
        output: outputs.iter().map(|&o| o.to_owned()).collect(),
        attribute,
        ..NodeProto::default()
    };
    let values: Vec<f32> = (0..30 * 6).map(number).collect();
    let table = TensorProto::from_f32("table.weight", &[30, 6], &values);
    let matrix = TensorProto::from_f32("", &[6, 6], &values[..36]);
    let bias = TensorProto::from_f32("mix.bias", &[6], &values[..6]);
    let last = TensorProto::from_f32("reward.weight", &[3, 1], &values[..3]);
    let rows = || vec!["rows".into(), "tokens".into()];
    let graph = GraphProto {
        name: "old".into(),
        node: vec![
            node(
                "Constant",
                &[],
                &["mix.weight"],
                vec![tensor("value", matrix)],
            ),
            node("Gather", &["table.weight", INPUT_IDS], &["words"], vec![]),
            node("MatMul", &["words", "mix.weight"], &["product"], vec![]),
            node("Identity", &["mix.bias"], &["other.bias"], vec![]),
            node("Add", &["product", "other.bias"], &["mixed"], vec![]),
            node("Add", &["mixed", "mix.bias"], &["again"], vec![]),
            // over all of a row's tokens and features at once
            node("Softmax", &["again"], &["shares"], vec![]),
            node("Softmax", &["shares"], &["each"], vec![int("axis", 2)]),
            node(
                "Split",
                &["each"],
                &["left", "right"],
                vec![int("axis", 2), ints("split", &[3, 3])],
            ),
            node("Sub", &["left", "right"], &["apart"], vec![]),
            node(
                "ReduceSum",
                &["apart"],
                &["sum"],
                vec![ints("axes", &[1]), int("keepdims", 0)],
            ),
            node("Unsqueeze", &["sum"], &["wide"], vec![ints("axes", &[1])]),
            node("Squeeze", &["wide"], &["narrow"], vec![ints("axes", &[1])]),
            node("MatMul", &["narrow", "reward.weight"], &["reward"], vec![]),
        ],
        input: vec![ValueInfoProto::tensor(INPUT_IDS, elem::INT64, rows())],
        output: vec![ValueInfoProto::tensor(
            "reward",
            elem::FLOAT,
            vec!["rows".into(), 1.into()],
        )],
        initializer: vec![table, bias, last],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: 7,
        graph: Some(graph),
        opset_import: vec![OperatorSetId {
            domain: String::new(),
            version: opset,
        }],
        ..ModelProto::default()
    }
}

#[test]
fn older_operator_sets_mean_the_same() {
    let Some(environment) = runtime() else { return };
    for opset in [11, 12] {
        let model = old_model(opset);
        let mut original = session(environment, &model.to_bytes(), 1);
        let expected = run(&mut original, None, &Values::new());
        let forward = ForwardModel::new(model, None).unwrap();
        assert_eq!(forward.gives(), Gives::Reward);
        let options = ComposeOptions {
            train: Train::All,
            ..ComposeOptions::default()
        };
        let composed = compose(forward, &options).unwrap();
        let mut names: Vec<&str> = composed
            .parameters
            .iter()
            .map(|p| p.name.as_str())
            .collect();
        names.sort_unstable();
        // the shared bias is two parameters, the constant is one
        let all = [
            "mix.bias",
            "mix.weight",
            "other.bias",
            "reward.weight",
            "table.weight",
        ];
        assert_eq!(names, all);
        let made = composed.artifacts(OptimizerSettings::default()).unwrap();
        let mut eval = session(environment, &made.eval.to_bytes(), 1);
        let found = run(&mut eval, Some(&made), &Values::new());
        let apart = largest_difference(&expected["reward"], &found[REWARD]);
        assert!(apart < 1e-6, "operator set {opset}: {apart}");
        gradients_are_right(environment, "old", &made);
    }
}
