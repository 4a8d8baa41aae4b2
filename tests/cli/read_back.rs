//! Written files in the hands of others: Python's `datasets` and `polars`.

use std::path::Path;

use crate::harness::{CliTest, fixture, python_with};

#[test]
fn datasets_and_polars_read_what_a_run_wrote() {
    let Some(mut python) = python_with("datasets, polars") else {
        return;
    };
    let test = CliTest::new();
    let input = fixture("shapes/prompt-strings.parquet");
    test.ok(&[
        "run",
        &input,
        "-o",
        "clean.parquet",
        "--pipeline",
        "quick",
        "--quiet",
    ]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/read_back.py");
    for input in [
        input,
        fixture("hh-rlhf-helpful-737.parquet"),
        fixture("shapes/lists-explicit.parquet"),
        fixture("shapes/defects-lists.parquet"),
    ] {
        test.ok(&[
            "run",
            &input,
            "-o",
            "clean.parquet",
            "--pipeline",
            "quick",
            "--quiet",
        ]);
        let output = python
            .env("HF_HOME", test.path("hub"))
            .env("HF_HUB_OFFLINE", "1")
            .arg(&script)
            .arg(&input)
            .args(
                [
                    "clean.parquet",
                    "clean.prefclean/removed.parquet",
                    "clean.prefclean/tags.parquet",
                ]
                .map(|f| test.path(f)),
            )
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{input}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        python = std::process::Command::new(python.get_program());
    }
}
