//! What the tests of several modules share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};

use super::{PairRow, PairSource, ReadOptions};

/// A committed fixture.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// The larger real data, or `None` with a message where it is not.
#[expect(clippy::print_stderr, reason = "says which tests did not run")]
pub(crate) fn real_data() -> Option<PathBuf> {
    let folder = std::env::var_os("PREFCLEAN_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    if folder.join("hh-rlhf-5k.parquet").is_file() {
        return Some(folder);
    }
    eprintln!(
        "skipped: no test data in {} (set PREFCLEAN_TEST_DATA)",
        folder.display()
    );
    None
}

pub(crate) fn open(path: impl AsRef<Path>) -> PairSource {
    PairSource::open(&[path], &ReadOptions::default()).expect("opens")
}

pub(crate) fn rows(source: &PairSource) -> Vec<PairRow> {
    let pairs = source.pairs().expect("columns are there");
    pairs.collect::<Result<_, _>>().expect("rows can be read")
}

/// A Parquet file of text columns with row groups of `group` rows.
pub(crate) fn write_texts(path: &Path, columns: &[(&str, Vec<Option<&str>>)], group: usize) {
    let batch = texts(columns);
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .build();
    let file = std::fs::File::create(path).expect("created");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("made");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
}

pub(crate) fn texts(columns: &[(&str, Vec<Option<&str>>)]) -> RecordBatch {
    let columns = columns.iter().map(|(name, values)| {
        let array: ArrayRef = Arc::new(StringArray::from(values.clone()));
        (*name, array, true)
    });
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}
