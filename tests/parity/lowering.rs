//! Each training operator lowered alone, against the kernels of onnxruntime-training 1.19.2: see
//! `tests/reference/lowering.py`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use ort::session::SessionInputValue;
use ort::value::Tensor;
use prefclean::graph::artifacts::Artifacts;
use prefclean::graph::artifacts::make::{ComposeOptions, ForwardModel, Train, compose};
use prefclean::graph::builder::{Builder, float, int, text};
use prefclean::graph::lower::{self, LoweringOptions, Precision};
use prefclean::graph::optimizer::{self, OptimizerSettings, Update};
use prefclean::graph::proto::{
    AttributeProto, DimProto, ModelProto, OperatorSetId, TensorProto, ValueInfoProto, elem,
};
use serde_json::Value;

use crate::runtime::{runtime, session};

/// Versions of the default operator set that every case is lowered at.
const OPSETS: [i64; 6] = [17, 18, 19, 20, 21, 22];

/// Bound of the difference, relative where values are large.
const TOLERANCE: f64 = 1e-5;

/// A named tensor of the references.
struct Stored {
    name: String,
    elem_type: i32,
    dims: Vec<i64>,
    raw: Vec<u8>,
}

impl Stored {
    fn input(&self) -> SessionInputValue<'static> {
        let dims = self.dims.clone();
        let raw = &self.raw;
        match self.elem_type {
            elem::FLOAT => Tensor::from_array((dims, f32s(raw))).unwrap().into(),
            elem::DOUBLE => {
                let values = raw.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b));
                let values: Vec<f64> = values.collect();
                Tensor::from_array((dims, values)).unwrap().into()
            }
            elem::INT32 => {
                let values = raw.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b));
                let values: Vec<i32> = values.collect();
                Tensor::from_array((dims, values)).unwrap().into()
            }
            elem::INT64 => Tensor::from_array((dims, i64s(raw))).unwrap().into(),
            _ => {
                let values: Vec<bool> = raw.iter().map(|&b| b != 0).collect();
                Tensor::from_array((dims, values)).unwrap().into()
            }
        }
    }
}

fn f32s(raw: &[u8]) -> Vec<f32> {
    raw.as_chunks()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect()
}

fn i64s(raw: &[u8]) -> Vec<i64> {
    raw.as_chunks()
        .0
        .iter()
        .map(|b| i64::from_le_bytes(*b))
        .collect()
}

/// Reads the tensors that a case lists, in the order of the file of values.
fn read(list: &Value, values: &mut &[u8]) -> Vec<Option<Stored>> {
    let mut stored = Vec::new();
    for entry in list.as_array().unwrap() {
        if entry.is_null() {
            stored.push(None);
            continue;
        }
        let dims: Vec<i64> = entry["dims"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d.as_i64().unwrap())
            .collect();
        let (elem_type, size) = match entry["type"].as_str().unwrap() {
            "float32" => (elem::FLOAT, 4),
            "float64" => (elem::DOUBLE, 8),
            "int32" => (elem::INT32, 4),
            "int64" => (elem::INT64, 8),
            _ => (elem::BOOL, 1),
        };
        let length = size * usize::try_from(dims.iter().product::<i64>()).unwrap();
        let (raw, rest) = values.split_at(length);
        *values = rest;
        stored.push(Some(Stored {
            name: entry["name"].as_str().unwrap().to_owned(),
            elem_type,
            dims,
            raw: raw.to_vec(),
        }));
    }
    stored
}

fn attributes(case: &Value) -> Vec<AttributeProto> {
    let attributes = case["attributes"].as_object().unwrap().iter();
    attributes
        .map(|(name, value)| match value {
            Value::String(value) => text(name, value),
            Value::Number(value) if value.is_i64() => int(name, value.as_i64().unwrap()),
            #[expect(clippy::cast_possible_truncation, reason = "attributes are f32")]
            value => float(name, value.as_f64().unwrap() as f32),
        })
        .collect()
}

