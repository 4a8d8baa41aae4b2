//! `prefclean setup`.

use crate::harness::{CliTest, help};

#[test]
fn help_text() {
    insta::assert_snapshot!(help("setup"));
}

#[test]
fn a_second_time_fetches_nothing() {
    let test = CliTest::new();
    let found = test.json(&["setup"]); // offline: it would fail if anything were missing
    assert_eq!(found["schema_version"], 1);
    assert_eq!(found["runtime"]["fetched"], false);
    assert_eq!(found["model"]["fetched"], false);
    assert_eq!(test.ok(&["setup", "--quiet"]), "");
    assert!(
        test.ok(&["setup", "--check"])
            .ends_with("all hashes agree\n")
    );
}

#[test]
fn what_cannot_be_set_up() {
    let test = CliTest::new();
    std::fs::create_dir(test.path("folder")).unwrap();
    std::fs::write(test.path("libonnxruntime.so"), "not a library").unwrap();
    let errors = test.transcripts(&[
        &["setup", "--backbone", "bert"],
        &["setup", "--backbone", "./folder"],
        &["setup", "--ort-lib", "missing.so"],
    ]);
    insta::assert_snapshot!(errors);
    let broken = test.transcript(&["setup", "--ort-lib", "libonnxruntime.so"]);
    assert!(
        broken.contains("error: ") && broken.ends_with("[exit 2]\n\n"),
        "{broken}"
    );
}
