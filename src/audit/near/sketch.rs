//! Sketches of sets: minima of hash functions, cut into bands.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Banding, NearError, NearOptions};

/// Hash functions that are computed side by side: eight registers of AVX2 hold their
/// minima, factors and offsets.
const LANES: usize = 32;

/// Functions that put a bit each into [`Sketch::bits`].
const BITS: usize = 128;

/// What an index keeps of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch {
    /// A hash of each band's minima.
    pub bands: Box<[u32]>,
    /// A bit of each of the first 128 minima: texts of similarity `s` agree in a
    /// share of about `(1 + s) / 2`.
    pub bits: u128,
    /// Shingles hashed, repeats included: how large the set can be.
    pub shingles: u32,
}

/// Minima of a set under all hash functions; those of a union are the least of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minima {
    values: Box<[u32]>,
    shingles: u32,
}

/// The hash functions `h(x) = a * x + b mod 2^32`, `a` odd, over the upper half of a
/// shingle's hash.
///
/// Multiply-add without a prime modulus vectorises; the least value is decided by the upper
/// bits, which are the well mixed ones, and `x` is a mixed hash itself. The law test of this
/// folder holds the share of equal minima to the true Jaccard similarity.
#[derive(Debug, Clone)]
pub struct Sketcher {
    banding: Banding,
    permutations: usize,
    factors: Vec<u32>,
    offsets: Vec<u32>,
}

impl Sketcher {
    /// Draws the hash functions and chooses the banding.
    ///
    /// # Errors
    /// If an option is out of its range.
    pub fn new(options: &NearOptions) -> Result<Self, NearError> {
        let options = options.validate()?;
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let lanes = options.permutations.next_multiple_of(LANES);
        Ok(Self {
            banding: Banding::choose(&options),
            permutations: options.permutations,
            factors: (0..lanes).map(|_| rng.random::<u32>() | 1).collect(),
            offsets: (0..lanes).map(|_| rng.random()).collect(),
        })
    }

    /// How sketches are cut.
    #[must_use]
    pub fn banding(&self) -> Banding {
        self.banding
    }

    /// Minima over shingles, which may repeat.
    #[must_use]
    pub fn minima(&self, shingles: &[u64]) -> Minima {
        let mut values = vec![u32::MAX; self.factors.len()].into_boxed_slice();
        minima(&self.factors, &self.offsets, shingles, &mut values);
        Minima {
            values,
            shingles: u32::try_from(shingles.len()).unwrap_or(u32::MAX),
        }
    }

    /// The sketch of a set by its minima; `None` for the empty set, which is like no other.
    #[must_use]
    pub fn sketch(&self, minima: &Minima) -> Option<Sketch> {
        if minima.shingles == 0 {
            return None;
        }
        let bands = minima.values[..self.permutations]
            .chunks_exact(self.banding.rows)
            .take(self.banding.bands)
            .map(|band| {
                let hash = band.iter().fold(0x9e37_79b9_7f4a_7c15_u64, |hash, &value| {
                    (hash.rotate_left(17) ^ u64::from(value)).wrapping_mul(0xd6e8_feb8_6659_fd93)
                });
                u32::try_from((hash ^ (hash >> 29)) >> 32).expect("32 bits are left")
            })
            .collect();
        let bits = minima.values[..self.permutations.min(BITS)]
            .iter()
            // the lowest bit of `a * x + b` is that of x: take one that all bits decide
            .fold(0_u128, |bits, &value| {
                bits << 1 | u128::from(value.wrapping_mul(0x9e37_79b1) >> 31)
            });
        Some(Sketch {
            bands,
            bits,
            shingles: minima.shingles,
        })
    }

    /// Least share of equal bits that keeps a candidate: four standard deviations below what
    /// texts at the threshold agree in, so that fewer than 1 of 30,000 of them is lost.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most 128 bits"
    )]
    pub fn least_equal_bits(&self, threshold: f64) -> u32 {
        let n = self.permutations.min(BITS) as f64;
        let share = f64::midpoint(1.0, threshold);
        let deviation = (share * (1.0 - share) / n).sqrt();
        ((share - 4.0 * deviation) * n).floor().max(0.0) as u32
    }

    /// Bits in which two sketches agree.
    #[must_use]
    pub fn equal_bits(&self, a: u128, b: u128) -> u32 {
        let used = u32::try_from(self.permutations.min(BITS)).expect("at most 128");
        used - (a ^ b).count_ones()
    }
}

