//! `prefclean run`.

use crate::harness::{CliTest, fixture, test_data};

#[test]
fn settings_are_printed_as_a_run_file() {
    let test = CliTest::new();
    let printed = test.ok(&[
        "run",
        "--show-config",
        "--fdr",
        "0.05",
        "--exchange",
        "self-review",
    ]);
    assert!(printed.contains("fdr = 0.05"));
    assert!(printed.contains("exchange = \"self-review\""));
    std::fs::write(test.path("mine.toml"), &printed).unwrap();
    assert_eq!(
        test.ok(&["run", "--show-config", "--pipeline", "mine.toml"]),
        printed
    );
}

#[test]
fn an_input_is_never_overwritten() {
    let test = CliTest::new();
    std::fs::copy(
        fixture("hh-rlhf-helpful-737.parquet"),
        test.path("in.parquet"),
    )
    .unwrap();
    let error = test.fails(&["run", "in.parquet", "-o", "./in.parquet"]);
    assert!(error.contains("in.parquet"), "{error}");
    assert!(!test.path("in.prefclean").exists());
}

/// A run ends with every file, every row accounted for, and a second one reads only the cache.
#[test]
fn every_row_is_kept_or_removed_with_a_reason() {
    let Some(data) = test_data("pandalm.parquet") else {
        return;
    };
    let test = CliTest::new();
    let printed = test.ok(&[
        "run",
        &data,
        "-o",
        "clean.parquet",
        "--pipeline",
        "quick",
        "--json",
    ]);
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let counts = &report["counts"];
    assert_eq!(report["dataset"]["rows"], 505);
    assert_eq!(
        counts["kept"].as_u64().unwrap() + counts["removed"].as_u64().unwrap(),
        505
    );
    assert_eq!(counts["unusable"], 31);
    for file in [
        "report.html",
        "report.md",
        "report.json",
        "tags.parquet",
        "dynamics.parquet",
        "planted.parquet",
        "removed.parquet",
        "review.csv",
        "manifest.json",
        "plots/loss-trajectories.svg",
        "plots/loss-trajectories.png",
    ] {
        assert!(test.path("clean.prefclean").join(file).exists(), "{file}");
    }
}
