//! Which libraries an ELF library asks for, read without loading it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// More than any library has; a broken file must not decide how much is read.
const MAX_SEGMENTS: u16 = 512;
const MAX_DYNAMIC: u64 = 1 << 20;
const MAX_NAME: u64 = 256;

const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const NEEDED: u64 = 1;
const STRING_TABLE: u64 = 5;

/// The sonames in the `NEEDED` entries of a 64-bit little-endian ELF file, in their order.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] for a file that is none or is broken.
///
/// # Source
/// System V Application Binary Interface, chapters 4 and 5.
pub(super) fn needed(path: &Path) -> io::Result<Vec<String>> {
    read(&mut File::open(path)?)
}

fn read(file: &mut (impl Read + Seek)) -> io::Result<Vec<String>> {
    let header = bytes(file, 0, 64)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return Err(broken("no 64-bit little-endian ELF file"));
    }
    let (offset, size, count) = (
        u64_at(&header, 32),
        u16_at(&header, 54),
        u16_at(&header, 56),
    );
    if size != 56 || count > MAX_SEGMENTS {
        return Err(broken("no readable program headers"));
    }
    let headers = bytes(file, offset, 56 * u64::from(count))?;
    let mut loads = Vec::new();
    let mut dynamic = None;
    for header in headers.chunks_exact(56) {
        let [offset, address, length] = [8, 16, 32].map(|at| u64_at(header, at));
        match u32_at(header, 0) {
            LOAD => loads.push((offset, address, length)),
            DYNAMIC => dynamic = Some((offset, length)),
            _ => {}
        }
    }
    let Some((offset, length)) = dynamic else {
        return Ok(Vec::new());
    };
    if length > MAX_DYNAMIC {
        return Err(broken("a dynamic section of impossible size"));
    }
    let entries = bytes(file, offset, length)?;
    let entries: Vec<_> = entries
        .chunks_exact(16)
        .map(|entry| (u64_at(entry, 0), u64_at(entry, 8)))
        .take_while(|(tag, _)| *tag != 0)
        .collect();
    let table = entries.iter().find(|(tag, _)| *tag == STRING_TABLE);
    let table = table.and_then(|&(_, address)| {
        let segment = loads
            .iter()
            .find(|(_, start, length)| address.checked_sub(*start).is_some_and(|at| at < *length));
        let (offset, start, _) = segment?;
        offset.checked_add(address - start)
    });
    let table = table.ok_or_else(|| broken("a dynamic section without names"))?;
    let names = entries.iter().filter(|(tag, _)| *tag == NEEDED);
    names
        .map(|&(_, at)| name(file, table.checked_add(at)))
        .collect()
}

fn name(file: &mut (impl Read + Seek), at: Option<u64>) -> io::Result<String> {
    file.seek(SeekFrom::Start(
        at.ok_or_else(|| broken("a name out of range"))?,
    ))?;
    let mut text = Vec::new();
    file.take(MAX_NAME).read_to_end(&mut text)?;
    let end = text.iter().position(|byte| *byte == 0);
    text.truncate(end.ok_or_else(|| broken("a name without end"))?);
    String::from_utf8(text).map_err(|_| broken("a name that is no text"))
}

/// `length` is checked by the caller.
fn bytes(file: &mut (impl Read + Seek), offset: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut read = Vec::new();
    file.take(length).read_to_end(&mut read)?;
    if read.len() as u64 == length {
        Ok(read)
    } else {
        Err(broken("a file that is cut off"))
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(field(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(bytes, at))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(field(bytes, at))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let field = bytes[at..].first_chunk();
    *field.expect("records are read whole before their fields")
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// An ELF file that asks for these libraries, and nothing else.
#[cfg(test)]
pub(super) fn asking_for(names: &[&str]) -> Vec<u8> {
    let (headers, dynamic) = (64_u64, 64 + 2 * 56_u64);
    let table = dynamic + 16 * (names.len() as u64 + 2);
    let mut strings = vec![0];
    let mut entries = Vec::new();
    for name in names {
        entries.push((NEEDED, strings.len() as u64));
        strings.extend(name.bytes().chain([0]));
    }
    // addresses are 4096 above offsets, as in a real file
    entries.extend([(STRING_TABLE, table + 4096), (0, 0)]);
    let end = table + strings.len() as u64;

    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(32, 0);
    file.extend(headers.to_le_bytes());
    file.resize(54, 0);
    file.extend([56, 0, 2, 0]);
    file.resize(64, 0);
    for (kind, offset, length) in [(LOAD, 0, end), (DYNAMIC, dynamic, table - dynamic)] {
        file.extend(u64::from(kind).to_le_bytes());
        for field in [offset, offset + 4096, 0, length, length, 0] {
            file.extend(u64::to_le_bytes(field));
        }
    }
    for (tag, value) in entries {
        file.extend(u64::to_le_bytes(tag));
        file.extend(u64::to_le_bytes(value));
    }
    file.extend(strings);
    file
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn names_come_in_order() {
        let file = asking_for(&["libcudart.so.13", "libc.so.6"]);
        let names = read(&mut Cursor::new(file)).expect("a whole file");
        assert_eq!(names, ["libcudart.so.13", "libc.so.6"]);
        assert!(
            read(&mut Cursor::new(asking_for(&[])))
                .expect("a whole file")
                .is_empty()
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_executable_asks_for_libc() {
        let path = std::env::current_exe().expect("this test's executable");
        let names = needed(&path).expect("an ELF file");
        assert!(
            names.iter().any(|name| name.starts_with("libc.")),
            "{names:?}"
        );
    }

    #[test]
    fn broken_files_are_errors() {
        let whole = asking_for(&["libcudart.so.13", "libcublas.so.13"]);
        for length in 0..whole.len() {
            let error = read(&mut Cursor::new(&whole[..length])).expect_err("cut off");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{length}");
        }
        // any byte may be wrong: an error or other names, never a panic
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                let _ = read(&mut Cursor::new(damaged));
            }
        }
    }
}