impl Minima {
    /// Takes in another set: afterwards these are the minima of the union.
    pub fn union(&mut self, other: &Self) {
        for (a, &b) in self.values.iter_mut().zip(&other.values) {
            *a = b.min(*a);
        }
        self.shingles = self.shingles.saturating_add(other.shingles);
    }
}

fn minima(factors: &[u32], offsets: &[u32], shingles: &[u64], out: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(
            unsafe_code,
            reason = "the same code compiled for AVX2, three times as fast as for SSE2"
        )]
        // SAFETY: the processor was just asked whether it has AVX2
        return unsafe { minima_avx2(factors, offsets, shingles, out) };
    }
    minima_anywhere(factors, offsets, shingles, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn minima_avx2(factors: &[u32], offsets: &[u32], shingles: &[u64], out: &mut [u32]) {
    minima_anywhere(factors, offsets, shingles, out);
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "compiled once for each set of instructions"
)]
fn minima_anywhere(factors: &[u32], offsets: &[u32], shingles: &[u64], out: &mut [u32]) {
    let blocks = factors.as_chunks::<LANES>().0.iter();
    let blocks = blocks.zip(offsets.as_chunks::<LANES>().0);
    for ((a, b), out) in blocks.zip(out.as_chunks_mut::<LANES>().0) {
        let mut least = *out;
        for &shingle in shingles {
            let x = (shingle >> 32) as u32;
            for lane in 0..LANES {
                let hash = a[lane].wrapping_mul(x).wrapping_add(b[lane]);
                least[lane] = least[lane].min(hash);
            }
        }
        *out = least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::near::{Shingler, jaccard};

    #[test]
    fn both_compilations_give_the_same_minima() {
        let sketcher = Sketcher::new(&NearOptions::default()).expect("valid");
        let shingles: Vec<u64> = (0..300_u64)
            .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .collect();
        let mut plain = vec![u32::MAX; sketcher.factors.len()];
        minima_anywhere(&sketcher.factors, &sketcher.offsets, &shingles, &mut plain);
        assert_eq!(*sketcher.minima(&shingles).values, *plain);
    }

    #[test]
    fn minima_of_a_union_are_the_least_of_both() {
        let sketcher = Sketcher::new(&NearOptions::default()).expect("valid");
        let all: Vec<u64> = (1..200_u64).map(|i| i << 33 ^ i << 40).collect();
        let mut a = sketcher.minima(&all[..80]);
        a.union(&sketcher.minima(&all[80..]));
        assert_eq!(a, sketcher.minima(&all));
        assert_eq!(sketcher.sketch(&sketcher.minima(&[])), None);
    }

    /// The hash family is simpler than min-wise independence asks for: what it estimates must
    /// still be the true similarity. 0.02 is 4.5 standard errors of a mean over 100 pairs of
    /// sets with 128 functions each.
    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    fn equal_minima_estimate_the_jaccard_similarity() {
        let sketcher = Sketcher::new(&NearOptions::default()).expect("valid");
        let mut shingler = Shingler::new(1);
        for shared in [20, 40, 80, 160] {
            let (mut estimated, mut bits, mut truth) = (0.0, 0.0, 0.0);
            for case in 0..100 {
                let words = |from: usize, to: usize| {
                    let words: Vec<String> = (from..to).map(|i| format!("w{case}x{i}")).collect();
                    words.join(" ")
                };
                let a = shingler.set([&*words(0, 40 + shared)]);
                let b = shingler.set([&*words(40, 80 + shared)]);
                truth += jaccard(&a, &b);
                let (x, y) = (sketcher.minima(&a), sketcher.minima(&b));
                let equal = x.values.iter().zip(&y.values).filter(|(x, y)| x == y);
                estimated += equal.count() as f64 / 128.0;
                let (x, y) = (sketcher.sketch(&x), sketcher.sketch(&y));
                let (x, y) = (x.expect("words"), y.expect("words"));
                bits += f64::from(sketcher.equal_bits(x.bits, y.bits)) / 128.0;
            }
            let (estimated, truth) = (estimated / 100.0, truth / 100.0);
            assert!((estimated - truth).abs() < 0.02, "{estimated} {truth}");
            let expected = f64::midpoint(1.0, truth);
            assert!((bits / 100.0 - expected).abs() < 0.02, "{bits} {expected}");
        }
    }
}
