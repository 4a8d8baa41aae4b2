//! Candidates are compared on their texts, of which only some are in memory at a time.

use std::collections::HashSet;

use rayon::prelude::*;

use super::Candidate;

/// A candidate that was found to be similar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similar<S> {
    /// The two rows.
    pub pair: Candidate,
    /// How similar they are.
    pub similarity: S,
}

/// What [`verify`] compares, and how much of it at a time.
pub struct Compared<'a> {
    /// Pairs of rows, ascending.
    pub candidates: &'a [Candidate],
    /// Bytes that texts of one round may take; two rows are read together in any case.
    pub memory_bytes: usize,
    /// About how many bytes the text of a row takes once read.
    pub bytes_of: &'a dyn Fn(u32) -> usize,
}

/// Reads the rows of candidates (`read` gets them ascending, gives one item each in the same
/// order; it is called as often as memory demands) and keeps those for which `similarity`
/// gives a value. In the order of the candidates.
///
/// # Errors
/// Those of `read`.
pub fn verify<T: Sync, S: Send, E>(
    compared: &Compared,
    mut read: impl FnMut(&[u32]) -> Result<Vec<T>, E>,
    similarity: impl Fn(&T, &T) -> Option<S> + Sync,
) -> Result<Vec<Similar<S>>, E> {
    let mut similar = Vec::new();
    let mut rest = compared.candidates;
    while !rest.is_empty() {
        let (round, rows) = round(rest, compared);
        let texts = read(&rows)?;
        let of = |row| &texts[rows.binary_search(&row).expect("rows of the round")];
        similar.par_extend(rest[..round].par_iter().filter_map(|&pair| {
            similarity(of(pair.a), of(pair.b)).map(|similarity| Similar { pair, similarity })
        }));
        rest = &rest[round..];
    }
    Ok(similar)
}

/// How many of the next candidates fit into memory, and the rows they need, ascending.
fn round(candidates: &[Candidate], compared: &Compared) -> (usize, Vec<u32>) {
    let mut rows = HashSet::new();
    let mut bytes = 0_usize;
    let mut taken = 0;
    for pair in candidates {
        let new = [pair.a, pair.b]
            .into_iter()
            .filter(|row| !rows.contains(row));
        let more: usize = new.map(|row| (compared.bytes_of)(row)).sum();
        if taken > 0 && bytes.saturating_add(more) > compared.memory_bytes {
            break;
        }
        bytes = bytes.saturating_add(more);
        rows.extend([pair.a, pair.b]);
        taken += 1;
    }
    let mut rows: Vec<u32> = rows.into_iter().collect();
    rows.sort_unstable();
    (taken, rows)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn texts_are_read_in_rounds_that_fit_into_memory() {
        let candidates: Vec<Candidate> = (0..50)
            .flat_map(|a| [1, 7].map(|step| Candidate { a, b: a + step }))
            .collect();
        let run = |memory_bytes| {
            let compared = Compared {
                candidates: &candidates,
                memory_bytes,
                bytes_of: &|_| 10,
            };
            let mut rounds = 0;
            let read = |rows: &[u32]| -> Result<Vec<u32>, Infallible> {
                rounds += 1;
                assert!(rows.is_sorted());
                assert!(rows.len() * 10 <= memory_bytes.max(20));
                Ok(rows.to_vec())
            };
            let similar = verify(&compared, read, |a, b| (a % 3 == b % 3).then_some(b - a));
            (similar.expect("infallible"), rounds)
        };
        let (at_once, rounds) = run(1 << 20);
        assert_eq!(rounds, 1);
        assert_eq!(at_once.len(), 0);
        let (in_parts, rounds) = run(100);
        assert!(rounds > 5);
        assert_eq!(in_parts, at_once);
        assert_eq!(run(0).0, at_once);
    }
}
