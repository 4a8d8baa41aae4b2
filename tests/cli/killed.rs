//! Runs that were killed: started again, they end with the same bytes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{CliTest, note, table, test_data, write};

const RUN: [&str; 7] = [
    "run",
    "in.parquet",
    "-o",
    "clean.parquet",
    "--pipeline",
    "quick",
    "--quiet",
];
/// The index entry of one encoded text.
const ENTRY_BYTES: u64 = 20;

fn prepared(test: CliTest, data: &str) -> CliTest {
    write(&test.path("in.parquet"), &table(data).slice(0, 200), 100);
    test
}

fn tags(test: &CliTest) -> Vec<u8> {
    fs::read(test.path("clean.prefclean/tags.parquet")).unwrap()
}

/// The only folder of cached features.
fn features(test: &CliTest) -> Option<PathBuf> {
    let entry = fs::read_dir(test.path("cache/features")).ok()?.next()?;
    Some(entry.ok()?.path())
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

#[test]
fn killed_while_encoding() {
    let Some(data) = test_data("pandalm.parquet") else {
        return;
    };
    let whole = prepared(CliTest::with_empty_cache(), &data);
    whole.ok(&RUN);
    let expected = tags(&whole);
    let cache = features(&whole).unwrap();

    let killed = prepared(CliTest::with_empty_cache(), &data);
    let begun = || features(&killed).is_some_and(|folder| length(&folder.join("features.f32")) > 0);
    if !killed.kill_when(&RUN, begun) {
        note("the run ended before it could be killed");
    }
    assert!(
        !killed.path("clean.parquet").exists(),
        "nothing half-written"
    );
    assert!(!killed.path("clean.prefclean/tags.parquet").exists());
    killed.ok(&RUN);
    assert!(tags(&killed) == expected, "other tags after a kill");

    // as left by a kill between two checkpoints: a third of the texts is whole,
    // and the others come in other batches than before
    let partial = prepared(CliTest::with_empty_cache(), &data);
    let folder = partial
        .path("cache/features")
        .join(cache.file_name().unwrap());
    fs::create_dir_all(&folder).unwrap();
    for name in ["index.bin", "features.f32"] {
        fs::copy(cache.join(name), folder.join(name)).unwrap();
    }
    let rows = length(&folder.join("index.bin")) / ENTRY_BYTES;
    let cut = |name: &str, bytes: u64| {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(folder.join(name))
            .unwrap();
        file.set_len(bytes).unwrap();
    };
    cut("index.bin", rows / 3 * ENTRY_BYTES + 5);
    cut("features.f32", length(&folder.join("features.f32")) / 2 + 3);
    partial.ok(&RUN);
    assert!(
        tags(&partial) == expected,
        "other tags from a partial cache"
    );
    assert_eq!(length(&folder.join("index.bin")), rows * ENTRY_BYTES);
}

#[test]
fn killed_while_training() {
    let Some(data) = test_data("pandalm.parquet") else {
        return;
    };
    // long enough to be hit
    let run = [&RUN[..], &["--epochs", "40"]].concat();
    let whole = prepared(CliTest::new(), &data);
    whole.ok(&run);
    let expected = tags(&whole);
    let killed = prepared(CliTest::new(), &data);
    for pass in ["first-pass-1-0", "second-pass-0-0", "second-pass-1-0"] {
        let state = killed
            .path("clean.prefclean/work")
            .join(format!("{pass}.safetensors"));
        if !killed.kill_when(&run, || state.exists()) {
            note(&format!("{pass}: the run ended before it could be killed"));
        }
        if let Ok(left) = fs::metadata(&state) {
            assert!(left.len() > 0, "a state is whole or not there");
        }
    }
    killed.ok(&run);
    assert!(tags(&killed) == expected, "other tags after kills");

    // other settings do not go on from what is there
    let other = [&run[..], &["--seed", "1"]].concat();
    killed.ok(&other);
    whole.ok(&[&other[..], &["--no-resume"]].concat());
    assert!(
        tags(&killed) == tags(&whole),
        "settings leak through the run directory"
    );
    assert!(tags(&killed) != expected);
}