/// The model of a case as its artifacts would hold it, at a version of the operator set.
fn model(
    case: &Value,
    inputs: &[Option<Stored>],
    outputs: &[Option<Stored>],
    opset: i64,
) -> ModelProto {
    let mut b = Builder::with_opset("case", opset);
    let constant = case["constant"].as_array().unwrap();
    for input in inputs.iter().flatten() {
        if constant.iter().any(|name| *name == *input.name) {
            let raw = input.raw.clone();
            b.initializer(TensorProto::from_raw(
                &input.name,
                input.elem_type,
                &input.dims,
                raw,
            ));
        } else {
            // sizes are not told: no rule may depend on them
            let unknown: Vec<DimProto> = (0..input.dims.len())
                .map(|i| format!("{}_{i}", input.name).as_str().into())
                .collect();
            b.input(&input.name, input.elem_type, &unknown);
        }
    }
    let input_names: Vec<&str> = inputs
        .iter()
        .map(|i| i.as_ref().map_or("", |i| &i.name))
        .collect();
    let output_names: Vec<&str> = outputs.iter().flatten().map(|o| o.name.as_str()).collect();
    let operator = case["operator"].as_str().unwrap();
    let domain = case["domain"].as_str().unwrap();
    b.op_to(
        domain,
        operator,
        &input_names,
        &output_names,
        &attributes(case),
    );
    let mut model = b.finish();
    // outputs without a type: it is inferred
    let graph = model.graph.as_mut().unwrap();
    graph.output = outputs
        .iter()
        .flatten()
        .map(|output| ValueInfoProto {
            name: output.name.clone(),
            ..ValueInfoProto::default()
        })
        .collect();
    // the generator's models import domains that stock runtimes do not know
    model.opset_import.push(OperatorSetId {
        domain: "com.microsoft.experimental".into(),
        version: 1,
    });
    model
}

fn difference(found: f32, expected: f32) -> f64 {
    let (found, expected) = (f64::from(found), f64::from(expected));
    (found - expected).abs() / expected.abs().max(1.0)
}

