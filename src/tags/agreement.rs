//! How sure all evidence on a pair, taken together, is of its label.
//!
//! Three things speak of a label: the models in training, models that did not train on the pair, and
//! the fit to all other pairs, in which like texts have like rewards. None is best on all data. A logistic regression of the labels on the three
//! finds out what each is worth *here*; no label but the user's own is needed, as held-out evidence that
//! says nothing gets no weight.

use super::stats::median;

/// Kinds of evidence: models in training, held-out models, the fit to all other pairs.
pub const KINDS: usize = 3;

/// Weight of the models in training before any label is seen; the other kinds begin at 0.
const PRIOR_WEIGHT: f64 = 1.0;
/// Precision of the Gaussian prior on each weight.
const PRIOR_PRECISION: f64 = 1.0;

/// What the evidence on each pair comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// Weight of each kind, 0 and up, on evidence in units of its median size.
    pub weights: [f64; KINDS],
    /// Evidence in units of the median size of its kind, 0 where there is none; `[n_pairs]`.
    pub scaled: Vec<[f64; KINDS]>,
    /// Probability that the label would be given again, 0 to 1; `[n_pairs]`.
    pub probability: Vec<f64>,
}

impl Agreement {
    /// From log-odds or margins, above 0 where they side with the label; `None` or 0 where they are
    /// silent.
    ///
    /// # Formula
    /// Each kind is divided by the median of its absolute values other than 0. The weights w >= 0
    /// maximise `Σ ln σ(w·x) - ½ |w - w₀|²`, w₀ = (1, 0, 0); p = σ(w·x).
    #[must_use]
    pub fn new(evidence: &[[Option<f64>; KINDS]]) -> Self {
        let mut scaled: Vec<[f64; KINDS]> = evidence
            .iter()
            .map(|pair| pair.map(|value| value.filter(|v| v.is_finite()).unwrap_or(0.0)))
            .collect();
        for kind in 0..KINDS {
            let sizes = scaled.iter().map(|pair| pair[kind].abs());
            let sizes: Vec<f64> = sizes.filter(|&size| size > 0.0).collect();
            if let Some(size) = median(&sizes) {
                for pair in &mut scaled {
                    pair[kind] /= size;
                }
            }
        }
        let weights = fit(&scaled);
        let probability = scaled.iter().map(|x| sigmoid(dot(&weights, x))).collect();
        Self {
            weights,
            scaled,
            probability,
        }
    }
}

