//! `prefclean evaluate`, on real labels with known noise on top.

use serde_json::Value;

use crate::harness::{CliTest, help, python_with, test_data};

#[test]
fn help_text() {
    insta::assert_snapshot!(help("evaluate"));
}

fn auroc(evaluation: &Value) -> f64 {
    evaluation["evaluation"]["auroc"]["value"].as_f64().unwrap()
}

/// A floor far below what the method reaches, so that only a broken one falls through.
#[test]
fn injected_noise_is_found_in_ukpconvarg1() {
    let Some(data) = test_data("ukpconvarg1.parquet") else {
        return;
    };
    let test = CliTest::new();
    test.ok(&[
        "inject",
        &data,
        "-o",
        "noisy.parquet",
        "--truth",
        "truth.parquet",
        "--rate",
        "0.2",
    ]);
    let report = test.json(&[
        "run",
        "noisy.parquet",
        "--run-dir",
        "run",
        "--pipeline",
        "quick",
    ]);
    assert_eq!(report["verdict"]["kind"], "can_tell");
    let evaluate = [
        "evaluate",
        "run",
        "--gold",
        "ref_class",
        "--injected",
        "truth.parquet",
    ];
    let figures = test.json(&evaluate);
    assert!(auroc(&figures) > 0.93, "AUROC {}", auroc(&figures));
    assert_eq!(figures["evaluation"]["pairs"], 8491);

    // the same from the file, and in words
    let from_file = test.json(&[&["evaluate", "run/tags.parquet"], &evaluate[2..]].concat());
    assert_eq!(from_file["evaluation"], figures["evaluation"]);
    let text = test.ok(&evaluate);
    assert!(text.contains(&format!("{:.3}", auroc(&figures))), "{text}");

    let Some(mut python) = python_with("sklearn, pyarrow") else {
        return;
    };
    let script =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/evaluate.py");
    let output = python
        .arg(script)
        .args([
            data.into(),
            test.path("truth.parquet"),
            test.path("run/tags.parquet"),
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let reference: Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in ["auroc", "average_precision"] {
        let (own, other) = (&figures["evaluation"][key]["value"], &reference[key]);
        let difference = own.as_f64().unwrap() - other.as_f64().unwrap();
        assert!(difference.abs() < 1e-9, "{key}: {own} is not {other}");
    }
}
