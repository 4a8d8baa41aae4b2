//! Training steps of whole transformers against onnxruntime-training 1.19.2, on a stock runtime: see
//! `tests/reference/models/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ort::environment::Environment;
use ort::value::Tensor;
use prefclean::graph::artifacts::Artifacts;
use prefclean::graph::artifacts::make::{self, ComposeOptions, ForwardModel, Train};
use prefclean::graph::checkpoint::{Checkpoint, Parameter};
use prefclean::graph::lower::{self, LoweringOptions};
use prefclean::graph::optimizer::{AdamWSettings, OptimizerSettings};
use serde_json::Value;

use crate::runtime::{note, runtime, session};
use crate::training::{Inputs, Training, difference};

const PAD: i64 = 1;
const FILES: [&str; 4] = [
    "training_model.onnx",
    "eval_model.onnx",
    "optimizer_model.onnx",
    "checkpoint",
];

/// Sizes of the batches of a case.
struct Recipe {
    pairs: usize,
    tokens: usize,
    vocabulary: usize,
}

impl Recipe {
    fn of(description: &Value) -> Self {
        let [pairs, tokens, vocabulary] = ["pairs", "tokens", "vocabulary"]
            .map(|key| usize::try_from(description[key].as_u64().unwrap()).unwrap());
        Self {
            pairs,
            tokens,
            vocabulary,
        }
    }

    /// Token ids and attention mask of `recipe.py`, rows interleaved: chosen, rejected, chosen, ...
    fn batch(&self, step: usize) -> Inputs {
        let (rows, tokens) = (2 * self.pairs, self.tokens + step % 3);
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        for row in 0..rows {
            for place in 0..tokens {
                let mixed =
                    (row + 1) * 7919 + (place + 1) * 104_729 + (row + 1) * (place + 3) * 613;
                let mixed = (mixed + step * 15_485) % 2003;
                let preferred = row % 2 == 0 && place % 3 == 0;
                let id = 2 + mixed % if preferred { 12 } else { self.vocabulary - 2 };
                let inside = place < tokens - (row * 3 + step) % 5;
                ids.push(if inside {
                    i64::try_from(id).unwrap()
                } else {
                    PAD
                });
                mask.push(i64::from(inside));
            }
        }
        [("input_ids", ids), ("attention_mask", mask)]
            .map(|(name, values)| {
                let tensor = Tensor::from_array(([rows, tokens], values)).unwrap();
                (name.to_owned(), tensor.into())
            })
            .into()
    }
}

/// A model's reference and artifacts.
struct Case {
    name: String,
    folder: PathBuf,
    artifacts: Artifacts,
    description: Value,
    /// Most that losses may differ, relative to the reference.
    losses: f64,
    /// Most that an update over all steps may differ, relative to its size.
    updates: f64,
}

impl Case {
    /// The case of a folder, with the artifacts of another one if those are asked for; `None` for a
    /// folder without a reference.
    fn read(folder: PathBuf, artifacts: Option<&Path>) -> Option<Self> {
        let text = fs::read_to_string(folder.join("reference.json")).ok()?;
        let description: Value = serde_json::from_str(&text).unwrap();
        let model = folder.with_file_name(description["forward"].as_str().unwrap());
        let own = artifacts.unwrap_or(&folder);
        let whole = tempfile::tempdir().unwrap();
        for file in FILES {
            let given = own.join(file);
            let from = if given.exists() {
                given
            } else {
                model.join(file)
            };
            fs::copy(from, whole.path().join(file)).unwrap();
        }
        Some(Self {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            artifacts: Artifacts::read(whole.path()).unwrap(),
            folder,
            description,
            losses: 1e-5,
            updates: 1e-4,
        })
    }

    /// The same reference for artifacts that the crate makes of a forward model.
    fn of_own_making(&self, forward: &Path, train: Train) -> Self {
        let options = ComposeOptions {
            train,
            ..ComposeOptions::default()
        };
        let forward = ForwardModel::read(forward, None).unwrap();
        let composed = make::compose(forward, &options).unwrap();
        Self {
            name: self.name.clone(),
            folder: self.folder.clone(),
            artifacts: composed.artifacts(self.artifacts.optimizer).unwrap(),
            description: self.description.clone(),
            ..*self
        }
    }