fn dot(a: &[f64; KINDS], b: &[f64; KINDS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sigmoid(x: f64) -> f64 {
    super::signals::p_chosen(x)
}

/// Newton's method; a weight that would be negative is held at 0, the most negative one first.
fn fit(scaled: &[[f64; KINDS]]) -> [f64; KINDS] {
    let prior = [PRIOR_WEIGHT, 0.0, 0.0];
    let mut free = [true; KINDS];
    loop {
        let mut weights: [f64; KINDS] =
            std::array::from_fn(|k| if free[k] { prior[k] } else { 0.0 });
        for _ in 0..50 {
            let mut gradient: [f64; KINDS] =
                std::array::from_fn(|k| PRIOR_PRECISION * (prior[k] - weights[k]));
            let mut hessian = [[0.0; KINDS]; KINDS];
            for (k, row) in hessian.iter_mut().enumerate() {
                row[k] = PRIOR_PRECISION;
            }
            for x in scaled {
                let p = sigmoid(dot(&weights, x));
                for k in 0..KINDS {
                    gradient[k] += (1.0 - p) * x[k];
                    for l in 0..KINDS {
                        hessian[k][l] += p * (1.0 - p) * x[k] * x[l];
                    }
                }
            }
            for k in (0..KINDS).filter(|&k| !free[k]) {
                gradient[k] = 0.0;
                hessian[k] = [0.0; KINDS];
                for row in &mut hessian {
                    row[k] = 0.0;
                }
                hessian[k][k] = 1.0;
            }
            let mut step = solve(hessian, gradient);
            // far from the optimum a full step may overshoot
            let longest = step.iter().fold(0.0_f64, |most, s| most.max(s.abs()));
            if longest > 2.0 {
                step = step.map(|s| 2.0 * s / longest);
            }
            for (weight, step) in weights.iter_mut().zip(step) {
                *weight += step;
            }
            if longest < 1e-10 {
                break;
            }
        }
        let worst = (0..KINDS)
            .filter(|&k| weights[k] < 0.0)
            .min_by(|&a, &b| weights[a].total_cmp(&weights[b]));
        match worst {
            Some(kind) => free[kind] = false,
            None => return weights,
        }
    }
}

/// Solves a positive definite system by Cholesky's decomposition.
fn solve(mut a: [[f64; KINDS]; KINDS], mut b: [f64; KINDS]) -> [f64; KINDS] {
    for i in 0..KINDS {
        for j in 0..=i {
            let sum: f64 = a[i][j] - (0..j).map(|k| a[i][k] * a[j][k]).sum::<f64>();
            a[i][j] = if i == j { sum.sqrt() } else { sum / a[j][j] };
        }
        b[i] = (b[i] - (0..i).map(|k| a[i][k] * b[k]).sum::<f64>()) / a[i][i];
    }
    for i in (0..KINDS).rev() {
        b[i] = (b[i] - (i + 1..KINDS).map(|k| a[k][i] * b[k]).sum::<f64>()) / a[i][i];
    }
    b
}

/// Log-odds of a probability, finite at 0 and 1.
#[must_use]
pub fn log_odds(probability: f64) -> f64 {
    let p = probability.clamp(1e-9, 1.0 - 1e-9);
    (p / (1.0 - p)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_match_scipy() {
        // x = np.array([[1,.5,0],[-.5,1,2],[2,0,-1],[.5,1,1],[-1,2,0],[1.5,-1,1]]), medians 1
        // f = lambda w: np.logaddexp(0, -x@w).sum() + .5*((w-[1,0,0])**2).sum()
        // scipy.optimize.minimize(f, [1,0,0], method="Newton-CG", jac=..., tol=1e-14).x
        let x = [
            [1.0, 0.5, 0.0],
            [-0.5, 1.0, 2.0],
            [2.0, 0.0, -1.0],
            [0.5, 1.0, 1.0],
            [-1.0, 2.0, 0.0],
            [1.5, -1.0, 1.0],
        ];
        let agreement = Agreement::new(&x.map(|pair| pair.map(Some)));
        for (ours, scipy) in
            agreement
                .weights
                .iter()
                .zip([1.261_382_957_9, 0.920_732_622_7, 0.557_516_203_2])
        {
            assert!((ours - scipy).abs() < 1e-6, "{ours} {scipy}");
        }
    }

    #[test]
    fn evidence_that_says_nothing_gets_little_weight() {
        // models right in three of four, held-out ones a coin toss, no fit to other pairs
        let pairs: Vec<_> = (0..4000)
            .map(|i| {
                let model = if i % 4 == 0 { -1.0 } else { 1.0 };
                let held_out = if (i / 4) % 2 == 0 { -1.0 } else { 1.0 };
                [Some(model), Some(held_out), None]
            })
            .collect();
        let agreement = Agreement::new(&pairs);
        // σ(w) = 3/4
        assert!((agreement.weights[0] - 3.0_f64.ln()).abs() < 0.01);
        assert!(agreement.weights[1].abs() < 0.01);
        assert!(agreement.weights[2].abs() < 1e-12);
    }

    #[test]
    fn evidence_against_most_labels_is_not_turned_round() {
        let pairs: Vec<_> = (0..100)
            .map(|i| {
                [
                    Some(if i % 3 == 0 { 1.0 } else { -1.0 }),
                    Some(1.0),
                    Some(0.0),
                ]
            })
            .collect();
        let agreement = Agreement::new(&pairs);
        assert!(agreement.weights.iter().all(|&w| w >= 0.0));
        assert!(
            agreement
                .probability
                .iter()
                .all(|p| (0.0..=1.0).contains(p))
        );
    }

    #[test]
    fn nothing_known_is_even_odds() {
        let agreement = Agreement::new(&[[None; KINDS], [Some(f64::NAN), Some(0.0), None]]);
        assert_eq!(agreement.probability, vec![0.5, 0.5]);
        assert!(Agreement::new(&[]).probability.is_empty());
        assert!(log_odds(0.0).is_finite() && log_odds(1.0).is_finite());
    }
}
