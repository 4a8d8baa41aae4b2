//! Columns of band hashes that move to a temporary file when they outgrow their memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Mutex;

/// One column a band, equally long; appended row by row, read back column by column.
#[derive(Debug)]
pub(super) struct BandColumns {
    tail: Vec<Vec<u32>>,
    /// Rows that the tail holds before it is written out.
    tail_rows: usize,
    spilled: Option<Mutex<Spilled>>,
}

#[derive(Debug)]
struct Spilled {
    file: File,
    /// Rows of each segment; a segment holds its part of every column, one after the other.
    segments: Vec<usize>,
}

impl BandColumns {
    /// Columns that hold at most about `memory_bytes` in memory.
    pub(super) fn new(bands: usize, memory_bytes: usize) -> Self {
        Self {
            tail: vec![Vec::new(); bands],
            tail_rows: (memory_bytes / (4 * bands.max(1))).max(1024),
            spilled: None,
        }
    }

    pub(super) fn push(&mut self, bands: &[u32]) -> io::Result<()> {
        for (column, &hash) in self.tail.iter_mut().zip(bands) {
            column.push(hash);
        }
        if self.tail[0].len() >= self.tail_rows {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        let spilled = match &mut self.spilled {
            Some(spilled) => spilled,
            none => none.insert(Mutex::new(Spilled {
                // without a name: gone when closed, however the program ends
                file: tempfile::tempfile()?,
                segments: Vec::new(),
            })),
        };
        let spilled = spilled.get_mut().unwrap_or_else(|e| e.into_inner());
        let mut bytes = Vec::with_capacity(4 * self.tail[0].len());
        for column in &mut self.tail {
            bytes.clear();
            bytes.extend(column.iter().flat_map(|hash| hash.to_le_bytes()));
            spilled.file.write_all(&bytes)?;
        }
        spilled.segments.push(self.tail[0].len());
        self.tail.iter_mut().for_each(Vec::clear);
        Ok(())
    }

    /// Whether any part is on disk.
    pub(super) fn is_spilled(&self) -> bool {
        self.spilled.is_some()
    }

    /// The column of a band.
    pub(super) fn column(&self, band: usize) -> io::Result<Vec<u32>> {
        let mut column = Vec::new();
        if let Some(spilled) = &self.spilled {
            let mut spilled = spilled
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let Spilled { file, segments } = &mut *spilled;
            let mut start = 0;
            for &rows in &*segments {
                let mut bytes = vec![0; 4 * rows];
                file.seek(SeekFrom::Start(start + (4 * rows * band) as u64))?;
                file.read_exact(&mut bytes)?;
                column.extend(bytes.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)));
                start += (4 * rows * self.tail.len()) as u64;
            }
            // the next segment is written behind the last
            file.seek(SeekFrom::Start(start))?;
        }
        column.extend_from_slice(&self.tail[band]);
        Ok(column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_the_same_from_memory_and_from_disk() {
        let row = |i: u32| [i, i.wrapping_mul(7), !i];
        let mut kept = BandColumns::new(3, 1 << 20);
        let mut spilled = BandColumns::new(3, 0);
        for i in 0..5000 {
            kept.push(&row(i)).expect("pushed");
            spilled.push(&row(i)).expect("written");
            if i == 3000 {
                spilled.column(1).expect("read between writes");
            }
        }
        assert!(spilled.is_spilled() && !kept.is_spilled());
        for band in 0..3 {
            let column = spilled.column(band).expect("read");
            assert_eq!(column.len(), 5000);
            assert_eq!(column, kept.column(band).expect("kept"));
        }
    }
}
