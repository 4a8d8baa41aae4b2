//! The optimizer's update on the host, one pass over memory: faster there than as graph operators.
//!
//! Formulas and their order of rounding are those of the update graph (`graph::optimizer`).

use rayon::prelude::*;

use crate::graph::optimizer::{AdamMode, AdamWSettings, OptimizerSettings};

/// Values updated by one task: 256 KiB of each array, so that four arrays stay in a core's cache.
const CHUNK: usize = 1 << 16;

/// Keeps the quotient of the gradient clipping finite, as in onnxruntime-training.
const CLIP_EPSILON: f64 = 1e-6;

/// A parameter with its gradient and, for `AdamW`, its moments, all of one length.
pub(super) struct Update<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) gradient: &'a [f32],
    pub(super) moments: &'a mut [Vec<f32>],
}

/// One step of the optimizer; `step` counts from 1.
pub(super) fn update(
    updates: &mut [Update<'_>],
    settings: &OptimizerSettings,
    learning_rate: f32,
    step: u64,
) {
    let clip = |max: Option<f32>| {
        max.map_or(1.0, |max| {
            clip_factor(updates.iter().map(|u| u.gradient), max)
        })
    };
    match settings {
        OptimizerSettings::AdamW(adamw) => {
            let factor = clip(adamw.max_gradient_norm);
            let rates = Rates::new(adamw, learning_rate, step);
            for parameter in updates {
                let [first, second] = parameter.moments else {
                    unreachable!("AdamW keeps two moments");
                };
                parameter
                    .values
                    .par_chunks_mut(CHUNK)
                    .zip(parameter.gradient.par_chunks(CHUNK))
                    .zip(first.par_chunks_mut(CHUNK))
                    .zip(second.par_chunks_mut(CHUNK))
                    .for_each(|(((values, gradient), first), second)| {
                        adamw_chunk(values, gradient, first, second, factor, adamw, &rates);
                    });
            }
        }
        OptimizerSettings::Sgd { max_gradient_norm } => {
            let rate = learning_rate * clip(*max_gradient_norm);
            for parameter in updates {
                parameter
                    .values
                    .par_chunks_mut(CHUNK)
                    .zip(parameter.gradient.par_chunks(CHUNK))
                    .for_each(|(values, gradient)| {
                        for (value, g) in values.iter_mut().zip(gradient) {
                            *value -= rate * g;
                        }
                    });
            }
        }
    }
}

/// `min(1, max / (norm of all gradients + epsilon))`, summed in the same order for any thread count.
#[expect(clippy::cast_possible_truncation, reason = "the factor is at most 1")]
fn clip_factor<'a>(gradients: impl Iterator<Item = &'a [f32]>, max: f32) -> f32 {
    let sum: f64 = gradients
        .map(|gradient| {
            let chunks: Vec<f64> = gradient
                .par_chunks(CHUNK)
                .map(|chunk| chunk.iter().map(|&g| f64::from(g) * f64::from(g)).sum())
                .collect();
            chunks.iter().sum::<f64>()
        })
        .sum();
    (f64::from(max) / (sum.sqrt() + CLIP_EPSILON)).min(1.0) as f32
}

/// Scalars that all parameters of a step share.
struct Rates {
    /// Multiplies the quotient of the moments.
    step_size: f32,
    /// Divides the second moment before its root, in the formula of `PyTorch`.
    second_correction: f32,
    /// Multiplies the parameter to give its decay.
    decay: f32,
}

impl Rates {
    #[expect(clippy::cast_possible_truncation, reason = "the graph is f32")]
    fn new(settings: &AdamWSettings, learning_rate: f32, step: u64) -> Self {
        let correction = |beta: f32| {
            let exponent = i32::try_from(step).unwrap_or(i32::MAX);
            (1.0 - f64::from(beta).powi(exponent)) as f32
        };
        let decay = learning_rate * settings.weight_decay;
        let (first, second) = (correction(settings.beta1), correction(settings.beta2));
        match settings.mode {
            _ if !settings.correct_bias => Self {
                step_size: learning_rate,
                second_correction: 1.0,
                decay,
            },
            AdamMode::Torch => Self {
                step_size: learning_rate / first,
                second_correction: second,
                decay,
            },
            AdamMode::HuggingFace => Self {
                step_size: learning_rate * second.sqrt() / first,
                second_correction: 1.0,
                decay,
            },
        }
    }
}

