//! Structure of every face, hostile text, and pictures to look at.

use std::path::PathBuf;

use super::model::Report;
use super::plots::Plot;

/// Where [`previews`] go.
fn preview_dir() -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/report-preview");
    std::fs::create_dir_all(&dir).expect("a folder for previews");
    dir
}

#[test]
#[ignore = "writes pictures to target/report-preview, to be looked at"]
fn previews() {
    for (name, report) in [
        ("can", Report::example()),
        ("cannot", Report::example_cannot_tell()),
        ("empty", Report::example_empty()),
    ] {
        let dir = preview_dir().join(name);
        std::fs::create_dir_all(&dir).expect("a folder");
        for plot in Plot::of(&report) {
            plot.png(&report, &dir.join(format!("{}.png", plot.name())))
                .expect("a picture");
            std::fs::write(
                dir.join(format!("{}.svg", plot.name())),
                plot.svg(&report).expect("a picture"),
            )
            .expect("a file");
        }
    }
}