    /// Elements of a parameter whose gradient is rounding and nothing else, which makes their
    /// updates random.
    fn is_noise(&self, parameter: &str, element: usize) -> bool {
        let ranges = self.description["noise"][parameter].as_array();
        ranges.into_iter().flatten().any(|range| {
            let [first, end] = [0, 1].map(|i| range[i].as_u64().unwrap());
            (first..end).contains(&(element as u64))
        })
    }

    /// The largest relative difference of a parameter's whole update.
    fn compare_ends(&self, start: &[Parameter], training: &Training) -> f64 {
        let end = Checkpoint::read(&self.folder.join("final.checkpoint")).unwrap();
        let mut worst = 0.0f64;
        for start in start.iter().filter(|p| p.trainable) {
            // fusing joins parameters into new ones
            let Some(end) = end.parameter(&start.name) else {
                continue;
            };
            let kept = |values: &[f32]| -> Vec<f32> {
                let numbered = values.iter().enumerate();
                numbered
                    .filter(|(element, _)| !self.is_noise(&start.name, *element))
                    .map(|(_, value)| *value)
                    .collect()
            };
            let expected = kept(&end.data);
            let found = kept(&training.values[&start.name]);
            let moved = difference(&expected, &kept(&start.data));
            let apart = difference(&expected, &found);
            assert!(
                apart <= self.updates * moved,
                "{}: update of {}: {apart} apart, {moved} long",
                self.name,
                start.name
            );
            if moved > 0.0 {
                worst = worst.max(apart / moved);
            }
        }
        worst
    }
}

fn data_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/data/models")
}

