//! `prefclean doctor`.

use serde_json::Value;

use crate::harness::{CliTest, help};

#[test]
fn help_text() {
    insta::assert_snapshot!(help("doctor"));
}

#[test]
fn what_is_set_up_is_found() {
    let test = CliTest::new();
    let text = test.ok(&["doctor"]);
    assert!(text.contains("CPUExecutionProvider"), "{text}");
    assert!(
        text.ends_with("nothing keeps a run from starting\n"),
        "{text}"
    );
    let facts = test.json(&["doctor"]);
    assert_eq!(facts["schema_version"], 1);
    assert_eq!(facts["prefclean"], env!("CARGO_PKG_VERSION"));
    assert_eq!(facts["offline"], true);
    assert_eq!(facts["models"][0]["installed"], true);
}

#[test]
fn what_is_missing_is_a_finding_with_a_hint() {
    let test = CliTest::new();
    let output = test
        .command(&["doctor", "--json"])
        .env("PREFCLEAN_HOME", test.path("home"))
        .env_remove("ORT_DYLIB_PATH")
        .env_remove("VIRTUAL_ENV")
        .env_remove("CONDA_PREFIX")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = facts["problems"].as_array().unwrap();
    assert!(!problems.is_empty());
    assert!(problems.iter().all(|p| p["hint"].is_string()), "{facts:#}");
    assert!(!test.path("home").exists(), "looking makes no folder");
}
