//! `prefclean artifacts` and `prefclean export`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{CliTest, help};

const FILES: [&str; 4] = [
    "training_model.onnx",
    "eval_model.onnx",
    "optimizer_model.onnx",
    "checkpoint",
];

/// A test with the forward model of a tiny transformer in its folder, as `NAME.onnx`.
fn with_models(names: &[&str]) -> CliTest {
    let test = CliTest::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/data/models");
    for name in names {
        let to = test.path(&format!("{name}.onnx"));
        fs::copy(data.join(name).join("forward.onnx"), to).unwrap();
    }
    test
}

/// What a part of the model has, from the JSON of `artifacts`.
fn part<'a>(made: &'a Value, name: &str) -> Option<&'a Value> {
    let mut parts = made["parts"].as_array().unwrap().iter();
    parts.find(|part| part["name"] == name)
}

#[test]
fn help_text() {
    insta::assert_snapshot!("artifacts_help", help("artifacts"));
    insta::assert_snapshot!("export_help", help("export"));
}

#[test]
fn what_trains_is_shown() {
    let test = with_models(&["bert", "llama", "bert-encoder"]);
    insta::assert_snapshot!(test.transcripts(&[
        &["artifacts", "bert.onnx", "-o", "made", "--train", "last:1"],
        &["artifacts", "llama.onnx", "--dry-run", "--train", "lora:2"],
        &[
            "artifacts",
            "bert-encoder.onnx",
            "--dry-run",
            "--train",
            "head",
            "--pool",
            "mean,max",
            "--pool-over",
            "text",
            "--pair-weights",
            "--list",
        ],
        &["export", "made", "-o", "model"],
    ]));
}

#[test]
fn choices_of_what_trains() {
    let test = with_models(&["bert", "bert-encoder", "gpt2", "mpnet-encoder"]);
    let made =
        |model: &str, train: &str| test.json(&["artifacts", model, "--dry-run", "--train", train]);
    let all = made("bert.onnx", "all");
    assert_eq!(all["numbers"], all["trainable"]);
    assert_eq!(all["forward_gives"], "reward");
    let last = made("bert.onnx", "last:1");
    assert_eq!(part(&last, "embeddings").unwrap()["trainable"], 0);
    assert_eq!(part(&last, "layer 0").unwrap()["trainable"], 0);
    assert_eq!(
        part(&last, "layer 1").unwrap()["trainable"],
        part(&last, "layer 1").unwrap()["numbers"]
    );
    assert_eq!(part(&last, "head").unwrap()["trainable"], 12);
    assert!(part(&last, "after the layers").unwrap()["trainable"] != json!(0));

    let head = made("bert-encoder.onnx", "head");
    assert_eq!(head["trainable"], 36);
    assert_eq!(head["pool"], json!(["cls", "mean", "max"]));
    assert_eq!(
        head["inputs"],
        json!(["input_ids", "attention_mask", "response_mask"])
    );
    let lora = made("bert-encoder.onnx", "lora:3:*.query.weight");
    // two layers, each with two factors of 12 x 3
    assert_eq!(part(&lora, "low-rank products").unwrap()["numbers"], 144);
    assert_eq!(lora["trainable"], 144 + 36);
    assert_eq!(made("gpt2.onnx", "last:1")["forward_gives"], "reward");
    // its table of relative distances belongs to all layers, so it does not train
    let mpnet = made("mpnet-encoder.onnx", "last:2");
    assert_eq!(part(&mpnet, "embeddings").unwrap()["trainable"], 0);
}