/// Runs a model and holds its outputs to what is expected; gives the largest difference.
fn compare(model: &ModelProto, inputs: &[&Stored], expected: &[&Stored], label: &str) -> f64 {
    let environment = runtime().unwrap();
    let mut session = session(environment, &model.to_bytes(), 1);
    let given: Vec<(String, SessionInputValue<'static>)> = inputs
        .iter()
        .map(|input| (input.name.clone(), input.input()))
        .collect();
    let outputs = session.run(given).unwrap();
    let mut worst: f64 = 0.0;
    for output in expected {
        let found = &outputs[output.name.as_str()];
        if output.elem_type == elem::INT64 {
            let (shape, values) = found.try_extract_tensor::<i64>().unwrap();
            assert_eq!(shape[..], output.dims, "{label}");
            // axes and lengths; the order of axes is free
            let [mut found, mut expected] = [values.to_vec(), i64s(&output.raw)];
            if label.contains("BroadcastGradientArgs") {
                found.sort_unstable();
                expected.sort_unstable();
            }
            assert_eq!(found, expected, "{label}");
            continue;
        }
        let (shape, values) = found.try_extract_tensor::<f32>().unwrap();
        assert_eq!(shape[..], output.dims, "{label}, {}", output.name);
        for (&found, expected) in values.iter().zip(f32s(&output.raw)) {
            let difference = difference(found, expected);
            assert!(
                difference <= TOLERANCE,
                "{label}, {}: {found} for {expected}",
                output.name
            );
            worst = worst.max(difference);
        }
    }
    worst
}

fn cases() -> (Vec<Value>, Vec<u8>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/data/lowering");
    let cases = fs::read_to_string(folder.join("cases.json")).unwrap();
    let values = fs::read(folder.join("values.bin")).unwrap();
    (serde_json::from_str(&cases).unwrap(), values)
}

#[test]
fn training_operators_agree_with_their_kernels() {
    if runtime().is_none() {
        return;
    }
    let (cases, values) = cases();
    let mut left = values.as_slice();
    for (number, case) in cases.iter().enumerate() {
        let inputs = read(&case["inputs"], &mut left);
        let outputs = read(&case["outputs"], &mut left);
        let operator = case["operator"].as_str().unwrap();
        if case["max_norm"] != Value::Null || operator.contains("Optimizer") {
            continue;
        }
        let constant = case["constant"].as_array().unwrap();
        let given: Vec<&Stored> = inputs
            .iter()
            .flatten()
            .filter(|input| !constant.iter().any(|name| *name == *input.name))
            .collect();
        let expected: Vec<&Stored> = outputs.iter().flatten().collect();
        for opset in OPSETS {
            let label = format!(
                "case {number}, {operator} {} at {opset}",
                case["attributes"]
            );
            let lowered = lower::lowered(&model(case, &inputs, &outputs, opset)).unwrap();
            assert_eq!(lowered.opset(), opset);
            compare(&lowered, &given, &expected, &label);
        }
    }
    assert!(left.is_empty());
}

#[test]
fn optimizers_agree_with_their_kernels() {
    if runtime().is_none() {
        return;
    }
    let (cases, values) = cases();
    let mut left = values.as_slice();
    let mut compared = 0;
    for (number, case) in cases.iter().enumerate() {
        let inputs = read(&case["inputs"], &mut left);
        let outputs = read(&case["outputs"], &mut left);
        let operator = case["operator"].as_str().unwrap();
        if !operator.contains("Optimizer") {
            continue;
        }
        let mut b = Builder::new("optimizer");
        if let Some(norm) = case["max_norm"].as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "attributes are f32")]
            let norm = float("max_norm", norm as f32);
            b.op("InplaceClipGradNorm", &["gradients"], &[norm]);
        }
        b.op(operator, &["gradients"], &attributes(case));
        let settings = OptimizerSettings::of(&b.finish()).unwrap();

        let mut b = Builder::new("update");
        for input in inputs.iter().flatten() {
            let dims: Vec<_> = input.dims.iter().map(|&dim| dim.into()).collect();
            b.input(&input.name, input.elem_type, &dims);
        }
        for output in outputs.iter().flatten() {
            let dims: Vec<_> = output.dims.iter().map(|&dim| dim.into()).collect();
            b.output(&output.name, output.elem_type, &dims);
        }
        let updates = [0, 1].map(|index| Update {
            parameter: format!("parameter{index}"),
            gradient: format!("gradient{index}"),
            moments: [1, 2].map(|moment| format!("moment{moment}{index}")),
            new_parameter: format!("parameter{index}.new"),
            new_moments: [1, 2].map(|moment| format!("moment{moment}{index}.new")),
        });
        optimizer::update(&mut b, &settings, "rate", "step", &updates);
        let given: Vec<&Stored> = inputs.iter().flatten().collect();
        let expected: Vec<&Stored> = outputs.iter().flatten().collect();
        compare(
            &b.finish(),
            &given,
            &expected,
            &format!("case {number}, {operator}"),
        );
        compared += 1;
    }
    assert!(compared > 10);
}

/// Dropout itself is a standard operator: what it drops, its gradient drops too.
#[test]
fn dropout_in_training_mode_runs_and_its_gradient_fits() {
    let Some(environment) = runtime() else {
        return;
    };
    let mut b = Builder::new("dropout");
    b.input("x", elem::FLOAT, &[1000.into()]);
    let ratio = b.scalar(0.4);
    let yes = TensorProto::from_raw("", elem::BOOL, &[], vec![1]);
    let training = b.constant(yes);
    let seed = [int("seed", 3)];
    b.op_to(
        "",
        "Dropout",
        &["x", &ratio, &training],
        &["y", "mask"],
        &seed,
    );
    let inputs = ["x", "mask", &ratio, &training];
    b.op_to("com.microsoft", "DropoutGrad", &inputs, &["dx"], &[]);
    for name in ["y", "dx"] {
        b.output(name, elem::FLOAT, &[1000.into()]);
    }
    let lowered = lower::lowered(&b.finish()).unwrap();
    let mut session = session(environment, &lowered.to_bytes(), 1);
    let x = Tensor::from_array(([1000], vec![2.0f32; 1000])).unwrap();
    let outputs = session.run(ort::inputs!["x" => x]).unwrap();
    let [y, dx] = ["y", "dx"].map(|name| outputs[name].try_extract_tensor::<f32>().unwrap().1);
    // linear in its input: the gradient of 2 with respect to an input of 2 is the output
    assert_eq!(y, dx);
    let dropped = y.iter().filter(|&&value| value == 0.0).count();
    assert!((330..470).contains(&dropped), "{dropped}");
}

