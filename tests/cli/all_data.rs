//! Every file of the larger test data, whatever it is.

use std::time::Instant;

use crate::harness::{CliTest, note, test_data_folder};

#[test]
#[ignore = "encodes all of the test data: minutes"]
fn every_file_is_cleaned_or_refused_with_a_reason() {
    let folder = test_data_folder();
    let Ok(entries) = std::fs::read_dir(&folder) else {
        note(&format!("skipped: {} is not there", folder.display()));
        return;
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let test = CliTest::new();
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|e| e == "parquet"))
    {
        let start = Instant::now();
        let input = file.display().to_string();
        let output = test.run(&[
            "run",
            &input,
            "-o",
            "clean.parquet",
            "--pipeline",
            "quick",
            "--json",
        ]);
        let error = String::from_utf8_lossy(&output.stderr);
        let name = file.file_name().unwrap().to_string_lossy();
        let seconds = start.elapsed().as_secs();
        match output.status.code() {
            Some(0) => {
                let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                let counts = &report["counts"];
                assert_eq!(
                    counts["kept"].as_u64().unwrap() + counts["removed"].as_u64().unwrap(),
                    report["dataset"]["rows"].as_u64().unwrap(),
                    "{name}"
                );
                note(&format!(
                    "{name}: {seconds} s, {}, {counts}",
                    report["verdict"]["kind"]
                ));
            }
            Some(2) => {
                assert!(error.starts_with("error: "), "{name}: {error}");
                note(&format!("{name}: refused: {error}"));
            }
            _ => panic!("{name}: {error}"),
        }
    }
}