fn cases() -> Vec<Case> {
    let mut folders: Vec<PathBuf> = fs::read_dir(data_folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    let read = |folder| Case::read(folder, None);
    folders.into_iter().filter_map(read).collect()
}

/// Trains a case from `artifacts` on the stock runtime: the largest relative differences of losses and
/// of whole updates.
fn holds_to_reference(environment: &Environment, case: &Case) -> [f64; 2] {
    let name = &case.name;
    let options = LoweringOptions::default();
    let step = lower::step_model(&case.artifacts, &options).unwrap();
    let eval = lower::eval_model(&case.artifacts, &options).unwrap();
    let parameters = case.artifacts.parameters();
    let mut training = Training::new(
        session(environment, &step.to_bytes(), 1),
        session(environment, &eval.to_bytes(), 1),
        parameters,
    );
    let recipe = Recipe::of(&case.description);
    #[expect(clippy::cast_possible_truncation, reason = "a rate near 0.001")]
    let rate = case.description["learning_rate"].as_f64().unwrap() as f32;
    let losses = case.description["losses"].as_array().unwrap();
    assert_eq!(losses.len(), 50);
    let mut worst = 0.0f64;
    for (step, expected) in losses.iter().enumerate() {
        let measured = (step % 10 == 0).then(|| training.evaluate(recipe.batch(step)));
        let result = training.step(recipe.batch(step), rate);
        let expected = expected.as_f64().unwrap();
        let error = (f64::from(result.loss) - expected).abs() / expected;
        worst = worst.max(error);
        let found = result.loss;
        assert!(
            error < case.losses,
            "{name}, step {step}: {found} is not {expected}"
        );
        if let Some((margin, pair_loss)) = measured {
            let apart =
                difference(&margin, &result.margin) + difference(&pair_loss, &result.pair_loss);
            assert!(apart < 1e-5, "{name}, step {step}: {apart}");
        }
    }
    [worst, case.compare_ends(parameters, &training)]
}

#[test]
fn fifty_steps_of_transformers_match_onnxruntime_training() {
    let Some(environment) = runtime() else { return };
    let cases = cases();
    assert!(cases.len() >= 20, "only {} references", cases.len());
    for case in cases {
        let [losses, updates] = holds_to_reference(environment, &case);
        note(&format!(
            "{:17} largest relative difference: losses {losses:.1e}, updates {updates:.1e}",
            case.name
        ));
    }
}

/// The generator misses a broadcast of position embeddings, and onnxruntime-training itself goes
/// wrong on what it makes then; the lowering sums over the rows that the gather was given.
#[test]
fn a_broadcast_that_the_generator_missed_is_put_right() {
    let Some(environment) = runtime() else { return };
    let wrong = data_folder().join("bert-wrong");
    let case = Case::read(data_folder().join("bert"), Some(&wrong)).unwrap();
    holds_to_reference(environment, &case);
}

/// The artifacts that the crate makes for each case: of the exports as they are, with gradients by its
/// own differentiation. Nothing of the old training build is in them.
fn made() -> impl Iterator<Item = Case> {
    cases().into_iter().map(|case| {
        let train = if case.name == "built-last" {
            Train::Last(1)
        } else {
            Train::All
        };
        let forward = data_folder().join(case.description["forward"].as_str().unwrap());
        let made = case.of_own_making(&forward.join("forward.onnx"), train);
        let trained = |case: &Case| -> BTreeSet<String> {
            let trainable = case.artifacts.parameters().iter().filter(|p| p.trainable);
            trainable.map(|p| p.name.clone()).collect()
        };
        let (own, others) = (trained(&made), trained(&case));
        assert!(own.is_subset(&others), "{}", case.name);
        // a bias of the reward cancels in every margin: it is left as it is
        let left: Vec<&String> = others.difference(&own).collect();
        let bias = left.iter().all(|name| name.ends_with("bias"));
        assert!(left.len() <= 1 && bias, "{}: {left:?}", case.name);
        made
    })
}

/// A model of any size: `tests/reference/models/large.py` makes the reference and tells the command.
/// Losses are held to 2e-5 and updates to 2e-4: sums are longer than in the tiny models.
#[test]
#[ignore = "needs a reference of a few hundred megabytes"]
fn fifty_steps_of_a_large_model() {
    let Some(environment) = runtime() else { return };
    let folder = std::env::var_os("PREFCLEAN_PARITY_MODEL").expect("PREFCLEAN_PARITY_MODEL");
    let mut case = Case::read(PathBuf::from(folder), None).unwrap();
    (case.losses, case.updates) = (2e-5, 2e-4);
    let forward = case.folder.join("forward.onnx");
    for (what, case) in [
        ("own artifacts", case.of_own_making(&forward, Train::All)),
        ("artifacts of 1.19.2", case),
    ] {
        let [losses, updates] = holds_to_reference(environment, &case);
        note(&format!(
            "{what}: largest relative difference: losses {losses:.1e}, updates {updates:.1e}"
        ));
    }
}

fn own_artifacts_hold(wanted: impl Fn(&str) -> bool) {
    let Some(environment) = runtime() else { return };
    for case in made().filter(|case| wanted(&case.name)) {
        let [losses, updates] = holds_to_reference(environment, &case);
        note(&format!(
            "{:17} largest relative difference: losses {losses:.1e}, updates {updates:.1e}",
            case.name
        ));
    }
}

#[test]
fn fifty_steps_from_own_artifacts_match_onnxruntime_training() {
    let some = ["bert-shared", "deberta-v3", "gpt2", "qwen2"];
    own_artifacts_hold(|name| some.contains(&name));
}

/// `cargo test --test parity -- --ignored --nocapture every_model`
#[test]
#[ignore = "takes longer; the test above has one model of each kind"]
fn fifty_steps_from_own_artifacts_of_every_model() {
    own_artifacts_hold(|_| true);
}

/// `cargo test --test parity -- --ignored --nocapture writes_artifacts`, then
/// `tests/reference/models/verify.py` with the folder that it names.
#[test]
#[ignore = "writes what a script reads with onnxruntime-training 1.19.2"]
fn writes_artifacts() {
    let folder = std::env::temp_dir().join("prefclean-own-artifacts");
    for case in made() {
        case.artifacts.write(&folder.join(&case.name)).unwrap();
    }
    note(&format!("written to {}", folder.display()));
}
/// Fused operators that have a gradient in parts: skip connections with their norms.
#[test]
fn a_fused_export_trains_as_the_unfused_does() {
    let Some(environment) = runtime() else { return };
    let case = Case::read(data_folder().join("gpt2"), None).unwrap();
    let forward = data_folder().join("gpt2-fused/forward.onnx");
    holds_to_reference(environment, &case.of_own_making(&forward, Train::All));
}

#[test]
fn a_fused_attention_is_refused_by_name() {
    let forward = data_folder().join("bert-fused/forward.onnx");
    let forward = ForwardModel::read(&forward, None).unwrap();
    let options = ComposeOptions {
        train: Train::All,
        ..ComposeOptions::default()
    };
    let composed = make::compose(forward, &options).unwrap();
    let error = composed
        .artifacts(OptimizerSettings::AdamW(AdamWSettings::default()))
        .unwrap_err();
    assert!(
        error.to_string().contains("com.microsoft.Attention"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("--optimize"));
}
