//! `prefclean compare`: methods side by side, stopped and gone on, on real labels.

use std::fs;

use serde_json::Value;

use crate::harness::{CliTest, fixture, help, test_data};

#[test]
fn help_text() {
    insta::assert_snapshot!(help("compare"));
}

fn rows(comparison: &Value, table: usize) -> Vec<(String, f64)> {
    let rows = comparison["tables"][table]["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| {
            let auroc = row["auroc"]["mean"].as_f64().unwrap();
            (row["method"].as_str().unwrap().to_owned(), auroc)
        })
        .collect()
}

/// A stopped comparison goes on, and ends as one that was not stopped.
#[test]
fn what_is_finished_is_not_done_again() {
    let test = CliTest::new();
    let input = fixture("hh-rlhf-helpful-737.parquet");
    let arguments = |out: &'static str, seeds: &'static str| {
        let fixed = [
            "compare",
            &input,
            "--pipeline",
            "quick",
            "--methods",
            "independent,random-drop",
            "--noise",
            "symmetric:0.2,length:0.1",
            "--seeds",
            seeds,
            "--out",
            out,
        ];
        fixed.map(str::to_owned)
    };
    let compare = |out, seeds| {
        let arguments = arguments(out, seeds);
        test.json(&arguments.each_ref().map(String::as_str))
    };
    let whole = compare("whole", "2");
    assert_eq!(whole["cells"].as_array().unwrap().len(), 8);
    compare("parts", "1");
    let cells = test.path("parts/cells.jsonl");
    // as if it had been killed while a line was written
    let torn = fs::read_to_string(&cells).unwrap() + "{\"key\":\"symm";
    fs::write(&cells, torn).unwrap();
    let parts = compare("parts", "2");
    assert_eq!(rows(&whole, 0), rows(&parts, 0));
    assert_eq!(rows(&whole, 1), rows(&parts, 1));
    assert_eq!(fs::read_to_string(&cells).unwrap().lines().count(), 8);
    for name in [
        "report.html",
        "report.md",
        "report.json",
        "plots/auroc-1.svg",
    ] {
        assert!(test.path("whole").join(name).exists(), "{name}");
    }
    let markdown = fs::read_to_string(test.path("whole/report.md")).unwrap();
    assert!(
        markdown.contains("random-drop") && markdown.contains("20.0% of labels swapped, symmetric")
    );
}

#[test]
fn what_cannot_be_compared_is_said() {
    let test = CliTest::new();
    fs::copy(
        fixture("hh-rlhf-helpful-737.parquet"),
        test.path("in.parquet"),
    )
    .unwrap();
    insta::assert_snapshot!(test.transcripts(&[
        &["compare", "in.parquet", "--noise", "symmetric"],
        &["compare", "in.parquet", "--gold", "gold_label"],
        &[
            "compare",
            "in.parquet",
            "--noise",
            "annotator:who:0.2",
            "--pipeline",
            "quick"
        ],
        &[
            "compare",
            "in.parquet",
            "--methods",
            "reward-gap",
            "--pipeline",
            "quick"
        ],
    ]));
    let unknown = test.transcript(&["compare", "in.parquet", "--methods", "crmm"]);
    assert!(
        unknown.contains("unknown method `crmm`: expected one of crm, "),
        "{unknown}"
    );
}

/// With known truth the data's own mistakes count, and every method but chance finds injected ones.
#[test]
fn known_labels_count() {
    let Some(data) = test_data("pandalm.parquet") else {
        return;
    };
    let test = CliTest::new();
    let comparison = test.json(&[
        "compare",
        &data,
        "--gold",
        "gold_label",
        "--pipeline",
        "quick",
        "--noise",
        "none,symmetric:0.3",
        "--seeds",
        "2",
    ]);
    assert_eq!(comparison["tables"][0]["decided"], 413.0);
    let true_rate = comparison["tables"][0]["true_rate"].as_f64().unwrap();
    assert!((0.02..0.05).contains(&true_rate), "{true_rate}");
    for (method, auroc) in rows(&comparison, 1) {
        if method == "random-drop" {
            assert!((0.35..0.65).contains(&auroc), "{method}: {auroc}");
        } else {
            assert!(auroc > 0.58, "{method}: {auroc}");
        }
    }
}