#[expect(
    clippy::many_single_char_names,
    reason = "the formula's own letters: gradient, moments, weight"
)]
fn adamw_chunk(
    values: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    factor: f32,
    settings: &AdamWSettings,
    rates: &Rates,
) {
    let (keep1, take1) = (settings.beta1, 1.0 - settings.beta1);
    let (keep2, take2) = (settings.beta2, 1.0 - settings.beta2);
    let epsilon = settings.epsilon;
    // equal lengths let the compiler drop the bounds checks and use vector instructions
    let n = values.len();
    let (gradient, first, second) = (&gradient[..n], &mut first[..n], &mut second[..n]);
    let decay_first = settings.mode == AdamMode::Torch;
    for i in 0..n {
        let g = gradient[i] * factor;
        let m = keep1 * first[i] + take1 * g;
        let v = keep2 * second[i] + take2 * (g * g);
        first[i] = m;
        second[i] = v;
        let change = m * rates.step_size / ((v / rates.second_correction).sqrt() + epsilon);
        let w = values[i];
        values[i] = if decay_first {
            (w - w * rates.decay) - change
        } else {
            let moved = w - change;
            moved - moved * rates.decay
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: AdamWSettings = AdamWSettings {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.1,
        correct_bias: true,
        mode: AdamMode::Torch,
        max_gradient_norm: None,
    };

    fn three_steps(settings: &OptimizerSettings) -> Vec<f32> {
        let mut values = vec![1.0f32, -2.0, 0.5];
        let mut moments = [vec![0.0; 3], vec![0.0; 3]];
        for step in 1..=3u8 {
            let gradient = [0.1 * f32::from(step), -0.3, 0.02];
            let mut one = [Update {
                values: &mut values,
                gradient: &gradient,
                moments: &mut moments,
            }];
            update(&mut one, settings, 0.01, step.into());
        }
        values
    }

    fn assert_near(found: &[f32], expected: [f64; 3]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-6,
                "{found} {expected}"
            );
        }
    }

    /// `torch.optim.AdamW(lr=0.01, weight_decay=0.1)` by its published formula, in numpy f64:
    /// `w -= lr*wd*w; m = b1*m+(1-b1)*g; v = b2*v+(1-b2)*g*g; w -= lr/c1*m/(sqrt(v/c2)+eps)`.
    #[test]
    fn three_steps_of_both_formulas_match_numpy() {
        assert_near(
            &three_steps(&OptimizerSettings::AdamW(SETTINGS)),
            ADAMW_TORCH,
        );
        let other = AdamWSettings {
            mode: AdamMode::HuggingFace,
            epsilon: 1e-6,
            ..SETTINGS
        };
        assert_near(
            &three_steps(&OptimizerSettings::AdamW(other)),
            ADAMW_HUGGING_FACE,
        );
    }

    const ADAMW_TORCH: [f64; 3] = [0.967_800_810, -1.964_035_989, 0.468_531_504];
    const ADAMW_HUGGING_FACE: [f64; 3] = [0.967_835_333, -1.964_068_361, 0.468_597_463];

    #[test]
    fn clipping_bounds_the_norm_of_all_gradients_together() {
        let [a, b] = [[3.0f32, 0.0], [0.0, 4.0]];
        let factor = clip_factor([&a[..], &b[..]].into_iter(), 1.0);
        assert!((factor - 0.2).abs() < 1e-6);
        let factor = clip_factor([&a[..], &b[..]].into_iter(), 10.0);
        assert!((factor - 1.0).abs() < f32::EPSILON);
    }

    #[test]
    fn sgd_moves_against_the_gradient() {
        let settings = OptimizerSettings::Sgd {
            max_gradient_norm: None,
        };
        assert_near(&three_steps(&settings), [0.994, -1.991, 0.4994]);
    }
}