type Named = HashMap<String, (Vec<i64>, Vec<f32>)>;

/// Runs a model on what it takes of the values and of two or four rows of tokens.
fn run(model: &ModelProto, values: &Named, rows: std::ops::Range<usize>) -> Named {
    let mut session = session(runtime().unwrap(), &model.to_bytes(), 1);
    let tokens = 6;
    let ids = (rows.start * tokens..rows.end * tokens).map(|i| 2 + (i * 7 + 3) % 29);
    let ids: Vec<i64> = ids.map(|id| i64::try_from(id).unwrap()).collect();
    let shape = [rows.len(), tokens];
    let mut given: Vec<(String, SessionInputValue<'static>)> = Vec::new();
    for input in session.inputs() {
        let name = input.name().to_owned();
        let value = match name.as_str() {
            "input_ids" => Tensor::from_array((shape, ids.clone())).unwrap().into(),
            "attention_mask" => Tensor::from_array((shape, vec![1i64; ids.len()]))
                .unwrap()
                .into(),
            lower::STEP => Tensor::from_array((Vec::<i64>::new(), vec![1i64]))
                .unwrap()
                .into(),
            _ => Tensor::from_array(values[&name].clone()).unwrap().into(),
        };
        given.push((name, value));
    }
    let outputs = session.run(given).unwrap();
    outputs
        .iter()
        .map(|(name, value)| {
            let (shape, values) = value.try_extract_tensor::<f32>().unwrap();
            (name.to_owned(), (shape.to_vec(), values.to_vec()))
        })
        .collect()
}

/// A step in one run, in gradients and update, and over two micro-batches: the same parameters.
#[test]
fn parts_of_a_step_agree_with_the_whole() {
    if runtime().is_none() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/data/models");
    let mut artifacts = Artifacts::read(&root.join("built-last")).unwrap();
    *artifacts.optimizer.max_gradient_norm_mut() = Some(0.1);
    let options = LoweringOptions {
        weight_decay: Some(0.1),
        ..LoweringOptions::default()
    };
    let with_inputs = LoweringOptions {
        frozen_as_inputs: true,
        ..options
    };
    let mut values = Named::new();
    for (name, value) in [(lower::LEARNING_RATE, 0.01), (lower::SHARE, 0.5)] {
        values.insert(name.into(), (Vec::new(), vec![value]));
    }
    let trainable: Vec<String> = artifacts
        .parameters()
        .iter()
        .filter(|p| p.trainable)
        .map(|p| p.name.clone())
        .collect();
    assert!(trainable.len() < artifacts.parameters().len());
    for parameter in artifacts.parameters() {
        let (dims, name) = (parameter.dims.clone(), parameter.name.clone());
        let zeros = (dims.clone(), vec![0.0; parameter.data.len()]);
        for other in lower::moment_names(&name) {
            values.insert(other, zeros.clone());
        }
        values.insert(lower::accumulated_name(&name), zeros);
        values.insert(name, (dims, parameter.data.clone()));
    }

    let whole = run(
        &lower::step_model(&artifacts, &options).unwrap(),
        &values,
        0..4,
    );
    let step = lower::step_model(&artifacts, &with_inputs).unwrap();
    assert_same(&run(&step, &values, 0..4), &whole, &trainable);

    let gradients = lower::gradient_model(&artifacts, &with_inputs).unwrap();
    let update = lower::update_model(&artifacts, &options).unwrap();
    let outputs = run(&gradients, &values, 0..4);
    assert_eq!(outputs[lower::LOSS], whole[lower::LOSS]);
    assert_eq!(outputs[lower::MARGIN].0, [2]);
    let mut given = values.clone();
    given.extend(outputs);
    assert_same(&run(&update, &given, 0..4), &whole, &trainable);

    let accumulate = lower::accumulate_model(&artifacts, &options).unwrap();
    let mut given = values.clone();
    for rows in [0..2, 2..4] {
        let outputs = run(&accumulate, &given, rows);
        for name in &trainable {
            let gradient = outputs[&lower::gradient_name(name)].clone();
            given.insert(lower::accumulated_name(name), gradient.clone());
            given.insert(lower::gradient_name(name), gradient);
        }
    }
    assert_same(&run(&update, &given, 0..4), &whole, &trainable);
}

/// Compares new parameters and moments. In one step of `AdamW` noise becomes an update: the bound is
/// a hundredth of what every element moves.
fn assert_same(found: &Named, expected: &Named, trainable: &[String]) {
    for name in trainable {
        let key_bias = name.contains("key.bias");
        let [first, _] = lower::moment_names(name);
        for name in [name, &first] {
            let name = lower::new_name(name);
            assert_eq!(found[&name].0, expected[&name].0);
            for (found, expected) in found[&name].1.iter().zip(&expected[&name].1) {
                let difference = (found - expected).abs();
                assert!(
                    key_bias || difference < 1e-4,
                    "{name}: {found} for {expected}"
                );
            }
        }
    }
}

/// Computing activations again gives the same gradients, bit for bit, and is really done.
#[test]
fn recomputed_gradients_are_the_same() {
    if runtime().is_none() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/data/models");
    let models = [
        "bert",
        "built-opset20",
        "deberta-v3",
        "gpt2",
        "llama",
        "modernbert",
        "mpnet",
    ];
    for name in models {
        let folder = root.join(name);
        check_recomputed(&Artifacts::read(&folder).unwrap(), name);
        let forward = ForwardModel::read(&folder.join("forward.onnx"), None).unwrap();
        let options = ComposeOptions {
            train: Train::All,
            ..ComposeOptions::default()
        };
        let composed = compose(forward, &options).unwrap();
        let own = composed.artifacts(OptimizerSettings::default()).unwrap();
        check_recomputed(&own, &format!("{name}, own artifacts"));
    }
}

fn check_recomputed(artifacts: &Artifacts, name: &str) {
    let mut values = Named::new();
    for parameter in artifacts.parameters() {
        let value = (parameter.dims.clone(), parameter.data.clone());
        values.insert(parameter.name.clone(), value);
    }
    let options = LoweringOptions::default();
    let kept = lower::gradient_model(artifacts, &options).unwrap();
    let options = LoweringOptions {
        recompute: true,
        ..options
    };
    let again = lower::gradient_model(artifacts, &options).unwrap();
    let products = |model: &ModelProto| {
        let nodes = &model.graph.as_ref().unwrap().node;
        nodes
            .iter()
            .filter(|n| n.op_type.contains("MatMul") || n.op_type == "Gemm")
            .count()
    };
    assert!(products(&again) > products(&kept) + 5, "{name}");
    assert_eq!(
        run(&again, &values, 0..4),
        run(&kept, &values, 0..4),
        "{name}"
    );
}

/// Half precision changes margins a little. The CPU provider has no bf16 products, and widens f16.
#[test]
fn half_precision_runs_and_stays_close() {
    if runtime().is_none() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/data/models");
    for name in ["bert", "llama", "gpt2"] {
        let artifacts = Artifacts::read(&root.join(name)).unwrap();
        let mut values = Named::new();
        for parameter in artifacts.parameters() {
            let value = (parameter.dims.clone(), parameter.data.clone());
            values.insert(parameter.name.clone(), value);
        }
        let [full, half] = [Precision::F32, Precision::F16].map(|precision| {
            let options = LoweringOptions {
                precision,
                ..LoweringOptions::default()
            };
            let model = lower::eval_model(&artifacts, &options).unwrap();
            run(&model, &values, 0..4)[lower::MARGIN].1.clone()
        });
        for (full, half) in full.iter().zip(&half) {
            assert!((full - half).abs() < 0.01, "{name}: {half} for {full}");
        }
    }
}
