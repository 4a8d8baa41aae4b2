//! Structure of every face, hostile text, and pictures to look at.

use std::path::PathBuf;

use super::*;
use crate::progress::NoProgress;

#[test]
#[ignore = "writes reports to target/report-preview, to be looked at"]
fn previews() {
    for (name, report) in [
        ("can", Report::example()),
        ("cannot", Report::example_cannot_tell()),
        ("empty", Report::example_empty()),
        ("hostile", hostile()),
    ] {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("target/report-preview")
            .join(name);
        write(&dir, &report, &NoProgress).expect("a report");
        std::fs::write(
            dir.join("summary.txt"),
            summary(&report, TableStyle::default()),
        )
        .expect("a file");
    }
}

fn hostile() -> Report {
    Report::example()
}
