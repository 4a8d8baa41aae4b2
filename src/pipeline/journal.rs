//! Finished work in a file of JSON lines, so that what was stopped goes on.
//!
//! Each line has the key of what it belongs to beside a record. Lines of another key stay in the file, and
//! do not count. A line that a killed run left unfinished is cut off; anything else that cannot be read is
//! an error, as work of hours would be done again in silence otherwise.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::PipelineError;

/// The records of one key, in memory and, where there is one, in a file.
#[derive(Debug)]
pub(super) struct Journal<T> {
    file: Option<(PathBuf, File)>,
    key: String,
    records: Vec<T>,
}

/// What every line has.
#[derive(Deserialize)]
struct Keyed {
    key: String,
}

#[derive(Serialize)]
struct Line<'a, T> {
    key: &'a str,
    #[serde(flatten)]
    record: &'a T,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Opens the file, which is made where there is none, and takes the records of this key from it; without
    /// a path, all is in memory alone.
    ///
    /// # Errors
    /// [`PipelineError::Folder`] if the file cannot be read or written, or holds anything else.
    pub(super) fn open(path: Option<&Path>, key: &str) -> Result<Self, PipelineError> {
        let mut journal = Self {
            file: None,
            key: key.to_owned(),
            records: Vec::new(),
        };
        let Some(path) = path else {
            return Ok(journal);
        };
        let failed = |source| PipelineError::Folder {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let held = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            held => held.map_err(failed)?,
        };
        let whole = held.iter().rposition(|&byte| byte == b'\n');
        let whole = whole.map_or(0, |last| last + 1);
        for (number, line) in held[..whole].split_inclusive(|&b| b == b'\n').enumerate() {
            let record = record(line, key).map_err(|error| {
                let why = error.to_string();
                // its line is that of the record, not that of the file
                let why = why.rsplit_once(" at line ").map_or(&*why, |(why, _)| why);
                let text = format!("line {} is no record: {why}", number + 1);
                failed(io::Error::new(io::ErrorKind::InvalidData, text))
            })?;
            journal.records.extend(record);
        }
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map_err(failed)?;
        if whole < held.len() {
            file.set_len(whole as u64).map_err(failed)?;
        }
        journal.file = Some((path.to_owned(), file));
        Ok(journal)
    }

    /// Adds a record, which is on the disk when this returns.
    ///
    /// # Errors
    /// [`PipelineError::Folder`] if it cannot be written.
    pub(super) fn push(&mut self, record: T) -> Result<(), PipelineError> {
        let line = Line {
            key: &self.key,
            record: &record,
        };
        let line = serde_json::to_string(&line).expect("numbers and names are JSON") + "\n";
        // so that work that goes on gives the very figures of work that was not stopped: a number that is
        // written and read again may not be the same in its last digit
        let record = serde_json::from_str(&line).unwrap_or(record);
        if let Some((path, file)) = &mut self.file {
            let written = file.write_all(line.as_bytes());
            written
                .and_then(|()| file.sync_data())
                .map_err(|source| PipelineError::Folder {
                    path: path.clone(),
                    source,
                })?;
        }
        self.records.push(record);
        Ok(())
    }

    /// All records of the key, in the order in which they were finished.
    pub(super) fn records(&self) -> &[T] {
        &self.records
    }
}

/// The record of a line, where it has this key.
fn record<T: DeserializeOwned>(line: &[u8], key: &str) -> Result<Option<T>, serde_json::Error> {
    let keyed: Keyed = serde_json::from_slice(line)?;
    (keyed.key == key)
        .then(|| serde_json::from_slice(line))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Done {
        name: String,
        share: f64,
    }

    fn done(name: &str) -> Done {
        Done {
            name: name.into(),
            share: 0.1 + 0.2,
        }
    }

    fn names(journal: &Journal<Done>) -> Vec<&str> {
        journal.records().iter().map(|r| r.name.as_str()).collect()
    }

    /// A journal with two records of the key `k`.
    fn written() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/done.jsonl");
        let mut journal = Journal::open(Some(&path), "k").unwrap();
        journal.push(done("one")).unwrap();
        journal.push(done("two")).unwrap();
        (folder, path)
    }

    #[test]
    fn what_was_finished_is_read_back_as_it_was_pushed() {
        let (_folder, path) = written();
        let mut again = Journal::open(Some(&path), "k").unwrap();
        assert_eq!(names(&again), ["one", "two"]);
        let mut kept = Journal::open(None, "k").unwrap();
        kept.push(done("one")).unwrap();
        assert_eq!(kept.records()[0], again.records()[0]);
        again.push(done("three")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.starts_with("{\"key\":\"k\",\"name\":\"one\","),
            "{text}"
        );
    }

    #[test]
    fn a_last_line_that_was_not_finished_is_cut_off() {
        let (_folder, path) = written();
        let whole = fs::read(&path).unwrap();
        // within a letter of two bytes, too
        for torn in [
            &b"{\"key\":\"k\",\"na"[..],
            b"{\"key\":\"k\",\"name\":\"\xc3",
        ] {
            fs::write(&path, [&whole, torn].concat()).unwrap();
            let journal = Journal::<Done>::open(Some(&path), "k").unwrap();
            assert_eq!(names(&journal), ["one", "two"]);
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
        let mut journal = Journal::open(Some(&path), "k").unwrap();
        journal.push(done("three")).unwrap();
        let journal = Journal::<Done>::open(Some(&path), "k").unwrap();
        assert_eq!(names(&journal), ["one", "two", "three"]);
    }

    #[test]
    fn another_key_starts_anew_and_leaves_the_lines_of_the_first() {
        let (_folder, path) = written();
        let mut other = Journal::open(Some(&path), "other").unwrap();
        assert_eq!(names(&other), [""; 0]);
        other.push(done("three")).unwrap();
        let first = Journal::<Done>::open(Some(&path), "k").unwrap();
        assert_eq!(names(&first), ["one", "two"]);
        let other = Journal::<Done>::open(Some(&path), "other").unwrap();
        assert_eq!(names(&other), ["three"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("done.jsonl");
        let error = |path: &Path| {
            let opened = Journal::<Done>::open(Some(path), "k");
            let error = anyhow::Error::from(opened.expect_err("not a journal"));
            let text = format!("{error:#}");
            assert!(text.contains("done.jsonl"), "{text}");
            text
        };
        fs::create_dir(&path).unwrap();
        error(&path);
        fs::remove_dir(&path).unwrap();
        let own = "{\"key\":\"k\",\"name\":\"one\",\"share\":0.5}\n";
        for (wrong, line) in [
            (
                "{\"key\":\"k\",\"name\":\"one\"}\n",
                "line 2 is no record: missing field `share`",
            ),
            (
                "{\"name\":\"one\",\"share\":0.5}\n",
                "line 2 is no record: missing field `key`",
            ),
            (
                "a letter to a friend\n",
                "line 2 is no record: expected value",
            ),
        ] {
            let text = format!("{own}{wrong}");
            fs::write(&path, &text).unwrap();
            let said = error(&path);
            assert!(said.contains(line), "{said}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::write(&path, b"\xff\xfe\n").unwrap();
        error(&path);
    }
}
