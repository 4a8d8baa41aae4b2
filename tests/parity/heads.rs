//! Lowered training steps against onnxruntime-training 1.19.2: see `tests/reference/heads_parity.py`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ort::environment::Environment;
use ort::value::Tensor;
use prefclean::graph::artifacts::{Artifacts, BUNDLED, CHOSEN, Head, REJECTED};
use prefclean::graph::checkpoint::Checkpoint;
use prefclean::graph::lower::{self, LoweringOptions};
use prefclean::graph::optimizer::OptimizerSettings;
use serde_json::Value;

use crate::runtime::{note, runtime, session};
use crate::training::{Inputs, Training, difference, norm};

const STEPS: usize = 50;

/// Features of a side (0 chosen, 1 rejected) as `batch` of the script makes them.
pub fn batch(step: usize, side: usize, pairs: usize, width: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(pairs * width);
    for p in 0..pairs {
        for j in 0..width {
            let mixed = (p + 1) * 7919 + (j + 1) * 104_729 + (p + 1) * (j + 3) * 613;
            let mixed = (mixed + step * 15_485 + side * 3_331) % 2003;
            let value = f64::from(u32::try_from(mixed).unwrap()) / 2003.0 - 0.5;
            let signal = if side == 0 && j % 3 == 0 { 0.5 } else { 0.0 };
            #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
            values.push((2.0 * value + signal) as f32);
        }
    }
    values
}

/// The features of both sides as inputs of a graph.
fn data(pairs: usize, sides: [Vec<f32>; 2]) -> Inputs {
    let mut inputs: Inputs = Vec::new();
    for (name, side) in [CHOSEN, REJECTED].into_iter().zip(sides) {
        let shape = [pairs, side.len() / pairs];
        let tensor = Tensor::from_array((shape, side)).unwrap();
        inputs.push((name.to_owned(), tensor.into()));
    }
    inputs
}

fn training_of(environment: &Environment, head: &Artifacts) -> Training {
    let options = LoweringOptions::default();
    let graphs = [
        lower::step_model(head, &options).unwrap(),
        lower::eval_model(head, &options).unwrap(),
    ];
    let [step, eval] = graphs.map(|model| session(environment, &model.to_bytes(), 1));
    Training::new(step, eval, head.parameters())
}

fn beta1(head: &Artifacts) -> f32 {
    let OptimizerSettings::AdamW(settings) = head.optimizer else {
        panic!("expected AdamW");
    };
    settings.beta1
}

fn data_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/data/heads")
}

