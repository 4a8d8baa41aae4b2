//! Encoders whose layers train: in a run, killed, kept, exported, and scored with.

use std::fs;

use arrow::array::AsArray;
use arrow::datatypes::Float32Type;

use crate::harness::{CliTest, fixture, note, table, texts, write};

/// A short run: texts of 48 tokens, two epochs.
const RUN_FILE: &str = "\
[tokens]
max_length_tokens = 48
response_tokens = 30
[cross_fit]
folds = 0
[first_pass]
epochs = 1
[fine_tuning]
epochs = 2
learning_rate = 2e-4
batch_size_pairs = 8
tokens_per_call = 512
[planting]
share = 0.1
at_least = 2
";

fn prepared(n_pairs: usize) -> CliTest {
    let test = CliTest::new();
    let pairs = table(fixture("hh-rlhf-helpful-737.parquet"));
    write(&test.path("in.parquet"), &pairs.slice(0, n_pairs), 100);
    fs::write(test.path("short.toml"), RUN_FILE).unwrap();
    test
}

fn run<'a>(train: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let arguments = ["run", "in.parquet", "-o", "clean.parquet", "--quiet"];
    let settings = ["--pipeline", "short.toml", "--train", train];
    [&arguments[..], &settings, more].concat()
}

fn tags(test: &CliTest) -> Vec<u8> {
    fs::read(test.path("clean.prefclean/tags.parquet")).unwrap()
}

/// Margins that model a ended with, by pair id, of the pairs that its training did not swap.
fn margins_at_the_end(test: &CliTest) -> Vec<(String, f32)> {
    let planted = table(test.path("clean.prefclean/planted.parquet"));
    let planted = texts(&planted, "pair_id");
    let dynamics = table(test.path("clean.prefclean/dynamics.parquet"));
    let epochs = texts(&dynamics, "epoch");
    let last = epochs.iter().max().unwrap().clone();
    let margins = dynamics.column_by_name("margin_end").unwrap();
    let margins = margins.as_primitive::<Float32Type>();
    let ids = texts(&dynamics, "pair_id");
    let models = texts(&dynamics, "model");
    (0..dynamics.num_rows())
        .filter(|&i| models[i] == "a" && epochs[i] == last && !planted.contains(&ids[i]))
        .map(|i| (ids[i].clone(), margins.value(i)))
        .collect()
}

#[test]
fn the_last_layers_train_and_the_model_can_be_kept_exported_and_scored_with() {
    let test = prepared(40);
    test.ok(&run("last:1", &["--keep-models"]));
    let expected = margins_at_the_end(&test);
    assert!(expected.len() > 20 && expected.iter().any(|(_, margin)| margin.abs() > 1e-3));

    test.ok(&[
        "export",
        "clean.prefclean/models/a",
        "-o",
        "model",
        "--quiet",
    ]);
    let limits = ["--max-length-tokens", "48", "--response-tokens", "30"];
    let score = [
        "score",
        "in.parquet",
        "--model",
        "model",
        "-o",
        "scored.parquet",
    ];
    let figures = test.json(&[&score[..], &limits].concat());
    assert_eq!(figures["scored"], 40);
    let scored = table(test.path("scored.parquet"));
    let ids = texts(&scored, "prefclean_pair_id");
    let margins = scored.column_by_name("prefclean_margin").unwrap();
    let margins = margins.as_primitive::<Float32Type>();
    for (id, expected) in expected {
        let row = ids.iter().position(|known| *known == id).unwrap();
        let margin = margins.value(row);
        // the whole model from token ids, against the last layer on cached states
        assert!(
            (margin - expected).abs() < 1e-3,
            "{id}: {margin} is not {expected}"
        );
    }
}

#[test]
fn killed_while_layers_train() {
    let whole = prepared(40);
    whole.ok(&run("last:1", &[]));
    let killed = prepared(40);
    for pass in ["second-pass-0-0", "second-pass-1-0"] {
        let work = killed.path("clean.prefclean/work");
        let state = work.join(format!("{pass}.safetensors"));
        if !killed.kill_when(&run("last:1", &[]), || state.exists()) {
            note(&format!("{pass}: the run ended before it could be killed"));
        }
    }
    killed.ok(&run("last:1", &[]));
    assert!(tags(&killed) == tags(&whole), "other tags after kills");
}

#[test]
fn threads_and_the_cache_of_states_change_no_tag() {
    let expected = prepared(24);
    expected.ok(&run("last:2", &[]));
    let other = prepared(24);
    other.ok(&run("last:2", &["--threads", "4"]));
    assert!(tags(&other) == tags(&expected), "threads change tags");
}

#[test]
fn whole_encoders_and_added_products_train() {
    for train in ["all", "lora:4"] {
        let test = prepared(12);
        test.ok(&run(train, &["--epochs", "1"]));
        let dynamics = table(test.path("clean.prefclean/dynamics.parquet"));
        let margins = dynamics.column_by_name("margin_end").unwrap();
        let margins = margins.as_primitive::<Float32Type>();
        assert_eq!(margins.len(), 12 * 2);
        assert!(margins.values().iter().all(|m| m.is_finite() && *m != 0.0));
    }
}

#[test]
fn what_cannot_train_is_refused() {
    let test = prepared(12);
    let shown = test.transcripts(&[
        &run("last:0", &[]),
        &run("some", &[]),
        &run("last:7", &[]),
        &run("last:1", &["--head", "mlp"]),
    ]);
    insta::assert_snapshot!(shown);
}
