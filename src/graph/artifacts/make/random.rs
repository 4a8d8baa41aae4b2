//! Initial values.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Normal numbers from a seed.
pub(super) struct Normal {
    random: ChaCha8Rng,
    spare: Option<f64>,
}

impl Normal {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            spare: None,
        }
    }

    /// `n` numbers of mean 0 and that standard deviation.
    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    pub(super) fn draw(&mut self, n: usize, deviation: f64) -> Vec<f32> {
        (0..n).map(|_| (self.next() * deviation) as f32).collect()
    }

    // spelled out (Box and Muller), so that no other version of a library changes the numbers of a seed
    fn next(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let mut unit = || (f64::from(self.random.next_u32()) + 0.5) / f64::exp2(32.0);
        let (radius, turn) = ((-2.0 * unit().ln()).sqrt(), std::f64::consts::TAU * unit());
        self.spare = Some(radius * turn.sin());
        radius * turn.cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_normal_and_repeat() {
        let values = Normal::new(3).draw(20_000, 2.0);
        assert_eq!(values, Normal::new(3).draw(20_000, 2.0));
        let n = 20_000.0;
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let square = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 0.05, "{mean}");
        assert!((square - 4.0).abs() < 0.15, "{square}");
    }
}