/// The head of a case: committed artifacts, with the files that the case replaces.
fn head_of(case: &Path, description: &Value) -> Artifacts {
    let name = description["head"].as_str().unwrap();
    let size = |key: &str| usize::try_from(description[key].as_u64().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("pipelines/heads")
        .join(name);
    for entry in fs::read_dir(committed).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let optimizer = case.join("optimizer_model.onnx");
    if optimizer.exists() {
        fs::copy(optimizer, folder.path().join("optimizer_model.onnx")).unwrap();
    }
    let head = Head::load(folder.path()).unwrap();
    let start = case.join("checkpoint");
    if !start.exists() {
        return head.into_artifacts();
    }
    let head = head.resized(size("width"), size("hidden"), 3).unwrap();
    let mut head = head.into_artifacts();
    let start = Checkpoint::read(&start).unwrap();
    for parameter in &mut head.checkpoint.parameters {
        let own = start.parameter(&parameter.name).unwrap();
        assert_eq!(own.dims, parameter.dims, "{name}: {}", parameter.name);
        parameter.data.clone_from(&own.data);
    }
    head
}

#[test]
fn fifty_steps_match_onnxruntime_training() {
    let Some(environment) = runtime() else { return };
    let mut cases: Vec<PathBuf> = fs::read_dir(data_folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 2 * BUNDLED.len());
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(case.join("losses.json")).unwrap();
        let description: Value = serde_json::from_str(&text).unwrap();
        let pairs = usize::try_from(description["pairs"].as_u64().unwrap()).unwrap();
        let width = usize::try_from(description["width"].as_u64().unwrap()).unwrap();
        #[expect(clippy::cast_possible_truncation, reason = "a rate near 0.01")]
        let rate = description["learning_rate"].as_f64().unwrap() as f32;
        let head = head_of(&case, &description);
        let mut training = training_of(environment, &head);

        let losses = description["losses"].as_array().unwrap();
        assert_eq!(losses.len(), STEPS);
        let mut worst_loss = 0.0f64;
        for (step, expected) in losses.iter().enumerate() {
            let sides = [0, 1].map(|side| batch(step, side, pairs, width));
            let (margin, pair_loss) = training.evaluate(data(pairs, sides.clone()));
            let result = training.step(data(pairs, sides), rate);
            let expected = expected.as_f64().unwrap();
            let error = (f64::from(result.loss) - expected).abs() / expected;
            worst_loss = worst_loss.max(error);
            assert!(
                error < 1e-5,
                "{name}, step {step}: {} is not {expected}",
                result.loss
            );
            assert!(
                difference(&margin, &result.margin) < 1e-5,
                "{name}, step {step}"
            );
            assert!(
                difference(&pair_loss, &result.pair_loss) < 1e-5,
                "{name}, step {step}"
            );
        }
        let worst_change = compare_ends(&name, &case, &head, &training);
        note(&format!(
            "{name:22} largest relative difference: losses {worst_loss:.1e}, updates and moments {worst_change:.1e}"
        ));
    }
}

/// Parameters and moments at the end, relative to how far they moved.
fn compare_ends(name: &str, case: &Path, head: &Artifacts, training: &Training) -> f64 {
    let end = Checkpoint::read(&case.join("final.checkpoint")).unwrap();
    let states = &end.optimizers[0];
    assert_eq!(states.step, i64::try_from(STEPS).unwrap());
    let mut worst = 0.0f64;
    for start in head.parameters() {
        let found = |name: &str| training.values[name].as_slice();
        let expected = end.parameter(&start.name).unwrap();
        let moved = difference(&expected.data, &start.data);
        let mut check = |what: &str, difference: f64, scale: f64| {
            worst = worst.max(difference / scale);
            let limit = 2e-4 * scale;
            assert!(
                difference <= limit,
                "{name}: {what} of {}: {difference} > {limit}",
                start.name
            );
        };
        check(
            "update",
            difference(&expected.data, found(&start.name)),
            moved,
        );
        let state = states
            .states
            .iter()
            .find(|s| s.parameter == start.name)
            .unwrap();
        for (moment, own) in state.moments.iter().zip(lower::moment_names(&start.name)) {
            let size = norm(moment.iter().copied());
            check("moment", difference(moment, found(&own)), size);
        }
    }
    worst
}

/// The analytic gradient, read off the first moment of a first step, against finite differences of
/// the loss of the evaluation graph.
#[test]
fn gradients_match_finite_differences() {
    let Some(environment) = runtime() else { return };
    let (pairs, width) = (16, 12);
    for name in BUNDLED {
        let head = Head::bundled(name).unwrap().resized(width, 5, 11).unwrap();
        let mut head = head.into_artifacts();
        for (index, parameter) in head.checkpoint.parameters.iter_mut().enumerate() {
            // away from 0, where some gradients would vanish
            let values = batch(index, 1, 1, parameter.data.len());
            parameter.data = values.iter().map(|v| 0.6 + 0.4 * v).collect();
        }
        let mut training = training_of(environment, &head);
        let sides = [0, 1].map(|side| batch(3, side, pairs, width));
        let before = training.values.clone();
        training.step(data(pairs, sides.clone()), 0.0);
        let after = training.values.clone();
        let take = 1.0 - f64::from(beta1(&head));
        for parameter in head.parameters() {
            let moment = &after[&lower::moment_names(&parameter.name)[0]];
            for index in [0, parameter.data.len() / 2, parameter.data.len() - 1] {
                let mut loss_at = |shift: f32| {
                    let mut values = before.clone();
                    values.get_mut(&parameter.name).unwrap()[index] += shift;
                    training.values = values;
                    let (_, losses) = training.evaluate(data(pairs, sides.clone()));
                    losses.iter().map(|&l| f64::from(l)).sum::<f64>() / 16.0
                };
                let h = 5e-3f32;
                let numeric = (loss_at(h) - loss_at(-h)) / (2.0 * f64::from(h));
                let analytic = f64::from(moment[index]) / take;
                assert!(
                    (numeric - analytic).abs() < 1e-4 + 1e-2 * analytic.abs(),
                    "{name}: {}[{index}]: {analytic} is not {numeric}",
                    parameter.name
                );
            }
        }
    }
}

