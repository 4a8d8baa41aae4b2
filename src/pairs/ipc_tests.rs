use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::ipc::writer::{FileWriter, StreamWriter};

use super::super::testing::{fixture, open as open_source, rows};
use super::super::{PairSource, ReadOptions};
use super::*;

fn refused(path: &Path) -> PairsError {
    PairSource::open(&[path], &ReadOptions::default()).expect_err("refused")
}

fn batch(n_rows: usize) -> RecordBatch {
    let column = |name: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            (0..n_rows).map(|row| format!("{name} {row}")),
        ))
    };
    let columns = ["prompt", "chosen", "rejected"].map(|name| (name, column(name)));
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

#[test]
fn streams_and_files_are_cut_into_batches() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (stream, file) = (folder.path().join("a.arrow"), folder.path().join("b.ipc"));
    let all = batch(10);
    let mut writer = StreamWriter::try_new(File::create(&stream).expect("made"), &all.schema())
        .expect("a writer");
    writer.write(&all).expect("written");
    writer.write(&all.slice(0, 0)).expect("written");
    writer.write(&all).expect("written");
    drop(writer); // without the mark at the end of the stream
    let mut writer =
        FileWriter::try_new(File::create(&file).expect("made"), &all.schema()).expect("a writer");
    writer.write(&all).expect("written");
    writer.write(&all).expect("written");
    writer.finish().expect("written");
    for path in [&stream, &file] {
        let options = ReadOptions {
            batch_rows: 4,
            ..ReadOptions::default()
        };
        let source = PairSource::open(&[path], &options).expect("opens");
        assert_eq!(source.rows(), 20);
        let batches: Vec<_> = source.batches().collect::<Result<_>>().expect("reads");
        assert!(batches.iter().all(|batch| batch.batch.num_rows() <= 4));
        assert_eq!(rows(&source)[17].pair, rows(&source)[7].pair);
    }
}

#[test]
fn the_hubs_saved_folders_are_read_without_its_caches() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for name in ["data-00000-of-00001.arrow", "cache-0123.arrow"] {
        let to = folder.path().join("train").join(name);
        fs::create_dir_all(to.parent().expect("has a parent")).expect("made");
        fs::copy(fixture("shapes/prompt-strings.arrow"), to).expect("copied");
    }
    for name in [
        "dataset_dict.json",
        "train/dataset_info.json",
        "train/state.json",
    ] {
        fs::write(folder.path().join(name), "{}").expect("written");
    }
    let source = open_source(folder.path());
    assert_eq!((source.inputs().len(), source.rows()), (1, 6));
}

#[test]
fn damaged_files_are_errors_whatever_the_damage() {
    const STREAM: &str = "prompt-strings.arrow";
    let folder = tempfile::tempdir().expect("temporary folder");
    for name in [STREAM, "prompt-strings.feather"] {
        let whole = fs::read(fixture("shapes").join(name)).expect("read");
        let path = folder.path().join("a.arrow");
        for keep in (0..whole.len()).step_by(37) {
            fs::write(&path, &whole[..keep]).expect("written");
            let opened = PairSource::open(&[&path], &ReadOptions::default());
            match opened {
                Err(error) => assert!(error.to_string().contains("a.arrow"), "{error}"),
                // a stream may end behind any batch
                Ok(source) => assert!(name == STREAM && source.rows() < 6),
            }
        }
        // every byte once with all its bits turned: an error, or other rows
        for at in (0..whole.len()).step_by(3) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            fs::write(&path, &damaged).expect("written");
            if let Ok(source) = PairSource::open(&[&path], &ReadOptions::default())
                && let Ok(pairs) = source.pairs()
            {
                pairs.for_each(drop);
            }
        }
    }
    fs::write(folder.path().join("b.feather"), b"FEA1....").expect("written");
    let error = refused(&folder.path().join("b.feather"));
    assert!(matches!(error, PairsError::NotArrow { .. }), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("version 2")));
}
