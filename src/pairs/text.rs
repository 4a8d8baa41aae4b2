//! Text files as streams: decompressed, without a byte order mark, and checked to be UTF-8
//! as far as their first bytes tell.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::inputs::Compression;
use super::{PairsError, Result};

/// A text file's bytes.
pub(super) type Text = BufReader<Box<dyn Read + Send>>;

/// Bytes read at a time.
const BUFFER_BYTES: usize = 1 << 16;

/// Opens a file for reading its text, without a byte order mark.
pub(super) fn open(path: &Path, compression: Compression) -> Result<Text> {
    let read = |source| PairsError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(read)?;
    let inner: Box<dyn Read + Send> = match compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        Compression::Zstd => Box::new(zstd::Decoder::new(file).map_err(read)?),
    };
    let mut text = buffered(inner);
    let head = text.fill_buf().map_err(read)?;
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Err(PairsError::NotUtf8 {
            path: path.to_owned(),
            line: 1,
        });
    }
    if head.starts_with(b"\xef\xbb\xbf") {
        text.consume(3);
    }
    Ok(text)
}

fn buffered(inner: Box<dyn Read + Send>) -> Text {
    BufReader::with_capacity(BUFFER_BYTES, inner)
}

/// As [`open`], and where the text is one JSON array its elements come as lines.
/// Says whether they do.
pub(super) fn open_json(path: &Path, compression: Compression) -> Result<(Text, bool)> {
    let mut text = open(path, compression)?;
    let head = text.fill_buf().map_err(|source| PairsError::Read {
        path: path.to_owned(),
        source,
    })?;
    let is_array = head.trim_ascii_start().starts_with(b"[");
    if is_array {
        text = buffered(Box::new(ArrayLines::new(text)));
    }
    Ok((text, is_array))
}

/// The elements of one JSON array, each on a line of its own.
///
/// Only the array itself is looked at; whoever parses the lines finds what is wrong in them.
struct ArrayLines<R> {
    inner: R,
    state: ArrayState,
}

/// Where in the array the next byte is.
#[derive(Default)]
struct ArrayState {
    /// Brackets open inside the array; `None` before it begins.
    depth: Option<usize>,
    in_string: bool,
    escaped: bool,
    closed: bool,
}

impl<R: BufRead> ArrayLines<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            state: ArrayState::default(),
        }
    }
}

impl ArrayState {
    /// What becomes of a byte.
    fn turn(&mut self, byte: u8) -> io::Result<Option<u8>> {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Ok(Some(byte));
        }
        let is_space = byte.is_ascii_whitespace();
        let Some(depth) = self.depth else {
            if byte == b'[' {
                self.depth = Some(0);
            }
            return Ok(None);
        };
        if self.closed {
            if is_space {
                return Ok(None);
            }
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "there is text after the end of the JSON array",
            ));
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth = Some(depth + 1),
            b']' if depth == 0 => {
                self.closed = true;
                return Ok(None);
            }
            b'}' | b']' => self.depth = Some(depth.saturating_sub(1)),
            b',' if depth == 0 => return Ok(Some(b'\n')),
            // a line break between values would end the line
            _ if is_space => return Ok(Some(b' ')),
            _ => {}
        }
        Ok(Some(byte))
    }
}

impl<R: BufRead> Read for ArrayLines<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        while written == 0 && !out.is_empty() {
            let n = self.inner.fill_buf()?.len().min(out.len());
            if n == 0 {
                if self.state.closed {
                    return Ok(0);
                }
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the JSON array is not closed: the file is cut off",
                ));
            }
            for &byte in &self.inner.fill_buf()?[..n] {
                if let Some(byte) = self.state.turn(byte)? {
                    out[written] = byte;
                    written += 1;
                }
            }
            self.inner.consume(n);
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(array: &str) -> io::Result<String> {
        let mut out = String::new();
        ArrayLines::new(array.as_bytes()).read_to_string(&mut out)?;
        Ok(out)
    }

    #[test]
    fn elements_become_lines() {
        let found = lines(" [{\"a\": \"x, [\\\"\"},\n {\n\"b\": [1, 2]}\n]\n").expect("an array");
        let found: Vec<&str> = found.lines().map(str::trim).collect();
        assert_eq!(found, ["{\"a\": \"x, [\\\"\"}", "{ \"b\": [1, 2]}"]);
        assert_eq!(lines("[]").expect("an array"), "");
    }

    #[test]
    fn a_cut_off_array_and_trailing_text_are_errors() {
        for bad in ["[{\"a\": 1}", "[", "[{}] {}", "[\"x"] {
            assert!(lines(bad).is_err(), "{bad}");
        }
    }
}