/// At a margin of exactly 0 the loss falls with half of the margin: a head at zero learns.
#[test]
fn a_head_at_zero_learns() {
    let Some(environment) = runtime() else { return };
    let mut head = Head::bundled("linear").unwrap().into_artifacts();
    head.checkpoint.parameters[0].data.fill(0.0);
    let mut training = training_of(environment, &head);
    let [chosen, rejected] = [vec![1.0; 8], vec![0.0; 8]];
    let result = training.step(data(1, [chosen, rejected]), 0.01);
    assert!((result.loss - std::f32::consts::LN_2).abs() < 1e-6);
    let name = &head.parameters()[0].name;
    let moment = &training.values[&lower::moment_names(name)[0]];
    let expected = -0.5 * (1.0 - beta1(&head));
    assert!(
        moment.iter().all(|m| (m - expected).abs() < 1e-6),
        "{moment:?}"
    );
    assert!(training.values[name].iter().all(|&w| w > 0.009));
}

/// A margin far below 0 has a finite loss and gradient.
#[test]
fn hopeless_margins_stay_finite() {
    let Some(environment) = runtime() else { return };
    let head = Head::bundled("linear").unwrap().into_artifacts();
    let mut training = training_of(environment, &head);
    let sign = head.parameters()[0].data[0].signum();
    let side = |value: f32| {
        let mut row = vec![0.0; 8];
        row[0] = value * sign;
        row
    };
    for size in [1e3, 1e6] {
        let result = training.step(data(1, [side(-size), side(size)]), 0.01);
        assert!(result.loss.is_finite() && result.loss > 80.0);
        assert!((result.loss + result.margin[0]).abs() < 1e-3 * result.loss);
        assert!(training.values.values().flatten().all(|v| v.is_finite()));
    }
}

/// Calls per second: `cargo test --test parity -- --ignored --nocapture speed_of_heads`.
#[test]
#[ignore = "a measurement, not a check"]
fn speed_of_heads() {
    let Some(environment) = runtime() else { return };
    let (pairs, width) = (256, 1152);
    for (name, hidden) in [("linear", 1), ("mlp", 16), ("mlp", 64), ("mlp", 128)] {
        let head = Head::bundled(name)
            .unwrap()
            .resized(width, hidden, 1)
            .unwrap();
        let mut training = training_of(environment, head.artifacts());
        let sides = [0, 1].map(|side| batch(0, side, pairs, width));
        let mut best = [f64::MAX; 2];
        for _ in 0..5 {
            let calls = 20;
            let started = Instant::now();
            (0..calls).for_each(|_| drop(training.step(data(pairs, sides.clone()), 1e-3)));
            best[0] = best[0].min(started.elapsed().as_secs_f64() / f64::from(calls));
            let started = Instant::now();
            (0..calls).for_each(|_| drop(training.evaluate(data(pairs, sides.clone()))));
            best[1] = best[1].min(started.elapsed().as_secs_f64() / f64::from(calls));
        }
        let [step, eval] = best.map(|seconds| 1.0 / seconds);
        note(&format!(
            "{name} {hidden}: {step:.0} steps/s, {eval:.0} evaluations/s"
        ));
    }
}