#[test]
fn the_same_twice_and_never_over_what_is_there() {
    let test = with_models(&["bert-encoder"]);
    let make = |folder: &str, more: &[&str]| {
        let arguments = ["artifacts", "bert-encoder.onnx", "--train", "all", "-o"];
        test.ok(&[&arguments[..], &[folder], more].concat());
    };
    let files = |folder: &str| FILES.map(|name| fs::read(test.path(folder).join(name)).unwrap());
    make("a", &[]);
    make("b", &[]);
    assert!(files("a") == files("b"), "two calls write the same bytes");
    make("b", &["--force", "--seed", "1"]);
    assert!(files("a")[3] != files("b")[3], "another seed, another head");

    fs::copy(
        test.path("bert-encoder.onnx"),
        test.path("a/eval_model.onnx"),
    )
    .unwrap();
    insta::assert_snapshot!(test.transcripts(&[
        &["artifacts", "bert-encoder.onnx", "-o", "b"],
        &["artifacts", "a/eval_model.onnx", "-o", "a", "--force"],
        &["export", "b", "-o", "b/training_model.onnx"],
    ]));
}

#[test]
fn what_cannot_be_made_is_refused_with_advice() {
    let test = with_models(&["bert", "bert-fused"]);
    fs::write(test.path("text.onnx"), "not a model").unwrap();
    let refused = |more: &[&str]| test.transcript(&[&["artifacts"], more].concat());
    let transcripts = [
        refused(&["bert.onnx", "--dry-run", "--train", "last:7"]),
        refused(&["bert.onnx", "--dry-run", "--train", "lora:2:decoder*"]),
        refused(&["bert.onnx", "--dry-run", "--train", "lora:0"]),
        refused(&["bert.onnx", "--dry-run", "--forward-output", "states"]),
        refused(&["bert.onnx", "--dry-run", "--rdpo", "0.5"]),
        refused(&["bert.onnx", "--dry-run", "--betas", "0.9"]),
        refused(&["bert.onnx"]),
        refused(&["bert.onnx", "--from", "minilm", "-o", "x"]),
        refused(&["text.onnx", "-o", "x"]),
        refused(&["missing.onnx", "-o", "x"]),
    ];
    insta::assert_snapshot!(transcripts.concat());
    assert!(!test.path("x").exists());
}

#[test]
fn export_wants_the_checkpoint_of_the_artifacts() {
    let test = with_models(&["bert", "bert-encoder"]);
    for (model, train) in [("bert", "all"), ("bert-encoder", "lora:2")] {
        let input = format!("{model}.onnx");
        test.ok(&["artifacts", &input, "-o", model, "--train", train]);
    }
    fs::write(test.path("bert/vocab.txt"), "[PAD]").unwrap();
    let exported = test.json(&["export", "bert", "-o", "out"]);
    assert_eq!(exported["inputs"], json!(["input_ids", "attention_mask"]));
    assert_eq!(exported["outputs"], json!(["reward"]));
    assert_eq!(fs::read(test.path("out/vocab.txt")).unwrap(), b"[PAD]");
    let lora = test.json(&["export", "bert-encoder", "-o", "lora.onnx"]);
    assert_eq!(lora["tokenizer"], json!([]));
    let size = |name: &str| fs::metadata(test.path(name)).unwrap().len();
    // merged: no more than the encoder and its head
    assert!(size("lora.onnx") < size("bert-encoder.onnx") + 4096);

    insta::assert_snapshot!(test.transcripts(&[
        &[
            "export",
            "bert",
            "-o",
            "x.onnx",
            "--checkpoint",
            "bert-encoder/checkpoint"
        ],
        &["export", "out", "-o", "x.onnx"],
        &[
            "export",
            "bert",
            "-o",
            "x.onnx",
            "--checkpoint",
            "bert/eval_model.onnx"
        ],
    ]));
}

#[test]
fn an_encoder_by_name_comes_with_its_tokenizer() {
    let test = CliTest::new();
    let made = test.json(&["artifacts", "--from", "minilm", "-o", "made"]);
    assert_eq!(made["train"], "last:2");
    assert_eq!(
        part(&made, "layers 4 to 5").unwrap()["trainable"],
        3_548_928
    );
    assert_eq!(part(&made, "head").unwrap()["trainable"], 3 * 384);
    assert!(test.path("made/tokenizer.json").exists());
    let exported = test.json(&["export", "made", "-o", "out"]);
    assert_eq!(exported["outputs"], json!(["reward"]));
    assert!(test.path("out/tokenizer.json").exists());
}
