//! Checkpoints between this crate and onnxruntime-training 1.19.2, both ways: see
//! `tests/reference/checkpoints.py`.
//!
//! What 1.19.2 makes of files written here is stored with them. Where
//! `PREFCLEAN_TEST_TRAINING_PYTHON` names a Python interpreter that has onnxruntime-training 1.19.2,
//! it also reads files that are written now.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ort::value::Tensor;
use prefclean::graph::artifacts::{Artifacts, CHOSEN, REJECTED};
use prefclean::graph::checkpoint::{Checkpoint, Property};
use prefclean::graph::lower::{self, LoweringOptions};
use prefclean::graph::proto::ModelProto;
use serde_json::Value;

use crate::heads::batch;
use crate::runtime::{note, runtime, session};
use crate::training::Training;

const CASES: [&str; 2] = ["adamw", "sgd"];
/// Sizes of the script's batches.
const PAIRS: usize = 8;
const WIDTH: usize = 8;
const PYTHON: &str = "PREFCLEAN_TEST_TRAINING_PYTHON";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn data() -> PathBuf {
    root().join("parity/data/checkpoints")
}

fn expected(case: &str) -> Value {
    let text = fs::read(data().join(case).join("expected.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|v| v.as_f64().unwrap()).collect()
}

/// The losses after the checkpoint, of a run that was not interrupted.
fn later_losses(expected: &Value) -> Vec<f64> {
    let half = expected["half"].as_u64().unwrap();
    numbers(&expected["losses"]).split_off(half.try_into().unwrap())
}

fn assert_near(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (step, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(
            difference < 1e-6,
            "{what}, step {step}: {found} is not {expected}"
        );
    }
}

#[test]
fn what_1_19_2_wrote_is_read() {
    for case in CASES {
        let expected = expected(case);
        let checkpoint = Checkpoint::read(&data().join(case).join("half.checkpoint")).unwrap();
        let values = expected["parameters_at_half"].as_object().unwrap();
        assert_eq!(
            checkpoint.parameters.len() + checkpoint.buffers.len(),
            values.len()
        );
        for parameter in &checkpoint.parameters {
            // the reader of JSON rounds the last digit of an f64 as it likes
            #[expect(clippy::cast_possible_truncation, reason = "written from f32")]
            let expected: Vec<f32> = numbers(&values[&parameter.name])
                .iter()
                .map(|&v| v as f32)
                .collect();
            assert_eq!(parameter.data, expected, "{case}: {}", parameter.name);
            assert_eq!(parameter.trainable, !parameter.name.starts_with("feature."));
        }
        let order = checkpoint.buffers[0].to_i64().unwrap();
        assert_eq!(order, [7, 0, 6, 1, 5, 2, 4, 3]);
        let group = &checkpoint.optimizers[0];
        assert_eq!((group.name.as_str(), group.step), ("group0", 6));
        assert!((group.initial_learning_rate - 0.001).abs() < 1e-9);
        assert_eq!(group.states.len(), 3);
        let moments = if case == "adamw" { 2 } else { 1 };
        assert!(group.states.iter().all(|s| s.moments.len() == moments));
        let properties = [
            ("best loss", Property::Float(0.625)),
            ("epoch", Property::Int(3)),
            ("who", Property::Text("prefclean é".into())),
        ];
        let properties = properties.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(checkpoint.properties, properties.into(), "{case}");
    }
}

#[test]
fn a_nominal_checkpoint_is_filled_from_the_forward_model() {
    let full = Checkpoint::read(&data().join("adamw/checkpoint")).unwrap();
    let mut nominal = Checkpoint::read(&data().join("nominal_checkpoint")).unwrap();
    assert!(nominal.nominal);
    let forward = ModelProto::read(&data().join("forward.onnx")).unwrap();
    nominal.fill_from(&forward).unwrap();
    assert_eq!(nominal, full);

    // as a folder
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: &str| {
        let name = Path::new(from).file_name().unwrap();
        fs::copy(data().join(from), folder.path().join(name)).unwrap();
    };
    for name in ["training_model", "eval_model", "optimizer_model"] {
        copy(&format!("adamw/{name}.onnx"));
    }
    copy("nominal_checkpoint");
    let error = Artifacts::read(folder.path()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("no model beside it"), "{source}");
    copy("forward.onnx");
    let filled = Artifacts::read(folder.path()).unwrap();
    assert_eq!(filled, Artifacts::read(&data().join("adamw")).unwrap());
}

/// The step graph on the stock runtime goes on from a checkpoint of 1.19.2 as 1.19.2 did, frozen
/// parameters of another element type included.
#[test]
fn what_1_19_2_wrote_trains_on_here() {
    let Some(environment) = runtime() else { return };
    for case in CASES {
        let expected = expected(case);
        let folder = data().join(case);
        let mut artifacts = Artifacts::read(&folder).unwrap();
        artifacts.checkpoint = Checkpoint::read(&folder.join("half.checkpoint")).unwrap();
        let options = LoweringOptions::default();
        let step = lower::step_model(&artifacts, &options).unwrap();
        let eval = lower::eval_model(&artifacts, &options).unwrap();
        let [step, eval] = [step, eval].map(|model| session(environment, &model.to_bytes(), 1));
        let mut training = Training::new(step, eval, artifacts.parameters());
        let group = &artifacts.checkpoint.optimizers[0];
        training.resume(group);
        #[expect(clippy::cast_possible_truncation, reason = "0.01 and 0.5 as f32")]
        let rate = expected["learning_rate"].as_f64().unwrap() as f32;
        let mut losses = Vec::new();
        for taken in group.step..2 * group.step {
            let index = usize::try_from(taken).unwrap();
            let side = |(side, name): (usize, &str)| {
                let rows = ([PAIRS, WIDTH], batch(index, side, PAIRS, WIDTH));
                (name.to_owned(), Tensor::from_array(rows).unwrap().into())
            };
            let data = [CHOSEN, REJECTED].into_iter().enumerate().map(side);
            losses.push(f64::from(training.step(data.collect(), rate).loss));
        }
        assert_near(&losses, &later_losses(&expected), case);
    }
}

/// The stored files are what is written today, and 1.19.2 went on from them as from its own.
#[test]
fn what_is_written_1_19_2_has_read() {
    for case in CASES {
        let folder = data().join(case);
        let checkpoint = Checkpoint::read(&folder.join("half.checkpoint")).unwrap();
        let stored = fs::read(folder.join("written.checkpoint")).unwrap();
        assert!(
            checkpoint.to_bytes().unwrap() == stored,
            "{case}: another layout"
        );
        let expected = expected(case);
        let found = numbers(&expected["losses_from_written"]);
        assert_near(&found, &later_losses(&expected), case);
    }
}

#[test]
#[ignore = "writes the stored files anew; then run tests/reference/checkpoints.py"]
fn write_reference() {
    for case in CASES {
        let folder = data().join(case);
        let checkpoint = Checkpoint::read(&folder.join("half.checkpoint")).unwrap();
        let bytes = checkpoint.to_bytes().unwrap();
        fs::write(folder.join("written.checkpoint"), bytes).unwrap();
    }
}

/// Runs the script of reference values; `None`, with a word on stderr, where no interpreter is named.
fn script(arguments: &[&str]) -> Option<String> {
    let Some(python) = std::env::var_os(PYTHON) else {
        note(&format!("skipped: {PYTHON} is not set"));
        return None;
    };
    let script = root().join("reference/checkpoints.py");
    let output = Command::new(python).arg(script).args(arguments).output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Artifacts and checkpoints written now train on in 1.19.2 as if never interrupted.
#[test]
fn what_is_written_trains_on_in_1_19_2() {
    for case in CASES {
        let expected = expected(case);
        let mut artifacts = Artifacts::read(&data().join(case)).unwrap();
        artifacts.checkpoint =
            Checkpoint::read(&data().join(case).join("half.checkpoint")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        artifacts.write(folder.path()).unwrap();
        let outside = folder.path().join("outside");
        artifacts.checkpoint.write_with_limit(&outside, 0).unwrap();
        assert!(folder.path().join("outside.data").exists());
        let rate = expected["learning_rate"].to_string();
        let [half, steps] = [&expected["half"]; 2].map(Value::to_string);
        for name in ["checkpoint", "outside"] {
            let path = folder.path().join(name);
            let arguments = [folder.path(), &path].map(|path| path.to_str().unwrap());
            let [artifacts, checkpoint] = arguments;
            let arguments = ["continue", artifacts, checkpoint, &rate, &half, &steps];
            let Some(output) = script(&arguments) else {
                return;
            };
            let output: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
            let what = format!("{case}, {name}");
            assert_near(&numbers(&output["losses"]), &later_losses(&expected), &what);
            assert_eq!(output["properties"], expected["properties"], "{what}");
        }
    }
}

/// Values that 1.19.2 itself puts into a file of their own.
#[test]
#[ignore = "2 GB on disk, 6 GB of memory"]
fn large_checkpoints_of_1_19_2_are_read() {
    let folder = tempfile::tempdir().unwrap();
    if script(&["large", folder.path().to_str().unwrap()]).is_none() {
        return;
    }
    assert!(folder.path().join("checkpoint.data").exists());
    let checkpoint = Checkpoint::read(&folder.path().join("checkpoint")).unwrap();
    let lengths: Vec<_> = checkpoint
        .parameters
        .iter()
        .map(|p| (p.name.as_str(), p.data.len()))
        .collect();
    let expected = [
        ("small", 5),
        ("first", 240_000_000),
        ("second", 240_000_001),
    ];
    assert_eq!(lengths, expected);
    let [small, first, second] = [0, 1, 2].map(|index| &checkpoint.parameters[index].data);
    assert_eq!(small, &[0.0, 1.0, 2.0, 3.0, 4.0]);
    assert!((first[1 << 23] - 8_388_608.0).abs() < 1e-9);
    assert!(second.iter().all(|&v| (v - 2.5).abs() < 1e-9));
    let frozen = checkpoint.buffers[0].to_i64().unwrap();
    assert_eq!(frozen, (0..20).collect::<Vec<_>>());
}
