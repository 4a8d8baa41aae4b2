//! `prefclean report`: the report of a finished run, built again.

use serde_json::Value;

use crate::harness::{CliTest, fixture, help};

#[test]
fn help_text() {
    insta::assert_snapshot!(help("report"));
}

/// What differs between two reports of one run.
fn without_times(mut report: Value) -> Value {
    report["created"] = Value::Null;
    for timing in report["timings"].as_array_mut().unwrap() {
        timing["seconds"] = Value::Null;
    }
    report
}

#[test]
fn a_rebuilt_report_says_the_same() {
    let test = CliTest::new();
    let input = fixture("hh-rlhf-helpful-737.parquet");
    let run = test.json(&["run", &input, "-o", "clean.parquet", "--pipeline", "quick"]);
    let read = |name: &str| std::fs::read(test.path("clean.prefclean").join(name)).unwrap();
    let kept = [
        "tags.parquet",
        "dynamics.parquet",
        "planted.parquet",
        "removed.parquet",
        "review.csv",
    ];
    let before = kept.map(read);
    std::fs::remove_file(test.path("clean.prefclean/report.json")).unwrap();
    std::fs::remove_dir_all(test.path("clean.prefclean/plots")).unwrap();
    let again = test.json(&["report", "clean.prefclean"]);
    let (run, again) = (without_times(run), without_times(again));
    for (key, value) in run.as_object().unwrap() {
        assert_eq!(again[key], *value, "`{key}`");
    }
    for (name, bytes) in kept.iter().zip(before) {
        assert_eq!(read(name), bytes, "{name}");
    }
    assert!(test.path("clean.prefclean/report.json").is_file());
    assert!(test.path("clean.prefclean/plots/data-map.svg").is_file());
}
