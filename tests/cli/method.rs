//! `prefclean run --method`: other methods in the same run.

use std::collections::HashMap;
use std::fs;

use serde_json::Value;

use crate::harness::{CliTest, fixture, note, table, texts, write};

const ROWS: usize = 160;

const RUN: [&str; 9] = [
    "run",
    "in.parquet",
    "-o",
    "clean.parquet",
    "--pipeline",
    "quick",
    "--epochs",
    "3",
    "--method",
];

/// A folder with the first pairs of the fixture.
fn prepared() -> CliTest {
    let test = CliTest::new();
    let data = table(fixture("hh-rlhf-helpful-737.parquet")).slice(0, ROWS);
    write(&test.path("in.parquet"), &data, 100);
    test
}

fn tags(test: &CliTest) -> Vec<u8> {
    fs::read(test.path("clean.prefclean/tags.parquet")).unwrap()
}

#[test]
fn every_kind_of_method_tags_every_pair() {
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for method in [
        "crm",
        "co-teaching-plus",
        "jocor",
        "divide-mix",
        "robust-dpo",
        "random-drop",
    ] {
        let test = prepared();
        let report = test.json(&[&RUN[..], &[method, "--quiet"]].concat());
        let named = report["training"]["method"].as_str().unwrap();
        assert!(named.starts_with(&format!("{method}: ")), "{named}");
        let folder = test.path("clean.prefclean");
        for page in ["report.md", "report.html"] {
            let page = fs::read_to_string(folder.join(page)).unwrap();
            assert!(page.contains(&format!("{method}: ")), "{method}");
        }
        let manifest = fs::read(folder.join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(manifest["config"]["second_pass"]["method"], method);

        let table = table(folder.join("tags.parquet"));
        assert_eq!(table.num_rows(), ROWS, "{method}");
        let suspicion = texts(&table, "suspicion");
        let suspicion = suspicion.iter().filter(|s| !s.is_empty());
        let suspicion: Vec<f64> = suspicion.map(|s| s.parse().unwrap()).collect();
        assert!(suspicion.len() > ROWS * 9 / 10, "{method}");
        assert!(
            suspicion.iter().all(|s| (0.0..=1.0).contains(s)),
            "{method}"
        );
        seen.push(tags(&test));
    }
    for (i, a) in seen.iter().enumerate() {
        assert!(
            seen[i + 1..].iter().all(|b| a != b),
            "two methods, one result"
        );
    }
}

/// What other pairs say does not depend on a pair's own label, so a planted flip has minus its score.
#[test]
fn other_pairs_rank_by_default() {
    let test = prepared();
    test.ok(&[&RUN[..8], &["--quiet"]].concat());
    let folder = test.path("clean.prefclean");
    let number = |text: &String| text.parse::<f64>().unwrap();
    let tags = table(folder.join("tags.parquet"));
    let own: HashMap<String, f64> = texts(&tags, "pair_id")
        .into_iter()
        .zip(texts(&tags, "score"))
        .filter(|(_, score)| !score.is_empty())
        .map(|(id, score)| (id, number(&score)))
        .collect();
    let margins = texts(&tags, "margin_comparisons");
    let scored = texts(&tags, "score").into_iter().zip(margins);
    for (score, margin) in scored.filter(|(score, _)| !score.is_empty()) {
        assert!((number(&score) + number(&margin)).abs() < 1e-6);
    }
    let sources = texts(&tags, "evidence_source");
    assert!(sources.iter().all(|s| s.is_empty() || s == "graph"));
    let planted = table(folder.join("planted.parquet"));
    let ids = texts(&planted, "pair_id");
    assert!(ids.len() > 20);
    for (id, score) in ids.iter().zip(texts(&planted, "score")) {
        assert!((number(&score) + own[id]).abs() < 1e-12, "{id}");
    }
}

#[test]
fn a_name_that_is_none_gives_the_names() {
    let test = prepared();
    let output = test.run(&[&RUN[..], &["co-teachin"]].concat());
    assert_eq!(output.status.code(), Some(2));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("unknown method `co-teachin`"), "{words}");
    for name in [
        "crm",
        "co-teaching",
        "co-teaching-plus",
        "jocor",
        "divide-mix",
        "ropo",
    ] {
        assert!(words.contains(name), "{words}");
    }
    assert!(!test.path("clean.prefclean").exists());
}

#[test]
fn killed_and_started_again() {
    for method in ["divide-mix", "dr-dpo"] {
        // long enough to be hit
        let run = [
            &RUN[..6],
            &["--quiet", "--epochs", "40", "--method", method],
        ]
        .concat();
        let whole = prepared();
        whole.ok(&run);
        let killed = prepared();
        for pass in ["second-pass-0-0", "second-pass-1-0"] {
            let folder = killed.path("clean.prefclean").join("work");
            let state = folder.join(format!("{pass}.safetensors"));
            if !killed.kill_when(&run, || state.exists()) {
                note(&format!(
                    "{method}, {pass}: ended before it could be killed"
                ));
            }
        }
        killed.ok(&run);
        assert!(
            tags(&killed) == tags(&whole),
            "{method}: other tags after kills"
        );
    }
}
